"""Runs the mistakes of semantic.py: does one ordinary recording show them, does the stress stream?"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import resource
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.emit.compiled_library import NativeFeast, compile_library
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import QuantModel, quantise
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.stress.check import Answer, TwinMachine, answers, differing_step
from feast_codegen.host.stress.steps import Script
from feast_codegen.host.stress.stream import stress_script
from tests.support.networks import behind, make_model, make_stack, with_readout
from tests.support.proofs.mutation import _compiler
from tests.support.proofs.semantic import Mistake

Found = Literal["recording", "stress", "nothing"]
RECORDING = "sim:digits?seed=3&count=1"
_CPU_LIMIT_S = 8
"""Of one mistake: a loop that never ends is found, too."""
_SIZE = {"radius": 2, "features": 5, "eta": 0.02}


@cache
def network(name: str) -> tuple[Model, Options]:
    """Networks of random weights, as a user's are, and what of the options is not the default."""
    match name:
        case "separate":
            return with_readout(make_model(polarity="separate", **_SIZE), grid=4, spread=5.0), Options()
        case "picky":
            return make_model(polarity="separate", **_SIZE), Options(select="threshold")
        case "slow":
            return make_model(tau_us=1e6, **_SIZE), Options()
        case "signed":
            return make_model(polarity="signed", border="skip", threshold=0.1, **_SIZE), Options()
        case "narrow":
            return make_model(**_SIZE), Options(select="threshold", weights="int8")
        case "filtered":
            filters = Filters(Sensor(33, 34), ((0, 0), (17, 3), (31, 0), (15, 20)), 3000, 9000, 0, 1)
            return behind(filters, **_SIZE), Options()
        case "layers":
            lower = make_model(polarity="separate", border="skip", radius=1, features=2)
            return make_stack(lower, border="skip", **_SIZE), Options()
        case "deep":
            lower = make_model(radius=1, features=34)
            return make_stack(lower, radius=5, features=1), Options()
        case _:
            raise ValueError(f"unknown network {name!r}")


@dataclass(frozen=True, eq=False)
class Prepared:
    """One mode of a network: its library, and what the twin answers."""

    quant: QuantModel
    options: Options
    files: dict[str, str]
    events: Events
    results: Results
    state: bytes
    script: Script
    expected: list[Answer]


@cache
def prepared(name: str, learning: bool) -> Prepared | None:
    """None for learning with int8 weights, as in `verify`."""
    model, options = network(name)
    if learning and options.weights == "int8":
        return None
    options = replace(options, learning=learning)
    quant = quantise(model)[0]
    (stream,) = open_source(RECORDING)
    events = stream.events[stream.events["x"] < model.camera.width]
    twin = Twin(quant, options)
    results = twin.step(events)
    state = twin.snapshot().tobytes() + twin.label.to_bytes(2, "little", signed=True)
    script = stress_script(quant, options)
    expected = list(answers(script, TwinMachine(quant, options)))
    files = render(make_plan(quant, None, options))
    return Prepared(quant, options, files, events, results, state, script, expected)


def found_by(mistake: Mistake) -> Found:
    """What shows the mistake, of frozen and learning code; raises ValueError where neither has its text."""
    best: Found = "nothing"
    applied = 0
    for learning in (False, True):
        mode = prepared(mistake.network, learning)
        if mode is None:
            continue
        try:
            files = mistake.applied(mode.files)
        except ValueError:
            continue
        applied += 1
        found = _in_child(mode, files)
        if found == "recording":
            return found
        best = found if found == "stress" else best
    if not applied:
        raise ValueError(f"{mistake}: not found")
    return best


def survey(mistakes: Iterable[Mistake]) -> dict[Mistake, Found]:
    """What shows each of the mistakes."""
    listed = list(mistakes)
    for name in {mistake.network for mistake in listed}:
        prepared(name, False)
        prepared(name, True)
    # Forked, so that all of them have what was prepared; not threads, for each forks again.
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("fork")) as pool:
        return dict(zip(listed, pool.map(found_by, listed), strict=True))


def _in_child(mode: Prepared, files: dict[str, str]) -> Found:
    """In a process of its own, which may crash or hang: both show the mistake."""
    with tempfile.TemporaryDirectory(prefix="feast-semantic-") as folder:
        compiler = " ".join(f'"{part}"' for part in _compiler())
        library = compile_library(files, Path(folder), "-O1", ("-w",), compiler)
        into, out = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                faulthandler.disable()  # a crash is an answer here
                resource.setrlimit(resource.RLIMIT_CPU, (_CPU_LIMIT_S, _CPU_LIMIT_S))
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                _judge(mode, library, out)
            finally:
                os._exit(0)
        os.close(out)
        with os.fdopen(into, "rb") as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
    return "recording" if not said else "nothing" if said == b"on" else "stress"


def _judge(mode: Prepared, library: Path, out: int) -> None:
    """Write ``o`` once the recording shows nothing, then ``n`` if the stress stream shows nothing either."""
    native = NativeFeast(library)
    results = native.step(mode.events)
    state = native.snapshot().tobytes() + native.label.to_bytes(2, "little", signed=True)
    if not np.array_equal(results, mode.results) or state != mode.state:
        return
    os.write(out, b"o")
    if differing_step(mode.script, native, mode.expected) is None:
        os.write(out, b"n")
