"""Runs mutants of the twin and of the quantiser against recorded answers, each in a process of its own."""

from __future__ import annotations

import ast
import importlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import resource
import sys
import time
import types
import warnings
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np

import feast_codegen.codegen
from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.fixed_point.quantise import QuantModel
from feast_codegen.codegen.fixed_point.quantise import quantise as quantised
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from tests.support.networks import behind, make_model, make_stack, with_readout
from tests.support.proofs import scenario
from tests.support.proofs.mutate_c import Mutant
from tests.support.proofs.mutate_py import mutants

MODULES = (
    *("fixed_point.formats", "fixed_point.state_layout", "fixed_point.quantise", "model.event_filter"),
    *("twin.acceptance", "twin.kernel", "twin.layer", "twin.readout", "twin.network"),
)
"""In the order of their dependence; those after a mutated one are loaded again."""
NO_INTEGERS = frozenset(
    {"_report", "cosine_bound", "QuantReport", "table_error", "_check_norms", "stages", "spans"}
)
"""What has tests of its own: float statements about errors, a number in a message, what the emitter asks."""
_CPU_LIMIT_S = 4
"""Of processor time, independent of the machine's load: an answer takes a tenth of it."""
_LIMIT_S = 300
_SMALL = Sensor(7, 6)
_LIMITS = {
    "tau_us": (9.99, 10.0, 1e7, 1.001e7),
    "eta": (0.99e-5, 1e-5, 0.1, 0.101),
    "delta_i": (0.99e-6, 1e-6, 1.0, 1.001),
    "delta_e": (0.99e-6, 1e-6, 1.0, 1.001),
}
"""Values on both sides of what fixed point can express."""


def _networks() -> list[tuple[Model, Options]]:
    size = {"radius": 1, "features": 3, "tau_us": 2000.0, "eta": 0.02}
    signed = make_model(_SMALL, polarity="signed", border="skip", **size | {"radius": 2})
    separate = make_model(_SMALL, polarity="separate", **size)
    lower = make_model(_SMALL, radius=1, features=2, tau_us=2000.0, border="skip")
    return [
        (separate, Options(learning=True)),
        (signed, Options(select="threshold", weights="int8")),
        (make_model(_SMALL, polarity="merged", **size), Options()),
        (behind(Filters(_SMALL, ((1, 0), (6, 3)), 300, 40_000, 1, 1), **size), Options()),
        (behind(Filters(_SMALL, background_us=900), **size), Options()),
        (behind(Filters(_SMALL, refractory_us=1), **size), Options()),
        (behind(Filters(_SMALL, ((2, 3), (5, 1))), **size), Options()),
        (with_readout(make_stack(lower, **size)), Options(True, "threshold")),
    ]


def _load(names: tuple[str, ...], changed: str = "", tree: object = None) -> dict[str, types.ModuleType]:
    """The modules loaded again, uncompiled; the code of `changed` is `tree`."""
    importlib.import_module("feast_codegen.codegen.base.jit").jit = lambda *_: lambda loop: loop
    loaded = {}
    for name in names:
        full = f"feast_codegen.codegen.{name}"
        module = types.ModuleType(full)
        module.__file__ = _path(name)
        sys.modules[full] = module
        room, _, leaf = full.rpartition(".")
        setattr(importlib.import_module(room), leaf, module)
        code = tree if name == changed else Path(_path(name)).read_text(encoding="utf-8")
        exec(compile(code, _path(name), "exec"), module.__dict__)
        loaded[name] = module
    return loaded


def _path(name: str) -> str:
    return str(Path(feast_codegen.codegen.__path__[0], *name.split(".")).with_suffix(".py"))


def behaviour(modules: dict[str, types.ModuleType], expected: list[bytes] | None = None) -> list[bytes]:
    """Everything the modules answer; stops at the first answer that is not `expected`."""
    answers: list[bytes] = []
    for answer in _answers(modules):
        answers.append(answer)
        if expected is not None and answer != expected[len(answers) - 1]:
            break
    return answers


def _answers(modules: dict[str, types.ModuleType]) -> Iterator[bytes]:
    """Scenarios first: what is quantised shows in them, too."""
    formats, quantise, twin = (
        modules[name] for name in ("fixed_point.formats", "fixed_point.quantise", "twin.network")
    )
    for (model, options), calls in zip(_networks(), _scenarios(), strict=True):
        quant, _ = quantise.quantise(model)
        stored = quantise.stored_weights(quant, options)
        yield _numbers(quant) + stored.values.tobytes() + bytes([stored.fraction])
        yield quantise.state_id(quant, options).to_bytes(4, "little")
        yield scenario.carry_out(calls, partial(twin.Twin, quant, options))
        yield twin.Twin(quant, options).learned().tobytes()
    yield from _formats(formats)
    yield from _limits(quantise)
    unfit = quantise.quantise(make_model(_SMALL, radius=1, features=2, eta=0.5))[0]
    try:
        twin.Twin(unfit, Options()).set_learning(True)
    except FeastError as problem:
        yield str(problem).encode()


@cache
def _scenarios() -> list[list[scenario.Call]]:
    return [
        scenario.scenario(model, options, quantised(model)[0], dense=200 if options.learning else 1200)
        for model, options in _networks()
    ]


def _numbers(quant: QuantModel) -> bytes:
    """All that a quantised model holds, of both layers."""
    arrays = (quant.weights, quant.thresholds, quant.mantissas)
    scalars = [value for value in vars(quant).values() if isinstance(value, int)]
    below = b"" if quant.lower is None else _numbers(quant.lower)
    return b"".join(array.tobytes() for array in arrays) + repr(scalars).encode() + below


def _formats(formats: types.ModuleType) -> Iterator[bytes]:
    """The functions of the formats over their ranges, ties and ends among them."""
    yield repr([formats.DEAD_OCTAVES, formats.NARROW_MAX]).encode()
    yield repr([formats.squared_norms(dims) for dims in (9, 121, 5000)]).encode()
    values = np.concatenate([np.linspace(-1.0, 1.0, 257), np.array([1.5, 2.5, -1.5, -2.5]) / 2**15])
    yield formats.to_weights(values).tobytes()
    yield repr([formats.to_unit(value) for value in (*values, 1.5 / 2**30, 2.5 / 2**30)]).encode()
    yield repr([formats.surface_bits(dims) for dims in (*range(1, 1000), *range(1000, 64_000, 97))]).encode()
    lengths = [formats.octave_length(tau) for tau in (10.0, 11.3, 2000.0, 1e7)]
    yield repr([(length, formats.fraction_factor(length)) for length in lengths]).encode()
    yield b"".join(formats.mantissas(bits).tobytes() for bits in range(8, 15))
    etas = [round(1e-5 * 1.1**step * 2**32) for step in range(0, 97, 3)]
    etas += [eta + by for eta in (2**32 // 10, 2**32 // 20) for by in (0, 1, 2)]
    yield repr([formats.learning_shift(eta, bits) for eta in etas for bits in range(8, 15)]).encode()


def _limits(quantise: types.ModuleType) -> Iterator[bytes]:
    """What is refused on both sides of each limit, and with which message."""
    for name, values in _LIMITS.items():
        for value in values:
            model = make_model(_SMALL, radius=1, features=2, **{name: value})
            try:
                quantise.stored_weights(quantise.quantise(model)[0], Options(learning=True))
                yield b"accepted"
            except FeastError as problem:
                yield str(problem).encode()
    try:
        narrow = Options(learning=True, weights="int8")
        quantise.stored_weights(quantise.quantise(make_model(_SMALL, radius=1, features=2))[0], narrow)
    except FeastError as problem:
        yield str(problem).encode()


def _killed(name: str, tree: ast.Module, expected: list[bytes]) -> None:
    """In a process of its own: exit 0 if the mutant gives the expected answers, anything else if not."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_LIMIT_S, _CPU_LIMIT_S))
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            same = behaviour(_load(MODULES, name, tree), expected) == expected
    except BaseException:
        same = False
    os._exit(0 if same else 1)


def expected_answers() -> list[bytes]:
    """Of the modules as they are, compiled: the scenarios' parts are the emitted C's own answers, too."""
    return behaviour({name: importlib.import_module(f"feast_codegen.codegen.{name}") for name in MODULES})


def twin_mutants() -> Iterator[tuple[str, Mutant, ast.Module]]:
    """Every mutant with the module it changes; a tree is valid until the next one."""
    for name in MODULES:
        for mutant, tree in mutants(
            f"{name.rpartition('.')[2]}.py", Path(_path(name)).read_text(encoding="utf-8"), NO_INTEGERS
        ):
            yield name, mutant, tree


def twin_survivors(every: int = 1) -> tuple[int, set[Mutant]]:
    """Number of mutants of the twin and the quantiser tried, every so many, and those unnoticed."""
    context = multiprocessing.get_context("fork")
    expected = expected_answers()
    running: dict[multiprocessing.process.BaseProcess, tuple[Mutant, float]] = {}
    surviving: set[Mutant] = set()
    count = 0

    def collect(most: int) -> None:
        while len(running) > most:
            multiprocessing.connection.wait([p.sentinel for p in running], timeout=1)
            for process, (mutant, since) in list(running.items()):
                if process.is_alive() and time.monotonic() - since > _LIMIT_S:
                    process.kill()
                    process.join()
                if not process.is_alive():
                    del running[process]
                    if process.exitcode == 0:
                        surviving.add(mutant)

    for name, mutant, tree in itertools.islice(twin_mutants(), 0, None, every):
        count += 1
        collect((os.cpu_count() or 1) - 1)
        process = context.Process(target=_killed, args=(name, tree, expected))
        process.start()
        running[process] = (mutant, time.monotonic())
    collect(0)
    return count, surviving
