"""The fading readout in integers: section 15 of the numerics page, once more in plain Python and lazily."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events, Results
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.fixed_point.quantise_readout import (
    QuantFading,
    cell_table,
    factors,
    quantise_fading,
    roots,
)
from feast_codegen.codegen.model.fading_readout import FadingReadout, check_fading_readout
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.fading import Decision, FadingTwin, classify, normalised, scores
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.evaluation.pooling import cell_weights
from tests.support.networks import make_events, make_model, save_unchecked, with_fading_readout

SENSOR = Sensor(13, 9)
NETWORK = make_model(SENSOR, radius=1, features=3)
FEATURES = 3


def quant_of(model: Model) -> QuantFading:
    assert isinstance(model.readout, FadingReadout)
    return quantise_fading(model.readout, model.sensor)


@dataclass
class Lazy:
    """The histogram as a device may keep it: a feature's entries are halved when they are next touched."""

    quant: QuantFading
    rows: list[list[int]] = field(init=False)
    halved: list[int] = field(init=False)
    halvings: int = 0
    k: int = 0
    j: int = 0
    t_s: int | None = None

    def __post_init__(self) -> None:
        self.rows = [[0] * self.quant.grid**2 for _ in range(FEATURES)]
        self.halved = [0] * FEATURES

    def touch(self, feature: int) -> list[int]:
        behind = self.halvings - self.halved[feature]
        self.rows[feature] = [h >> behind for h in self.rows[feature]]
        self.halved[feature] = self.halvings
        return self.rows[feature]

    def step(self, t: int, x: int, y: int, feature: int) -> None:
        quant, grid = self.quant, self.quant.grid
        if self.t_s is None:
            self.t_s = t
        d = (t - self.t_s) // quant.step_us
        self.t_s += d * quant.step_us
        octaves, self.j = divmod(self.j + d, 64)
        self.halvings += max(0, octaves - self.k)
        self.k = max(0, self.k - octaves)
        gain = round(2 ** (15 + (self.j + 0.5) / 64)) >> self.k
        row = self.touch(feature)
        crowded = False
        for i, share_y in _two(y, SENSOR.height, grid):
            for column, share_x in _two(x, SENSOR.width, grid):
                row[i * grid + column] += share_y * share_x * gain >> 16
                assert row[i * grid + column] < 2**16
                crowded |= row[i * grid + column] >= 2**15
        if crowded:
            self.halvings += 1
            self.k += 1

    def histogram(self) -> list[int]:
        return [h for feature in range(FEATURES) for h in self.touch(feature)]


def _two(p: int, pixels: int, grid: int) -> list[tuple[int, int]]:
    cell = min(max(((2 * p + 1) * grid - pixels) // (2 * pixels), 0), grid - 2)
    share = (64 * ((2 * p + 1) * grid - pixels - 2 * pixels * cell) + pixels) // (2 * pixels)
    share = min(max(share, 0), 64)
    return [(cell, 64 - share), (cell + 1, share)]


def events_of(gaps: list[int], places: list[tuple[int, int, int]], start: int) -> tuple[Results, Events]:
    events = np.zeros(len(places), EVENT_DTYPE)
    events["t_us"] = np.cumsum(np.array([start, *gaps[: len(places) - 1]], np.uint64), dtype=np.uint64)
    results = np.array([place[2] for place in places], np.int16)
    events["x"], events["y"] = [place[0] for place in places], [place[1] for place in places]
    return results, events


PLACES = st.tuples(st.integers(0, 12), st.integers(0, 8), st.integers(-5, FEATURES - 1))
GAPS = st.one_of(st.integers(0, 300), st.integers(0, 10**6), st.sampled_from([0, 216, 217, 13_888, 2**40]))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(PLACES, min_size=1, max_size=60),
    st.lists(GAPS, min_size=60, max_size=60),
    st.integers(0, 2**63),
    st.integers(1, 400),
    st.integers(0, 60),
)
def test_twin_keeps_what_lazy_halving_keeps(
    places: list[tuple[int, int, int]], gaps: list[int], start: int, crowd: int, cut: int
) -> None:
    quant = quant_of(with_fading_readout(NETWORK))
    results, events = events_of(gaps, places, start)
    results, events = np.repeat(results, crowd), np.repeat(events, crowd)
    lazy, whole, parts = Lazy(quant), FadingTwin(quant, FEATURES), FadingTwin(quant, FEATURES)
    for result, event in zip(results.tolist(), events, strict=True):
        if result >= 0:
            lazy.step(int(event["t_us"]), int(event["x"]), int(event["y"]), result)
    whole.step(results, events)
    for part in (slice(0, cut), slice(cut, None)):
        parts.step(results[part], events[part])
    assert whole.entries.ravel().tolist() == lazy.histogram()
    expected = {"excess": lazy.k, "fade_step": lazy.j, "fade_us": lazy.t_s or 0}
    for twin in (whole, parts):
        values = twin.values()
        assert {name: values[name] for name in expected} == expected
        assert values["scored"] == (lazy.t_s is not None)
    np.testing.assert_array_equal(parts.entries, whole.entries)
    assert classify(quant, whole.entries.reshape(1, -1))[0] == expected_decision(quant, lazy.histogram())


def expected_decision(quant: QuantFading, histogram: list[int]) -> Decision:
    """Section 15, classification, in Python integers."""
    total = sum(histogram)
    if total == 0:
        return Decision(-1, 0, 0, True)
    a = 21 - total.bit_length()

    def shift(value: int) -> int:
        return value << a if a >= 0 else value >> -a

    roots_of = []
    for h in map(shift, histogram):
        q = next(q for q in range(8) if h >> 2 * q < 256)
        roots_of.append(((math.isqrt(1024 * (h >> 2 * q)) + 1) // 2) << q)
    v = math.isqrt(256 * shift(total))
    assert 2**20 <= shift(total) < 2**21 and 2**14 <= v <= 23170
    assert sum(r * r for r in roots_of) < 23553**2 and max(roots_of) < 2**15

    def layer(weights: Any, bias: Any, inputs: list[int]) -> list[int]:
        pairs = zip(weights.tolist(), bias.tolist(), strict=True)
        sums = [sum(w * i for w, i in zip(row, inputs, strict=True)) + (b * v >> 8) for row, b in pairs]
        assert all(abs(value) < 2**31 for value in sums)
        return sums

    inputs = roots_of
    if len(quant.hidden_bias):
        units = layer(quant.hidden_weights, quant.hidden_bias, inputs)
        inputs = [max(0, unit) >> quant.hidden_shift for unit in units]
        assert max(inputs) < 2**15
    values = layer(quant.weights, quant.bias, inputs)
    label = max(range(len(values)), key=lambda c: (values[c], -c))
    second = max(value for c, value in enumerate(values) if c != label)
    inverse = (2**32 - 1) // v
    margin = (values[label] - second) * inverse >> 18
    like = max(layer(quant.means, np.zeros(len(quant.means), int), roots_of))
    typicality = min(2**15 - 1, (like * inverse >> 18) * quant.mean_factor >> 32)
    abstains = margin < quant.min_margin or typicality < quant.min_typicality
    return Decision(label, margin, typicality, abstains)


HISTOGRAMS = st.lists(
    st.one_of(st.just(0), st.integers(0, 40), st.integers(0, 2**15 - 1)), min_size=27, max_size=27
)


@settings(max_examples=80, deadline=None)
@given(HISTOGRAMS, st.integers(0, 5), st.sampled_from([0, 1, 5]))
def test_decisions_are_those_of_the_page(histogram: list[int], seed: int, hidden: int) -> None:
    limits = {"min_margin": 0.2, "min_typicality": 0.8}
    quant = quant_of(with_fading_readout(NETWORK, hidden=hidden, seed=seed, **limits))
    assert classify(quant, np.array([histogram]))[0] == expected_decision(quant, histogram)


@settings(max_examples=40, deadline=None)
@given(HISTOGRAMS, st.integers(0, 5))
def test_linear_scores_are_the_models_within_their_rounding(histogram: list[int], seed: int) -> None:
    model = with_fading_readout(NETWORK, hidden=0, seed=seed)
    quant, readout = quant_of(model), model.readout
    assert isinstance(readout, FadingReadout)
    vectors, norms = normalised(np.array([histogram]))
    if norms[0] == 0:
        return
    exact = (readout.weights @ vectors[0] + readout.bias * norms[0]) * quant.margin_unit / 2**14
    bound = 0.5 * vectors[0].sum() + norms[0] / 512 + 1
    assert (np.abs(scores(quant, vectors, norms)[0] - exact) <= bound).all()


def test_no_rate_of_events_overflows_an_entry() -> None:
    quant = quant_of(with_fading_readout(NETWORK))
    twin = FadingTwin(quant, FEATURES)
    events = np.zeros(40_000, EVENT_DTYPE)
    events["x"], events["y"] = 6, 4
    excess = []
    for _ in range(8):
        twin.step(np.zeros(events.size, np.int16), events)
        excess.append(twin.values()["excess"])
        assert 0 < twin.entries.max() < 2**15
    assert excess[-1] == excess[-2] == 12, "a histogram that takes no more events keeps its excess"
    later = events[:1].copy()
    later["t_us"] = 64 * quant.step_us
    before = twin.entries.copy()
    twin.step(np.zeros(1, np.int16), later)
    assert twin.values()["excess"] == 11
    assert (twin.entries >= before).all(), "while there is an excess, an octave lowers it and no entry"


def test_ties_go_to_the_lowest_label_and_nothing_gives_no_label() -> None:
    model = with_fading_readout(NETWORK, hidden=0)
    assert isinstance(model.readout, FadingReadout)
    same = np.tile(model.readout.weights[:1], (3, 1))
    tied = replace(model.readout, weights=same, bias=np.zeros(3))
    quant = quantise_fading(tied, SENSOR)
    some, none = classify(quant, np.array([[5] * 27, [0] * 27]))
    assert (some.label, some.margin, some.abstains) == (0, 0, False)
    assert (none.label, none.margin, none.typicality, none.abstains) == (-1, 0, 0, True)


def test_bounds_of_the_page_hold_for_the_tables() -> None:
    root = roots().astype(int)
    assert all(int(r) ** 2 <= 1.03321 * 256 * i for i, r in enumerate(root))
    assert 1.03321 * 2**29 < 23553**2
    assert math.isqrt(2**29 - 256) <= 23170
    assert factors().min() >= 2**15 and len(factors()) == 64
    assert (15 * 2**12) >> 16 == 0 and (16 * 2**12) >> 16 == 1
    assert 127 * math.isqrt(2**17 - 1) * 23553 + 23553 * 127 + 2**15 * 23170 + 1 < 2**31


@pytest.mark.parametrize(("pixels", "grid"), [(34, 5), (13, 3), (2, 2), (320, 16), (7, 7)])
def test_cells_are_the_overlapping_ones_of_the_histograms(pixels: int, grid: int) -> None:
    table, expected = cell_table(pixels, grid), cell_weights(pixels, grid, 1.0)
    shares = np.zeros((pixels, grid))
    each = np.arange(pixels)
    shares[each, table.first] += (64 - table.share.astype(int)) / 64
    shares[each, table.first + 1] += table.share / 64
    assert np.abs(shares - expected).max() <= 1 / 128 + 1e-12


def test_network_twin_carries_the_readout_in_its_state() -> None:
    model = with_fading_readout(NETWORK, hidden=2)
    quant, _ = quantise(model)
    twin = Twin(quant, Options())
    twin.step(make_events(400, SENSOR))
    values = quant.state(Options()).unpack(twin.snapshot())["readout"]
    np.testing.assert_array_equal(values["entries"].ravel(), twin.histogram)
    assert int(values["scored"]) == 1 and twin.label == twin.decision.label >= 0
    twin.reset()
    assert twin.label == -1 and not twin.histogram.any()
    plain = Twin(quant, Options(readout=False))
    with pytest.raises(FeastError, match="no fading readout"):
        _ = plain.decision


@pytest.mark.parametrize("hidden", [0, 3])
def test_model_file_holds_a_fading_readout(tmp_path: Path, hidden: int) -> None:
    model = with_fading_readout(NETWORK, hidden=hidden, min_margin=0.25, min_typicality=0.5)
    save_model(model, tmp_path / "model.npz")
    read = load_model(tmp_path / "model.npz")
    assert read.model_id == model.model_id
    assert isinstance(read.readout, FadingReadout) and isinstance(model.readout, FadingReadout)
    assert quant_of(read).digest == quant_of(model).digest
    assert quant_of(read).min_margin > 0 and quant_of(read).min_typicality == 2**14


BAD: dict[str, dict[str, Any]] = {
    "grid 1: expected 2 to 16": {"grid": 1},
    "readout tau 999 us: expected 1000 to": {"tau_us": 999.0},
    "min_margin -1": {"min_margin": -1.0},
    "min_typicality 2": {"min_typicality": 2.0},
    "classes: expected 2": {"labels": ("0",)},
    "bias have shape": {"bias": np.zeros(2)},
    "not finite": {"bias": np.array([0.0, np.nan, 0.0])},
    "not vectors of unit length": {"means": np.ones((3, 27))},
}


@pytest.mark.parametrize("problem", BAD)
def test_bad_fading_readouts_are_refused_in_one_line(tmp_path: Path, problem: str) -> None:
    model = with_fading_readout(NETWORK)
    assert isinstance(model.readout, FadingReadout)
    broken = replace(model.readout, **BAD[problem])
    with pytest.raises(FeastError, match=problem) as caught:
        check_fading_readout(broken, FEATURES)
    assert "\n" not in str(caught.value)
    save_unchecked(replace(model, readout=broken), tmp_path / "bad.npz")
    with pytest.raises(FeastError, match=r"bad\.npz: "):
        load_model(tmp_path / "bad.npz")


def test_unknown_kind_of_readout_is_refused(tmp_path: Path) -> None:
    model = with_fading_readout(NETWORK)
    save_unchecked(model, tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as archive:
        arrays = dict(archive)
    header = arrays["header"].tobytes().replace(b'"fading"', b'"newer"')
    arrays["header"] = np.frombuffer(header, np.uint8)
    np.savez(tmp_path / "model.npz", **arrays)
    with pytest.raises(FeastError, match=r"readout.*kind"):
        load_model(tmp_path / "model.npz")


def test_it_is_emitted_unless_it_is_left_out() -> None:
    quant, _ = quantise(with_fading_readout(NETWORK))
    plan = make_plan(quant, None, Options())
    assert plan.readout is not None and plan.readout.fades
    assert make_plan(quant, None, Options(readout=False)).readout is None


def test_grid_finer_than_the_sensor_is_refused() -> None:
    model = with_fading_readout(make_model(Sensor(4, 3), radius=1, features=1), grid=4)
    with pytest.raises(FeastError, match="4x3 sensor has fewer pixels"):
        quantise(model)
