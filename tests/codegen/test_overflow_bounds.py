"""Bounds of docs/reference/numerics.md section 9: asserted in the emitted C, kept by every accepted model."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE
from feast_codegen.codegen.emit.compiled_library import build_native
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import QuantModel, quantise
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from tests.support.networks import UNTRAINED, make_events, make_model, make_stack
from tests.support.proofs.driver import SENSOR, emitted, write_library
from tests.support.waiting import LIMIT_S

LEARNING = Options(learning=True)
INTERNAL = "src/feast_layer1_internal.h"
UPPER_STEP = "src/feast_layer2_step.h"
BROKEN = {
    "shifts of a norm": [("FEAST_LAYER1_SURFACE_BITS", "7u")],
    "squares of a context": [("FEAST_LAYER1_SURFACE_BITS", "13u")],
    "dot products": [("FEAST_LAYER1_WEIGHT_ENERGY", "0xFFFFFFFFu")],
    "octave length": [("FEAST_LAYER1_OCTAVE_Q8", "1023u")],
    "fractions index": [("FEAST_LAYER1_FRACTION_FACTOR", "0xFFFFFFFFu")],
    "feature ids": [("FEAST_LAYER1_FEATURES", "32768u")],
    "weights must fit 16": [("FEAST_LAYER1_WEIGHT_FRACTION", "16u")],
    "norm of a feature": [("FEAST_LAYER1_WEIGHT_FRACTION", "14u")],
    "eta must be": [("FEAST_LAYER1_ETA_Q32", "429496731")],
    "2 eta must be": [("FEAST_LAYER1_TWICE_ETA_Q32", "900000000")],
    "delta_i must be": [("FEAST_LAYER1_DELTA_I_Q30", "0x40000001")],
    "delta_e must be": [("FEAST_LAYER1_DELTA_E_Q30", "(-1)")],
    "dithered shifts": [("FEAST_LAYER1_LEARNING_SHIFT", "17u")],
    "decay must fit": [("FEAST_LAYER1_LEARNING_SHIFT", "16u"), ("FEAST_LAYER1_ETA_Q32", "900000000")],
    "gain must fit": [("FEAST_LAYER1_LEARNING_SHIFT", "15u")],
    "norms that learning": [("FEAST_LAYER1_NORM_LIMIT", "78u")],
}
"""Names given a value beyond an asserted bound, by the beginning of its message."""
MISPLACED = {"surface rows": "int16_t surface[", "weights must lie": "uint32_t weights["}
"""Members that a shorter one put before them moves to a wrong place."""


def complaints(files: dict[str, str], folder: Path) -> str:
    """Of the compiler."""
    sources = write_library(files, folder)
    command = ["cc", "-std=c11", "-fsyntax-only", f"-I{folder / 'include'}", *sources]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S).stderr


def broken(files: dict[str, str], message: str) -> dict[str, str]:
    """The files with the bound broken that `message` speaks of."""
    changed = dict(files)
    for path in ("include/feast.h", "include/feast_config.h", INTERNAL):
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
    files = emitted(make_model(SENSOR, radius=5, features=4, eta=0.1), LEARNING, "portable")
    assert complaints(files, tmp_path) == ""
    *messages, last = re.findall(r'static_assert\([^;]*?"([^"]*)"\);', files[INTERNAL])
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
        ({"features": 4096, "polarity": "separate", "radius": 1}, None),
    ],
)
def test_parameters_beyond_a_bound_are_refused(params: dict[str, Any], problem: str | None) -> None:
    """The last one is the largest number of features that a model file holds: it fits."""
    model = make_model(SENSOR, **({"radius": 1, "features": 2} | params))
    if problem is None:
        assert make_plan(quantise(model)[0], None, LEARNING).last.quant.params.total_features <= 32767
    else:
        with pytest.raises(FeastError, match=re.escape(problem)):
            make_plan(quantise(model)[0], None, LEARNING)


def test_features_beyond_16_bits_are_refused() -> None:
    quant, _ = quantise(make_model(SENSOR, radius=1, features=2))
    many = replace(quant, params=replace(quant.params, features=32768))
    with pytest.raises(FeastError, match="32768 features: results are int16_t, at most 32767 fit"):
        make_plan(many, None, Options())


@pytest.mark.parametrize("options", [Options(), LEARNING, Options(weights="int8")], ids=str)
@pytest.mark.parametrize("radius", [1, 5, 15])
def test_weights_beyond_the_accumulator_are_refused(options: Options, radius: int) -> None:
    """A model file holds norms within 0.2 % of 1; the plan does not rely on it."""
    model = make_model(SENSOR, radius=radius, features=2)
    quant, _ = quantise(model)
    make_plan(quant, None, options)
    longer = np.clip(quant.weights.astype(np.int32) * 3 // 2, -32767, 32767).astype(np.int16)
    with pytest.raises(FeastError, match=r"weights of feature \d have norm 1\.4|norm 1\.5"):
        make_plan(replace(quant, weights=longer), None, options)


def test_threshold_and_step_of_one_saturate() -> None:
    """A threshold of 1 raised by 1 did not fit 32 bits; a norm above 1 lets it happen."""
    weights = np.full((1, 9), 1.0015 / 3.0)
    params = make_model(Sensor(3, 3), radius=1, features=1, delta_i=1.0).params
    model = Model(params, Sensor(3, 3), weights, np.ones(1), UNTRAINED)
    events = np.zeros(9, EVENT_DTYPE)
    events["x"], events["y"] = np.arange(9) % 3, np.arange(9) // 3
    events = np.concatenate([events, events[4:5]])
    quant: QuantModel = quantise(model)[0]
    native, twin = build_native(render(make_plan(quant, None, LEARNING))), Twin(quant, LEARNING)
    np.testing.assert_array_equal(native.step(events), twin.step(events))
    assert twin.step(events[4:5])[0] == native.step(events[4:5])[0] == 0
    np.testing.assert_array_equal(native.snapshot(), twin.snapshot())


@pytest.mark.parametrize(("channels", "bits"), [(34, 9), (134, 8)], ids=["D 4114", "D 16214"])
def test_squares_of_a_first_event_at_a_power_of_4(channels: int, bits: int) -> None:
    """With 8 or 9 bits the least mantissa is a power of 2, so the norm's shift meets its bound at once."""
    lower = make_model(SENSOR, radius=1, features=channels)
    model = make_stack(lower, threshold=-1.0, radius=5, features=1, eta=0.01)
    quant: QuantModel = quantise(model)[0]
    assert quant.params.dims >= 4040
    assert (quant.surface_bits, int(quant.mantissas[0])) == (bits, 2 ** (bits - 1))
    files = render(make_plan(quant, None, LEARNING))
    loop = "while (squares < ((uint32_t)1 << 30)) {"
    assert files[UPPER_STEP].count(loop) == 1
    # One place later; without a limit of its own it would never end.
    late = loop.replace("squares <", "norm.k < 16u && squares <=")
    planted = build_native(files | {UPPER_STEP: files[UPPER_STEP].replace(loop, late)})
    native, twin = build_native(files), Twin(quant, LEARNING)
    first = np.zeros(1, EVENT_DTYPE)
    first["x"], first["y"] = 6, 4
    for events in (first, first, make_events(100, SENSOR)):
        np.testing.assert_array_equal(native.step(events), twin.step(events))
        np.testing.assert_array_equal(native.snapshot(), twin.snapshot())
    planted.step(first)
    again = Twin(quant, LEARNING)
    again.step(first)
    assert not np.array_equal(planted.snapshot(), again.snapshot())
