"""The emitted C equals the integer twin: every result and every word of the final state."""

from __future__ import annotations

import ctypes
import itertools
from dataclasses import astuple
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.compiled_library import NativeFeast, build_native, compile_library
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.fixed_point.quantise_readout import QuantFading
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from tests.support.networks import (
    event_streams,
    make_events,
    make_model,
    models,
    with_fading_readout,
    with_readout,
)

OPTIONS = [
    Options(),
    Options(select="threshold"),
    Options(learning=True),
    Options(True, "threshold"),
    Options(select="threshold", weights="int8"),
]
SENSOR = Sensor(13, 9)
KERNELS: tuple[Kernel, ...] = ("portable", "dsp", "vector")
"""Kernels for a core's packed or vector instructions have plain C beside them, which runs here."""
CONFIGURATIONS = list(
    itertools.product(("merged", "separate", "signed"), ("zero", "skip"), (1, 5), OPTIONS, KERNELS)
)


def build(model: Model, options: Options, kernel: Kernel = "portable") -> tuple[NativeFeast, Twin]:
    quant, _ = quantise(model)
    return build_native(render(make_plan(quant, None, options, kernel))), Twin(quant, options)


@cache
def configuration(index: int) -> tuple[NativeFeast, Model, Options]:
    """One compiled library per configuration, shared by all examples: `init` makes it new again."""
    polarity, border, radius, options, kernel = CONFIGURATIONS[index]
    model = make_model(
        SENSOR,
        seed=index,
        polarity=polarity,
        border=border,
        radius=radius,
        features=4,
        eta=0.01,
        tau_us=3000.0,
    )
    if index % 4 == 3:  # none, and both kinds of readout with every option, polarity and border, in turn
        model = with_fading_readout(model, grid=2 + index % 7, classes=2 + index % 5, hidden=index % 9)
    elif index % 2:
        model = with_readout(model, grid=1 + index % 7, classes=2 + index % 5, seed=index)
    return build(model, options, kernel)[0], model, options


def same(native: NativeFeast, twin: Twin, events: np.ndarray) -> None:
    np.testing.assert_array_equal(native.step(events), twin.step(events))
    np.testing.assert_array_equal(native.snapshot(), twin.snapshot())
    if not isinstance(twin.readout, QuantFading):
        np.testing.assert_array_equal(native.scores, twin.scores)
    assert native.label == twin.label
    if isinstance(twin.readout, QuantFading):
        assert native.decision == astuple(twin.decision)


@pytest.mark.parametrize("index", range(len(CONFIGURATIONS)))
def test_every_configuration_on_dense_events(index: int) -> None:
    native, model, options = configuration(index)
    native.init()
    twin = Twin(quantise(model)[0], options)
    for seed in range(3):
        native.reset()
        twin.reset()
        same(native, twin, make_events(1500, SENSOR, seed))


@settings(max_examples=400, deadline=None)
@given(
    index=st.integers(0, len(CONFIGURATIONS) - 1),
    recordings=st.lists(event_streams(SENSOR), min_size=1, max_size=3),
)
def test_any_events(index: int, recordings: list[np.ndarray]) -> None:
    native, model, options = configuration(index)
    native.init()
    twin = Twin(quantise(model)[0], options)
    for events in recordings:
        native.reset()
        twin.reset()
        same(native, twin, events)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow]
)
@given(model=models(), options=st.sampled_from(OPTIONS), kernel=st.sampled_from(KERNELS), data=st.data())
def test_any_model(model: Model, options: Options, kernel: Kernel, data: st.DataObject) -> None:
    native, twin = build(model, options, kernel)
    same(native, twin, make_events(300, model.sensor, seed=data.draw(st.integers(0, 99))))
    same(native, twin, data.draw(event_streams(model.sensor, max_size=40)))


@settings(max_examples=60, deadline=None)
@given(
    switches=st.lists(st.booleans(), min_size=1, max_size=6),
    index=st.sampled_from([i for i, c in enumerate(CONFIGURATIONS) if c[3].learning]),
)
def test_learning_switched_while_running(switches: list[bool], index: int) -> None:
    native, model, options = configuration(index)
    native.init()
    native.reset()
    twin = Twin(quantise(model)[0], options)
    for seed, learning in enumerate(switches):
        native.set_learning(learning)
        twin.set_learning(learning)
        same(native, twin, make_events(200, SENSOR, seed)[seed:])


@pytest.mark.parametrize("options", [Options(), Options(learning=True)], ids=["frozen", "learning"])
def test_octaves_never_alias_over_long_silences(options: Options) -> None:
    """A row last touched exactly 2^32 octaves ago looks current in its low 32 bits."""
    model = make_model(SENSOR, radius=1, features=3, tau_us=10.0, polarity="signed")
    quant, _ = quantise(model)
    native, twin = build(model, options)
    events = make_events(8, SENSOR, seed=3, mean_gap_us=2.0)
    for octaves in (1, 14, 15, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 3 * 2**32):
        silence_us = -(-octaves * quant.octave_q8 // 256)
        later = events.copy()
        later["t_us"] += np.uint64(silence_us)
        later["y"] = SENSOR.height - 1 - later["y"]
        for instance in (native, twin):
            instance.reset()
        same(native, twin, np.concatenate([events, later]))
        assert twin.snapshot().any()


def test_reset_clears_surfaces_and_keeps_what_was_learned() -> None:
    model = make_model(SENSOR, radius=1, features=3, eta=0.05)
    native, twin = build(model, Options(learning=True))
    same(native, twin, make_events(500, SENSOR))
    learned = native.snapshot()
    native.reset()
    twin.reset()
    np.testing.assert_array_equal(native.snapshot(), twin.snapshot())
    words = 3 * 9 + 2 * 3 + 2
    np.testing.assert_array_equal(native.snapshot()[:words], learned[:words])
    assert not native.snapshot()[-SENSOR.width * SENSOR.height :].any()
    assert native.signals()["hits"] + native.signals()["misses"] == 500


def test_learned_state_travels_between_networks() -> None:
    model = make_model(SENSOR, radius=1, features=3, eta=0.05)
    first, twin = build(model, Options(learning=True))
    second, _ = build(model, Options(learning=True))
    events = make_events(500, SENSOR)
    first.step(events)
    words = twin.learned().size
    assert second.import_learned(first.snapshot()[:words])
    np.testing.assert_array_equal(first.snapshot()[:words], second.snapshot()[:words])
    first.reset()
    np.testing.assert_array_equal(first.step(events), second.step(events))


@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, 3 * 9 + 2 * 3 - 1), word=st.integers(0, 2**16 - 1))
def test_foreign_learned_state_is_refused_or_sound(position: int, word: int) -> None:
    native, model, _ = configuration(
        CONFIGURATIONS.index(("merged", "zero", 1, Options(learning=True), "portable"))
    )
    native.init()
    features = model.params.features
    words = native.snapshot()[: features * 9 + 2 * features + 2].copy()
    original = words.copy()
    words[position] = word
    weights = words[: features * 9].view(np.int16).reshape(features, 9).astype(np.int64)
    thresholds = words[features * 9 : features * 11].view(np.int32)
    sound = (
        np.abs(thresholds.astype(np.int64)).max() <= 2**30
        and (weights**2).sum(axis=1).min() >= (2**15 - 67) ** 2
        and (weights**2).sum(axis=1).max() <= (2**15 + 67) ** 2
    )
    assert native.import_learned(words) == sound
    np.testing.assert_array_equal(native.snapshot()[: words.size], words if sound else original)


def test_square_root_is_exact_at_every_step(tmp_path: Path) -> None:
    """All squares from 2^30 to 2^32, one below, and one below the next."""
    quant, _ = quantise(make_model(SENSOR, radius=1, features=2))
    files = render(make_plan(quant, None, Options(learning=True)))
    files["src/feast.c"] += (
        "uint32_t root_of(uint32_t v); uint32_t root_of(uint32_t v) { return feast_layer1_square_root(v); }\n"
    )
    library = compile_library(files, tmp_path, "-O2", ())
    root_of = ctypes.CDLL(str(library)).root_of
    root_of.restype, root_of.argtypes = ctypes.c_uint32, [ctypes.c_uint32]
    for root in range(2**15, 2**16):
        assert root_of(root * root) == root
        assert root_of(root * root + 2 * root) == root
        assert root == 2**15 or root_of(root * root - 1) == root - 1
