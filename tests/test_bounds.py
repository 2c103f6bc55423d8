"""Bounds of docs/numerics.md section 9: asserted in the emitted C, kept by every accepted model."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codegen.errors import FeastError
from codegen.model import Model, Sensor
from codegen.native import build_native
from codegen.options import Options
from codegen.plan import make_plan
from codegen.quantise import QuantModel, quantise
from codegen.records import EVENT_DTYPE
from codegen.render import render
from codegen.twin import Twin
from tests.networks import UNTRAINED, make_model
from tests.proofs.driver import SENSOR, emitted, write_library

LEARNING = Options(learning=True)
BROKEN = {
    "shifts of a norm": [("FEAST_SURFACE_BITS", "7u")],
    "squares of a context": [("FEAST_SURFACE_BITS", "13u")],
    "dot products": [("FEAST_WEIGHT_ENERGY", "0xFFFFFFFFu")],
    "octave length": [("FEAST_OCTAVE_Q8", "1023u")],
    "fractions index": [("FEAST_FRACTION_FACTOR", "0xFFFFFFFFu")],
    "feature ids": [("FEAST_FEATURES", "32768u")],
    "weights must fit 16": [("FEAST_WEIGHT_FRACTION", "16u")],
    "norm of a feature": [("FEAST_WEIGHT_FRACTION", "14u")],
    "eta must be": [("FEAST_ETA_Q32", "429496731")],
    "2 eta must be": [("FEAST_TWICE_ETA_Q32", "900000000")],
    "delta_i must be": [("FEAST_DELTA_I_Q30", "0x40000001")],
    "delta_e must be": [("FEAST_DELTA_E_Q30", "(-1)")],
    "dithered shifts": [("FEAST_LEARNING_SHIFT", "17u")],
    "decay must fit": [("FEAST_LEARNING_SHIFT", "16u"), ("FEAST_ETA_Q32", "900000000")],
}
"""Names given a value beyond an asserted bound, by the beginning of its message."""
MISPLACED = {"surface rows": "int16_t surface[", "weights must lie": "uint32_t weights["}
"""Members that a shorter one put before them moves to a wrong place."""


def complaints(files: dict[str, str], folder: Path) -> str:
    """Of the compiler."""
    sources = write_library(files, folder)
    command = ["cc", "-std=c11", "-fsyntax-only", f"-I{folder / 'include'}", *sources]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stderr


def broken(files: dict[str, str], message: str) -> dict[str, str]:
    """The files with the bound broken that `message` speaks of."""
    changed = dict(files)
    for path in ("include/feast.h", "src/feast_internal.h"):
        for start, names in BROKEN.items():
            for name, value in names if message.startswith(start) else ():
                changed[path] = re.sub(rf"#define {name} .*", f"#define {name} {value}", changed[path])
        for start, member in MISPLACED.items():
            if message.startswith(start):
                changed[path] = changed[path].replace(member, f"uint32_t before; {member}")
    assert changed != files, f"no fault is planted for {message!r}"
    return changed


def test_every_asserted_bound_bites(tmp_path: Path) -> None:
    """Each assertion about the network fails beyond its bound; the last is about the compiler."""
    files = emitted(make_model(SENSOR, radius=5, neurons=4, eta=0.1), LEARNING, "portable")
    assert complaints(files, tmp_path) == ""
    *messages, last = re.findall(r'static_assert\([^;]*?"(.*)"\);', files["src/feast_internal.h"])
    assert last.startswith("arithmetic right shift")
    for message in messages:
        assert message in complaints(broken(files, message), tmp_path)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"tau_us": 9.9}, "tau_us 9.9: fixed point allows 10 to 1e+07"),
        ({"tau_us": 1.1e7}, "tau_us 1.1e+07: fixed point allows 10 to 1e+07"),
        ({"eta": 0.11}, "eta 0.11: fixed point allows 1e-05 to 0.1"),
        ({"eta": 0.0}, "eta 0: fixed point allows"),
        ({"delta_i": 1.1}, "delta_i 1.1: fixed point allows"),
        ({"delta_e": 1.1}, "delta_e 1.1: fixed point allows"),
        ({"neurons": 4096, "polarity": "separate", "radius": 1}, None),
    ],
)
def test_parameters_beyond_a_bound_are_refused(params: dict[str, Any], problem: str | None) -> None:
    """The last one is the largest number of features that a model file holds: it fits."""
    model = make_model(SENSOR, **({"radius": 1, "neurons": 2} | params))
    if problem is None:
        assert make_plan(quantise(model)[0], None, LEARNING).features <= 32767
    else:
        with pytest.raises(FeastError, match=re.escape(problem)):
            make_plan(quantise(model)[0], None, LEARNING)


def test_features_beyond_16_bits_are_refused() -> None:
    quant, _ = quantise(make_model(SENSOR, radius=1, neurons=2))
    many = replace(quant, params=replace(quant.params, neurons=32768))
    with pytest.raises(FeastError, match="32768 features: results are int16_t, at most 32767 fit"):
        make_plan(many, None, Options())


@pytest.mark.parametrize("options", [Options(), LEARNING, Options(weights="int8")], ids=str)
@pytest.mark.parametrize("radius", [1, 5, 15])
def test_weights_beyond_the_accumulator_are_refused(options: Options, radius: int) -> None:
    """A model file holds norms within 0.2 % of 1; the plan does not rely on it."""
    model = make_model(SENSOR, radius=radius, neurons=2)
    quant, _ = quantise(model)
    make_plan(quant, None, options)
    longer = np.clip(quant.weights.astype(np.int32) * 3 // 2, -32767, 32767).astype(np.int16)
    with pytest.raises(FeastError, match=r"weights of feature \d have norm 1\.4|norm 1\.5"):
        make_plan(replace(quant, weights=longer), None, options)


def test_threshold_and_step_of_one_saturate() -> None:
    """A threshold of 1 raised by 1 did not fit 32 bits; a norm above 1 lets it happen."""
    weights = np.full((1, 9), 1.0015 / 3.0)
    params = make_model(Sensor(3, 3), radius=1, neurons=1, delta_i=1.0).params
    model = Model(params, Sensor(3, 3), weights, np.ones(1), UNTRAINED)
    events = np.zeros(9, EVENT_DTYPE)
    events["x"], events["y"] = np.arange(9) % 3, np.arange(9) // 3
    events = np.concatenate([events, events[4:5]])
    quant: QuantModel = quantise(model)[0]
    native, twin = build_native(render(make_plan(quant, None, LEARNING))), Twin(quant, LEARNING)
    np.testing.assert_array_equal(native.step(events), twin.step(events))
    assert twin.step(events[4:5])[0] == native.step(events[4:5])[0] == 0
    np.testing.assert_array_equal(native.snapshot(), twin.snapshot())
