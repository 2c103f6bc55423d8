"""The emitted fading readout equals the twin: every decision, the whole state, without resets."""

from __future__ import annotations

from dataclasses import astuple, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.compiled_library import NativeFeast, build_native
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from tests.support.networks import (
    behind,
    event_streams,
    make_events,
    make_model,
    make_stack,
    with_fading_readout,
)

SENSOR = Sensor(13, 9)
KERNELS: tuple[Kernel, ...] = ("small", "portable", "dsp", "vector")
SMALL = {"radius": 1, "features": 3, "eta": 0.02, "tau_us": 3000.0}
CASES: list[tuple[Model, Options, Kernel]] = [
    (with_fading_readout(make_model(SENSOR, **SMALL), hidden=0), Options(), "dsp"),
    (with_fading_readout(make_model(SENSOR, **SMALL), grid=2, hidden=64), Options(), "vector"),
    (with_fading_readout(make_model(SENSOR, **SMALL), grid=8, classes=9, hidden=1), Options(), "portable"),
    (with_fading_readout(make_model(SENSOR, **SMALL, polarity="separate"), grid=4), Options(True), "dsp"),
    (
        with_fading_readout(make_model(SENSOR, **SMALL, polarity="signed", border="skip"), hidden=0),
        Options(True, "threshold"),
        "small",
    ),
    (
        with_fading_readout(
            make_stack(behind(Filters(Sensor(25, 17), ((3, 4),), 50, 9000, 1, 1), **SMALL), **SMALL), hidden=5
        ),
        Options(True),
        "vector",
    ),
    (
        with_fading_readout(make_model(Sensor(2, 2), radius=1, features=1), grid=2, tau_us=1e3),
        Options(),
        "small",
    ),
]


@cache
def library(index: int) -> NativeFeast:
    """Compiled once for all examples: `init` makes it new again."""
    model, options, kernel = CASES[index]
    return build_native(render(make_plan(quantise(model)[0], None, options, kernel)))


def pair(index: int) -> tuple[NativeFeast, Twin]:
    model, options, _ = CASES[index]
    native = library(index)
    native.init()
    native.reset()
    return native, Twin(quantise(model)[0], options)


def same(native: NativeFeast, twin: Twin, events: Events) -> None:
    np.testing.assert_array_equal(native.step(events), twin.step(events))
    before = native.memory()
    assert native.decision == astuple(twin.decision)
    assert native.memory() == before, "asking changes nothing"
    assert native.label == twin.label
    np.testing.assert_array_equal(native.snapshot(), twin.snapshot())


def joined(pieces: list[Events], gap_us: int) -> list[Events]:
    """Recordings one behind the other, `gap_us` apart, as one stream gives them."""
    now, stream = 0, []
    for piece in pieces:
        moved = piece.copy()
        moved["t_us"] += np.uint64(now)
        now = int(moved["t_us"].max(initial=now)) + gap_us
        stream.append(moved)
    return stream


@pytest.mark.parametrize("index", range(len(CASES)))
def test_a_live_stream_without_a_reset(index: int) -> None:
    """Dense and sparse pieces: crowded histograms, whole octaves without an event, and all between."""
    native, twin = pair(index)
    sensor = CASES[index][0].camera
    gaps = (70.0, 1.0, 0.0, 3000.0, 20.0, 0.1)
    pieces = [make_events(700, sensor, seed, mean_gap_us=gap) for seed, gap in enumerate(gaps)]
    for events in joined(pieces, 20_000):
        for chunk in np.array_split(events, 3):
            same(native, twin, chunk)
    native.reset()
    twin.reset()
    np.testing.assert_array_equal(native.snapshot(), twin.snapshot())
    assert native.decision == (-1, 0, 0, True)
    same(native, twin, pieces[0])


@settings(max_examples=100, deadline=None)
@given(
    index=st.integers(0, len(CASES) - 1),
    streams=st.lists(event_streams(SENSOR), min_size=1, max_size=3),
    reset=st.booleans(),
)
def test_any_events(index: int, streams: list[Events], reset: bool) -> None:
    native, twin = pair(index)
    for events in streams:
        same(native, twin, events)
        if reset:
            native.reset()
            twin.reset()


@settings(max_examples=8, deadline=None)
@given(
    model=st.builds(
        with_fading_readout,
        st.builds(
            make_model,
            st.builds(Sensor, st.integers(8, 40), st.integers(8, 40)),
            radius=st.just(1),
            features=st.integers(1, 9),
            polarity=st.sampled_from(["merged", "separate"]),
            tau_us=st.just(5000.0),
        ),
        grid=st.integers(2, 8),
        classes=st.integers(2, 12),
        hidden=st.integers(0, 12),
        seed=st.integers(0, 99),
        tau_us=st.floats(1e3, 1e7),
        min_margin=st.floats(0.0, 2.0),
        min_typicality=st.floats(0.0, 1.0),
    ),
    kernel=st.sampled_from(KERNELS),
    gap_us=st.sampled_from([0.0, 1.0, 100.0, 10_000.0]),
)
def test_any_readout(model: Model, kernel: Kernel, gap_us: float) -> None:
    quant = quantise(model)[0]
    native = build_native(render(make_plan(quant, None, Options(), kernel)), "-O0")
    twin = Twin(quant, Options())
    assert native.decision == astuple(twin.decision) == (-1, 0, 0, True)
    for seed in range(2):
        same(native, twin, make_events(400, model.sensor, seed, mean_gap_us=gap_us)[seed:])


def at_pixel(count: int, t_us: int, x: int = 0, y: int = 0) -> Events:
    events = np.zeros(count, EVENT_DTYPE)
    events["t_us"], events["x"], events["y"] = t_us, x, y
    return events


def test_one_pixel_at_any_rate_ends_where_nothing_grows() -> None:
    """All events at one time and one corner: halved again and again, up to the largest excess."""
    native, twin = pair(6)
    excess = []
    for _ in range(16):
        same(native, twin, at_pixel(4096, 5))
        excess.append(int(twin.snapshot()[-7]))
    assert excess[-1] == excess[-2] >= 11
    assert twin.histogram.max() < 2**15
    same(native, twin, at_pixel(1, 5 + 2**20))
    assert int(twin.snapshot()[-7]) == 0


@pytest.mark.parametrize("silence_us", [10**3, 10**5, 2**32 - 1, 2**32, 2**40, 2**63])
def test_silences_fade_all(silence_us: int) -> None:
    native, twin = pair(0)
    same(native, twin, make_events(300, SENSOR, mean_gap_us=1.0))
    same(native, twin, at_pixel(1, silence_us + 400, 6, 4))


def test_features_that_are_seldom_touched_do_not_alias() -> None:
    """One feature then wins alone over more halvings than 16 bits count."""
    model = with_fading_readout(make_model(SENSOR, **SMALL), tau_us=1e3)
    quant = quantise(model)[0]
    native, twin = build_native(render(make_plan(quant, None, Options()))), Twin(quant, Options())
    same(native, twin, make_events(3000, SENSOR, mean_gap_us=0.5))
    assert twin.histogram.any()
    octave = 64 * quant.readout.step_us
    late = at_pixel(70_000, 10**6, 6, 4)
    late["t_us"] += np.arange(70_000, dtype=np.uint64) * np.uint64(octave)
    same(native, twin, late)


def test_decisions_abstain_by_margin_and_by_typicality() -> None:
    seen = set()
    for limits in ({}, {"min_margin": 100.0}, {"min_typicality": 1.0}):
        model = with_fading_readout(make_model(SENSOR, **SMALL), **limits)
        quant = quantise(model)[0]
        native, twin = build_native(render(make_plan(quant, None, Options()))), Twin(quant, Options())
        same(native, twin, make_events(500, SENSOR))
        seen.add((native.decision[0] >= 0, native.decision[3]))
    assert seen == {(True, False), (True, True)}


def test_equal_scores_give_the_lowest_label_and_no_margin() -> None:
    model = with_fading_readout(make_model(SENSOR, **SMALL), classes=4, hidden=0)
    readout = model.readout
    weights = np.tile(readout.weights[:1], (4, 1))
    model = replace(model, readout=replace(readout, weights=weights, bias=np.zeros(4)))
    quant = quantise(model)[0]
    native, twin = build_native(render(make_plan(quant, None, Options()))), Twin(quant, Options())
    same(native, twin, make_events(500, SENSOR))
    assert native.decision[:2] == (0, 0)


def test_learning_and_a_learned_state_leave_the_readout_alone() -> None:
    native, twin = pair(3)
    words = quantise(CASES[3][0])[0].state(Options(True)).find("readout", "entries")
    same(native, twin, make_events(400, SENSOR))
    held = native.snapshot()[words.start :]
    learned = twin.learned()
    learned[0] ^= 1
    assert native.import_learned(learned) == twin.import_learned(learned)
    np.testing.assert_array_equal(native.snapshot()[words.start :], held)
    same(native, twin, make_events(400, SENSOR, seed=1)[1:])


def test_the_budget_is_what_the_compiler_makes() -> None:
    for index, (model, options, kernel) in enumerate(CASES):
        plan = make_plan(quantise(model)[0], None, options, kernel)
        assert library(index).ram_bytes == plan.budget.ram
