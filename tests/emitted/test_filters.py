"""Filters: the rule of docs/reference/numerics.md section 14, in Python and in the emitted C, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.events import BACKWARDS, FILTERED, OUTSIDE, Events
from feast_codegen.codegen.emit.compiled_library import NativeFeast, build_native
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.event_filter import PASSED, EventFilter
from feast_codegen.codegen.model.filters import Filters, check_filters, make_filters
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.network.float_model import FloatFeast
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.verify import first_difference
from tests.support.networks import (
    behind,
    event_streams,
    make_events,
    make_model,
    make_stack,
    some_filters,
    with_readout,
)

CAMERA = Sensor(13, 9)
ALL = Filters(CAMERA, ((0, 0), (7, 3)), 300, 5000, 1, 1)
CHAINS = [
    Filters(CAMERA, hot_pixels=((0, 0), (12, 0), (3, 4), (12, 8))),
    Filters(CAMERA, refractory_us=100),
    Filters(CAMERA, background_us=2000),
    Filters(CAMERA, downsample_shift=1),
    Filters(CAMERA, refractory_us=32_768, background_us=40),
    Filters(CAMERA, refractory_us=1000, background_us=1_000_000, cell_shift=2),
    Filters(CAMERA, ((5, 5),), background_us=10_000_000, downsample_shift=2),
    ALL,
    Filters(CAMERA, max_rate=20_000, burst=30),
    replace(ALL, max_rate=3000, burst=7),
    Filters(CAMERA, max_rate=1, burst=5),
    Filters(CAMERA, max_rate=1_000_000, burst=16_000),
]
SETTINGS = [
    (Options(), {"polarity": "separate", "border": "skip"}),
    (Options(learning=True), {"polarity": "signed"}),
    (Options(select="threshold"), {}),
]


class PlainLimiter:
    """The limiter of section 14 in plain Python integers."""

    def __init__(self, filters: Filters) -> None:
        self.interval = 4 * ((64_000_000 + filters.max_rate // 2) // filters.max_rate)
        self.bucket = filters.burst * self.interval
        self.side = 1
        camera = filters.camera
        while -(-camera.width // self.side) * -(-camera.height // self.side) > 64:
            self.side *= 2
        self.columns, self.rows = -(-camera.width // self.side), -(-camera.height // self.side)
        self.backlog = self.age = self.limited = 0
        self.last: int | None = None
        self.spent = [0] * (self.columns * self.rows)

    def seen(self, t: int) -> None:
        d, self.last = 0 if self.last is None else 256 * (t - self.last), t
        self.backlog = max(0, self.backlog - d)
        self.age = min(self.age + d, 2 * self.bucket)
        if self.age >= self.bucket:
            over = self.age == 2 * self.bucket
            self.spent = [0 if over else spent // 2 for spent in self.spent]
            self.age = 0

    def passes(self, x: int, y: int) -> bool:
        block = y // self.side * self.columns + x // self.side
        total = self.backlog + self.interval + self.spent[block] * (self.interval // 4)
        assert total < 2**32 and self.spent[block] < 2**16
        if total > self.bucket:
            self.limited += 1
            return False
        self.backlog += self.interval
        self.spent[block] += 1
        return True

    def values(self) -> dict[str, list[int]]:
        names = {"limited": [self.limited], "backlog": [self.backlog], "age": [self.age]}
        return names | {"spent": self.spent}


def plain_rule(filters: Filters, events: Events) -> tuple[list[int], list[int], dict[str, list[int]]]:
    """Section 14 in plain Python integers: results (0: passes), ticks left of each cell, limiter."""
    limiter = PlainLimiter(filters) if filters.max_rate else None
    shift, cell = filters.tick_shift, filters.cell_shift
    last: dict[tuple[int, int], int] = {}
    results, seen = [], None
    hot = set(filters.hot_pixels)

    def since(key: tuple[int, int], t: int) -> float:
        return (t >> shift) - (last[key] >> shift) if key in last else float("inf")

    for event in events:
        t, x, y = int(event["t_us"]), int(event["x"]), int(event["y"])
        if x >= filters.camera.width or y >= filters.camera.height:
            results.append(OUTSIDE)
            continue
        if seen is not None and t < seen:
            results.append(BACKWARDS)
            continue
        seen = t
        if limiter:
            limiter.seen(t)
        key = (x >> cell, y >> cell)
        if (x, y) in hot or since(key, t) < filters.refractory_ticks:
            results.append(FILTERED)
            continue
        last[key] = t
        around = [(key[0] + i, key[1] + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
        supported = any(since(each, t) < filters.background_ticks for each in around)
        if filters.background_us and not supported:
            results.append(FILTERED)
        else:
            results.append(PASSED if not limiter or limiter.passes(x, y) else FILTERED)
    cells = [(x, y) for y in range(filters.cells.height) for x in range(filters.cells.width)]
    left = [max(0, filters.span_ticks - since(each, seen or 0)) for each in cells]
    ticks = [int(each) for each in left] if filters.keeps_times else []
    return results, ticks, limiter.values() if limiter else {}


@settings(max_examples=200, deadline=None)
@given(data=st.data(), cuts=st.lists(st.integers(0, 120), max_size=4))
def test_rule_in_any_chunking(data: st.DataObject, cuts: list[int]) -> None:
    filters = data.draw(some_filters(CAMERA))
    events = data.draw(event_streams(CAMERA))
    chain = EventFilter(filters)
    codes = np.concatenate([chain.classify(part) for part in np.split(events, sorted(cuts))])
    expected, left, limiter = plain_rule(filters, events)
    assert codes.tolist() == expected
    assert np.ravel(chain.values()["ticks_left"]).tolist() == left
    assert {name: np.ravel(chain.values()[name]).tolist() for name in limiter} == limiter
    assert chain.values()["filtered"] == chain.counts[FILTERED] == expected.count(FILTERED)
    chain.reset()
    forgotten = ("seen", "seen_us", "ticks_left", "backlog", "age", "spent")
    assert not any(np.any(chain.values()[name]) for name in forgotten)


@cache
def compiled(chain: int, setting: int) -> tuple[NativeFeast, Twin]:
    options, params = SETTINGS[setting]
    model = behind(CHAINS[chain], radius=1, features=3, eta=0.01, tau_us=3000.0, **params)
    quant, _ = quantise(model)
    return build_native(render(make_plan(quant, None, options))), Twin(quant, options)


def same(native: NativeFeast, twin: Twin, events: Events) -> None:
    results = twin.step(events)
    np.testing.assert_array_equal(native.step(events), results)
    np.testing.assert_array_equal(native.snapshot(), twin.snapshot())


@pytest.mark.parametrize("chain", range(len(CHAINS)))
def test_emitted_c_filters_as_the_twin_does(chain: int) -> None:
    native, _ = compiled(chain, chain % len(SETTINGS))
    options, _ = SETTINGS[chain % len(SETTINGS)]
    twin = Twin(compiled(chain, chain % len(SETTINGS))[1].quant, options)
    native.init()
    for seed, gap_us in enumerate((5.0, 70.0, 3000.0)):
        native.reset()
        twin.reset()
        same(native, twin, make_events(2000, CAMERA, seed, gap_us))
    signals = native.signals()
    counted = sum(signals[name] for name in ("hits", "misses", "border", "filtered"))
    assert counted == 6000
    leaves_all = CHAINS[chain] in (Filters(CAMERA, downsample_shift=1), CHAINS[-1])
    assert (signals["filtered"] > 0) != leaves_all


@settings(max_examples=150, deadline=None)
@given(
    chain=st.integers(0, len(CHAINS) - 1),
    recordings=st.lists(event_streams(CAMERA), min_size=1, max_size=2),
    cut=st.integers(0, 120),
)
def test_any_events_through_the_emitted_c(chain: int, recordings: list[Events], cut: int) -> None:
    setting = chain % len(SETTINGS)
    native, before = compiled(chain, setting)
    native.init()
    twin = Twin(before.quant, SETTINGS[setting][0])
    for events in recordings:
        native.reset()
        twin.reset()
        for part in np.split(events, [cut]):
            same(native, twin, part)


@settings(max_examples=6, deadline=None)
@given(data=st.data(), polarity=st.sampled_from(["merged", "separate", "signed"]), learning=st.booleans())
def test_any_filters_in_the_emitted_c(data: st.DataObject, polarity: str, learning: bool) -> None:
    camera = Sensor(data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40)))
    model = behind(data.draw(some_filters(camera)), radius=2, features=3, polarity=polarity)
    options = Options(learning=learning)
    quant, _ = quantise(model)
    native, twin = build_native(render(make_plan(quant, None, options))), Twin(quant, options)
    same(native, twin, make_events(500, camera, mean_gap_us=data.draw(st.sampled_from([3.0, 300.0, 1e5]))))
    same(native, twin, data.draw(event_streams(camera, max_size=40)))


@pytest.mark.parametrize("chain", [4, 5])
def test_stamps_never_alias_over_long_silences(chain: int) -> None:
    """What a cell keeps are 16 bits; after k * 2^16 ticks they read the same as at its event."""
    native, before = compiled(chain, chain % len(SETTINGS))
    twin = Twin(before.quant, SETTINGS[chain % len(SETTINGS)][0])
    filters = CHAINS[chain]
    events = make_events(60, CAMERA, seed=1, mean_gap_us=9.0)
    silences: Sequence[int] = [
        (ticks + offset) << filters.tick_shift
        for ticks in (filters.span_ticks, 2**15, 65_535 - filters.span_ticks, 2**16, 3 * 2**16, 2**32, 2**40)
        for offset in (-2, -1, 0, 1, 2)
    ]
    for silence_us in [*silences, 2**63]:
        later = events.copy()
        later["t_us"] += np.uint64(silence_us)
        native.init()
        native.reset()
        twin = Twin(before.quant, twin.options)
        same(native, twin, np.concatenate([events, later]))


def test_a_stamp_that_is_one_tick_too_late_for_16_bits() -> None:
    """56,536 us after what a row counts from, a stamp would be 65,536: the row has to count from later on."""
    filters = Filters(CAMERA, refractory_us=3000, background_us=9000)
    quant, _ = quantise(behind(filters, radius=1, features=3))
    files = render(make_plan(quant, None, Options()))
    right = "elapsed <= FEAST_FILTER_STAMP_REACH)"
    assert files["src/feast_filter.c"].count(right) == 1
    late = files["src/feast_filter.c"].replace(right, "elapsed <= FEAST_FILTER_STAMP_REACH + 1u)")
    native, planted = build_native(files), build_native(files | {"src/feast_filter.c": late})
    noticed = []
    for first_us in (56_535, 56_536, 56_537):
        events = np.zeros(4, make_events(1).dtype)
        events["t_us"] = first_us + np.array([0, 1, 2, 3000])
        events["x"], events["y"] = [4, 5, 4, 4], 4
        native.reset()
        planted.reset()
        twin = Twin(quant, Options())
        results = twin.step(events)
        assert [int(result) for result in results if result < 0] == [FILTERED, FILTERED]
        np.testing.assert_array_equal(native.step(events), results)
        noticed.append(not np.array_equal(planted.step(events), results))
    same(build_native(files), Twin(quant, Options()), events)
    assert noticed == [True, True, False]  # of the first stream by its second event


def test_the_last_microseconds_of_time() -> None:
    native, before = compiled(7, 1)
    twin = Twin(before.quant, SETTINGS[1][0])
    events = make_events(200, CAMERA)
    events["t_us"] = np.uint64(2**64 - 1) - np.sort(events["t_us"])[::-1]
    native.init()
    same(native, twin, events)


def test_a_supported_event_passes_and_a_lonely_one_does_not() -> None:
    events = np.zeros(4, make_events(1).dtype)
    events["t_us"] = [0, 99, 300, 400]
    events["x"], events["y"] = [4, 5, 4, 4], [4, 4, 4, 4]
    chain = EventFilter(Filters(CAMERA, background_us=100))
    assert chain.classify(events).tolist() == [FILTERED, PASSED, FILTERED, FILTERED]


def test_left_out_events_change_nothing_of_the_network() -> None:
    filters = Filters(CAMERA, hot_pixels=((4, 4),))
    quant, _ = quantise(behind(filters, radius=1, features=3))
    one, other = Twin(quant, Options(True)), Twin(quant, Options(True))
    events = make_events(400, CAMERA)
    clean = events[(events["x"] != 4) | (events["y"] != 4)]
    one.step(events)
    other.step(clean)
    words = quant.params.total_features * 9 + 2 * 3 + 2 + 12 + 2 * 3 + 11
    np.testing.assert_array_equal(one.snapshot()[:words], other.snapshot()[:words])
    np.testing.assert_array_equal(one.surface(), other.surface())
    assert len(clean) < len(events) and one.snapshot()[words] == len(events) - len(clean)


def test_library_without_filters_takes_what_passes_them() -> None:
    quant, _ = quantise(behind(ALL, radius=1, features=3))
    inside, outside = Twin(quant, Options()), Twin(quant, Options(filters=False))
    events = make_events(900, CAMERA)
    results = inside.step(events)
    passed = ALL.downsampled(events[results != FILTERED])
    np.testing.assert_array_equal(outside.step(passed), results[results != FILTERED])
    plan = make_plan(quant, None, Options(filters=False))
    files = render(plan)
    assert (
        "src/feast_filter.c" not in files
        and '"command": "codegen emit MODEL --no-filters"' in (files["manifest.json"])
    )
    same(build_native(files), Twin(quant, Options(filters=False)), passed)


@pytest.mark.parametrize("learning", [False, True], ids=["frozen", "learning"])
def test_filters_in_front_of_two_layers_with_class_scores(learning: bool) -> None:
    model = with_readout(make_stack(behind(ALL, radius=1, features=3), radius=1, features=4), 3, 5)
    assert (model.camera, model.input_filters, model.filters) == (CAMERA, ALL, None)
    quant, _ = quantise(model)
    options = Options(learning=learning)
    plan = make_plan(quant, None, options)
    native, twin = build_native(render(plan)), Twin(quant, options)
    for seed in range(3):
        same(native, twin, make_events(1500, CAMERA, seed, mean_gap_us=30.0))
        assert native.label == twin.label >= 0
        native.reset()
        twin.reset()
    assert native.signals()["filtered"] > 100 and native.signals()["hits"] > 100
    assert (native.ram_bytes, native.snapshot().size) == (plan.budget.ram, plan.state.words)
    names = [quant.state(options).word_name(index) for index in range(plan.state.words)]
    assert "counter of filtered of the lower layer" in names
    bare, twin = Twin(quantise(model.unfiltered)[0], options), Twin(quant, options)
    events = make_events(900, CAMERA)
    results = twin.step(events)
    passed = results != FILTERED
    np.testing.assert_array_equal(bare.step(ALL.downsampled(events[passed])), results[passed])
    np.testing.assert_array_equal(bare.scores, twin.scores)
    np.testing.assert_array_equal(
        FloatFeast(model, learning=learning).step(events)[~passed], results[~passed]
    )


def test_plan_and_compiler_agree_on_the_size_of_the_state() -> None:
    for chain in range(len(CHAINS)):
        native, twin = compiled(chain, chain % len(SETTINGS))
        plan = make_plan(twin.quant, None, twin.options)
        assert native.ram_bytes == plan.budget.ram
        assert native.snapshot().size == plan.state.words


def test_build_id_follows_every_setting() -> None:
    variants = [
        replace(ALL, hot_pixels=((0, 0), (7, 4))),
        replace(ALL, refractory_us=301),
        replace(ALL, background_us=5001),
        replace(ALL, cell_shift=0),
        ALL,
    ]
    models = [behind(each, radius=1, features=3) for each in variants]
    ids = [make_plan(quantise(model)[0], None, Options()).ids.build for model in models]
    ids.append(make_plan(quantise(models[-1])[0], None, Options(filters=False)).ids.build)
    assert len(set(ids)) == len(ids)
    bare = make_model(ALL.sensor, radius=1, features=3)
    assert ids[-1] == make_plan(quantise(bare)[0], None, Options()).ids.build


def test_difference_names_the_words_of_the_filters() -> None:
    quant, _ = quantise(behind(ALL, radius=1, features=3))
    words = Twin(quant, Options()).snapshot().size
    names = [quant.state(Options()).word_name(index) for index in range(words)]
    first = names.index("counter of filtered")
    assert names[first + 2 : first + 4] == ["seen flag", "time of the last event seen"]
    assert names[first + 7] == "ticks left of filter cell x=0 y=0"
    assert names[first + 7 + 8] == "ticks left of filter cell x=1 y=1"
    assert names[-1] == "pixel x=6 y=4 of surface 0"
    with pytest.raises(IndexError):
        quant.state(Options()).word_name(words)


@pytest.mark.parametrize(("filters", "readout"), [(False, True), (True, False), (False, False)])
def test_words_are_named_as_they_are_emitted(filters: bool, readout: bool) -> None:
    """What the options leave out has no words, so it must not shift the names of those behind it."""
    quant, _ = quantise(with_readout(behind(ALL, radius=1, features=3), grid=2))
    options = Options(filters=filters, readout=readout)
    words = Twin(quant, options).snapshot().size
    names = [quant.state(options).word_name(index) for index in range(words)]
    assert ("seen flag" in names, "scored flag" in names) == (filters, readout)
    assert names[-1] == ("scored flag" if readout else "pixel x=6 y=4 of surface 0")
    assert names.count("pixel x=0 y=0 of surface 0") == 1
    with pytest.raises(IndexError):
        quant.state(options).word_name(words)


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        ("< FEAST_FILTER_REFRACTORY_TICKS", "<= FEAST_FILTER_REFRACTORY_TICKS", "result"),
        ("self->seen = true;", "", "seen flag"),
        ("? stamps[i] - ticks", "? stamps[i]", "ticks left"),
        ("(i != column || r != row)", "true", "result"),
    ],
)
def test_planted_faults_are_found(right: str, wrong: str, found: str) -> None:
    quant, _ = quantise(behind(ALL, radius=1, features=3))
    files = render(make_plan(quant, None, Options()))
    assert files["src/feast_filter.c"].count(right) == 1
    files["src/feast_filter.c"] = files["src/feast_filter.c"].replace(right, wrong)
    events = make_events(6000, CAMERA, mean_gap_us=20.0)
    stream = EventStream(events, CAMERA, "planted", None)
    native, twin = build_native(files), Twin(quant, Options())
    for seed in range(4):  # equal stamps a whole period apart are rare
        stream = replace(stream, events=make_events(3000, CAMERA, seed, (1.0, 20.0, 20.0, 40.0)[seed]))
        native.reset()
        twin.reset()
        difference = first_difference(quant, native, twin, stream)
        if difference.value != "the recording in one call":
            break
    assert found in difference.value


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"refractory_us": -1}, "refractory -1 us"),
        ({"background_us": 10_000_001}, "background 10000001 us.*1 to 10000000"),
        ({"downsample_shift": 7}, "downsample 7: expected 0 to 6"),
        ({"cell_shift": 1, "downsample_shift": 1}, "cells: of no use"),
        ({"refractory_us": 100, "background_us": 1_000_000}, "too far apart.*must be 256 us or more"),
        ({"refractory_us": 1, "background_us": 10_000_000}, "too far apart"),
        ({"hot_pixels": ((13, 0),)}, "x=13 y=0 lies outside the 13x9 camera"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(settings: dict[str, int], problem: str) -> None:
    from feast_codegen.codegen.base.errors import FeastError

    with pytest.raises(FeastError, match=problem):
        make_filters(CAMERA, **settings)


def test_settings_that_leave_nothing_out_are_no_filters() -> None:
    from feast_codegen.codegen.base.errors import FeastError

    assert make_filters(CAMERA, hot_pixels=(), refractory_us=0) is None
    with pytest.raises(FeastError, match="none of them"):
        check_filters(Filters(CAMERA))
    made = make_filters(CAMERA, hot_pixels=[(7, 3), (0, 0), (7, 3)])
    assert made is not None and made.hot_pixels == ((0, 0), (7, 3))
