"""The C kernel of the float model, at each width of vectors, against numba_kernel.py."""

from __future__ import annotations

import copy
import pickle
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.model import Hyperparameters, Model, Sensor
from feast_codegen.host.network.engines import c_kernel_build
from feast_codegen.host.network.engines.c_engine import NativeEngine
from feast_codegen.host.network.float_model import FloatFeast, initial_model
from feast_codegen.host.recordings.open import open_source
from tests.support.c_kernel import WIDTHS, kernel_of, needs_c
from tests.support.networks import UNTRAINED, event_streams, make_events, make_model

pytestmark = needs_c

SMALL = Sensor(9, 7)
MODES = [(learning, select) for learning in (False, True) for select in ("nearest", "threshold")]
CLOSE = 2e-5
"""Cosines nearer than this may be ordered either way by rounding in float32; weights may differ by it.

A move rounds a unit vector by 2e-7 at most (three operations of 2**-24 relative), and a move of the same
feature shrinks what earlier ones left by 1 - eta: in all below 2e-7 / eta, 2e-5 at the smallest eta here.
"""
ROUNDING = 130 * 2.0**-24
"""Of a sum of at most 121 terms of one sign, relative."""


@pytest.fixture(scope="module", autouse=True, params=WIDTHS)
def width(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test here runs on the kernel of each width, not only on the one this processor would choose."""
    with kernel_of(request.param) as chosen:
        yield chosen


def pair(model: Model, **options: Any) -> tuple[FloatFeast, FloatFeast]:
    return FloatFeast(model, engine="native", **options), FloatFeast(model, engine="numba", **options)


def is_close_call(exact: FloatFeast, event: Events) -> bool:
    """Whether rounding may decide this event: two candidates, or one and its threshold, are CLOSE."""
    exact = copy.deepcopy(exact)
    exact.scores(event)
    features = exact.params.features
    first = features if exact.params.polarity == "separate" and event["polarity"][0] else 0
    bank = slice(first, first + features)
    weights = exact.weights[bank]
    cosines = weights @ exact._engine._state.patch[: weights.shape[1]]  # type: ignore[union-attr]
    if exact.learning or exact.select == "threshold":
        above = cosines - exact.thresholds[bank]
        if np.abs(above).min() < CLOSE:
            return True
        cosines = cosines[above > 0]
    best = np.sort(cosines)[-2:]
    return best.size == 2 and best[1] - best[0] < CLOSE


def assert_alike(model: Model, recordings: list[Events], learning: bool, select: str) -> None:
    """Kernel, loop and loop in float64 give the same, up to the first event that rounding decides."""
    options: dict[str, Any] = {"learning": learning, "select": select}
    native, loop = pair(model, **options)
    exact = FloatFeast(model, dtype=np.float64, **options)
    for events in recordings:
        before = copy.deepcopy(exact)
        results, looped, expected = native.step(events), loop.step(events), exact.step(events)
        np.testing.assert_array_equal(results <= -2, expected <= -2)
        np.testing.assert_array_equal(results[expected <= -2], expected[expected <= -2])
        differing = np.flatnonzero((results != expected) | (looped != expected))
        if differing.size:
            first = int(differing[0])
            before.step(events[:first])
            assert is_close_call(before, events[first : first + 1]), f"event {first}"
            return
        np.testing.assert_array_equal(native.thresholds, loop.thresholds)
        assert native.counters == loop.counters
        np.testing.assert_allclose(native.weights, loop.weights, rtol=0, atol=CLOSE)
        for net in (native, loop, exact):
            net.reset()


@pytest.mark.parametrize("polarity", ["merged", "separate", "signed"])
@pytest.mark.parametrize("border", ["zero", "skip"])
@pytest.mark.parametrize(("learning", "select"), MODES)
@pytest.mark.parametrize(("radius", "features"), [(1, 1), (1, 5), (2, 16), (3, 33), (5, 32), (8, 7), (15, 3)])
def test_equals_the_loop_from_equal_states(
    polarity: str, border: str, learning: bool, select: str, radius: int, features: int
) -> None:
    """Every result, counter and threshold; weights within rounding. Noise has few close calls."""
    sensor = Sensor(40, 36)
    model = make_model(
        sensor,
        seed=radius,
        threshold=0.15 if polarity == "signed" else 0.7,
        polarity=polarity,
        border=border,
        radius=radius,
        features=features,
        eta=0.01,
    )
    recordings = [make_events(1500, sensor, seed, mean_gap_us=30.0) for seed in (1, 2)]
    assert_alike(model, recordings, learning, select)


@settings(max_examples=60)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(MODES))
def test_codes_and_state_on_any_stream(data: st.DataObject, seed: int, mode: tuple[bool, str]) -> None:
    """Errors, border and time rules exactly; winners wherever rounding cannot decide."""
    polarity = data.draw(st.sampled_from(["merged", "separate", "signed"]))
    border = data.draw(st.sampled_from(["zero", "skip"]))
    options = {
        "polarity": polarity,
        "border": border,
        "radius": 1,
        "features": 3,
        "tau_us": 5000.0,
        "eta": 0.05,
    }
    model = make_model(SMALL, seed, 0.4, **options)
    assert_alike(model, [data.draw(event_streams(SMALL)) for _ in range(2)], *mode)


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 600), max_size=8).map(sorted), seed=st.integers(0, 99))
def test_chunks_give_the_same_bits_as_one_call(cuts: list[int], seed: int) -> None:
    model = make_model(SMALL, seed, 0.6, radius=1, features=70, polarity="separate", tau_us=500.0, eta=0.01)
    events = make_events(600, SMALL, seed)
    whole, chunked = (FloatFeast(model, learning=True, engine="native") for _ in range(2))
    expected = whole.step(events)
    results = np.concatenate([chunked.step(chunk) for chunk in np.split(events, cuts)])
    np.testing.assert_array_equal(results, expected)
    np.testing.assert_array_equal(chunked.weights, whole.weights)
    np.testing.assert_array_equal(chunked.thresholds, whole.thresholds)


def test_scores_equal_the_loops() -> None:
    """Frozen: sums of at most 121 terms and a few more operations, each rounded by 2**-24 at most."""
    model = make_model(Sensor(34, 34), features=21, polarity="separate")
    events = make_events(500)
    events["x"][::50] = 40
    native, loop = (net.scores(events) for net in pair(model))
    np.testing.assert_array_equal(native.winner < 0, loop.winner < 0)
    for name in ("best", "second"):
        np.testing.assert_allclose(getattr(native, name), getattr(loop, name), rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(native.norm, loop.norm, rtol=ROUNDING)
    np.testing.assert_array_equal(native.winner, FloatFeast(model).step(events))


@pytest.mark.parametrize("silence_us", [20_000, 1_000_000, 2**32, 2**53, 2**64 - 2000])
def test_surfaces_are_scaled_alike_over_long_streams(silence_us: int) -> None:
    """A short tau scales the surfaces down many times; a silence clears them."""
    events = make_events(3000, SMALL, mean_gap_us=50.0)
    late = events.copy()
    late["t_us"] = np.minimum(late["t_us"][-1:] + np.uint64(silence_us), 2**64 - 1)
    model = make_model(SMALL, radius=2, features=6, tau_us=700.0, threshold=0.4)
    native, loop = (net.scores(np.concatenate([events, late[:50]])) for net in pair(model))
    np.testing.assert_allclose(native.norm, loop.norm, rtol=ROUNDING)
    differing = native.winner != loop.winner
    assert (native.best - native.second)[differing].max(initial=0.0) < CLOSE


@pytest.mark.parametrize("silence_us", [0, 30_000, 45_000, 60_000, 100_000])
def test_surfaces_fade_and_die_as_in_the_loop(silence_us: int) -> None:
    """A silence of 0 to 144 octaves: each pixel alike, and cleared in one if it is in the other."""
    native, loop = pair(make_model(SMALL, radius=2, features=2, tau_us=1000.0))
    first = make_events(300, SMALL, mean_gap_us=100.0)
    second = make_events(5, SMALL, seed=1, mean_gap_us=100.0)
    second["t_us"] += first["t_us"][-1] + np.uint64(silence_us)
    for net in (native, loop):
        net.step(np.concatenate([first, second]))
    ours = native._engine._surfaces[:, :, : SMALL.width + 4]  # type: ignore[union-attr]
    theirs = loop._engine._state.surfaces  # type: ignore[union-attr]
    np.testing.assert_array_equal(ours == 0.0, theirs == 0.0)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("features", [3, 40, 100])
def test_ties_go_to_the_lowest_of_many(features: int) -> None:
    model = make_model(SMALL, radius=1, features=features)
    model.weights[:] = model.weights[0]
    assert not FloatFeast(model, engine="native").step(make_events(50, SMALL)).any()
    model.thresholds[: features // 2] = 1.0
    model.thresholds[features // 2 :] = -1.0
    winners = FloatFeast(model, select="threshold", engine="native").step(make_events(50, SMALL))
    assert set(winners) == {features // 2}


def test_weights_keep_unit_norm_and_faint_ones_die() -> None:
    """The norm follows from the stored energy: no drift over many updates, no denormal numbers."""
    model = make_model(SMALL, radius=2, features=2, eta=0.3, threshold=-1.0)
    native, loop = pair(model, learning=True)
    events = np.zeros(6000, EVENT_DTYPE)
    events["t_us"] = np.arange(6000) * 10**7
    events["x"], events["y"] = 4, 3
    for net in (native, loop):
        net.step(events)
    np.testing.assert_allclose(np.linalg.norm(native.weights, axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(native.weights == 0.0, loop.weights == 0.0)
    assert np.count_nonzero(native.weights) <= 26


def test_padding_never_learns() -> None:
    """Lanes behind a patch's rows and behind the last feature stay zero, for any values beside the patch."""
    net = FloatFeast(
        make_model(SMALL, radius=1, features=5, eta=0.5, threshold=0.0),
        learning=True,
        engine="native",
    )
    net.step(make_events(2000, SMALL))
    weights = net._engine._weights  # type: ignore[union-attr]
    assert not weights[..., 3].any()
    share = weights.shape[3]
    assert not weights.swapaxes(2, 3).reshape(-1, 3, 4)[5 : weights.shape[1] * share].any()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [(">= load(range", "> load(range"), ("rule->eta * scale * (double)inverse", "rule->eta * scale")],
)
def test_a_planted_fault_is_found(
    right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison can fail: a score equal to its threshold is lost; a context is not of unit norm."""
    text = c_kernel_build.SOURCE.read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "broken.c").write_text(text.replace(right, wrong), encoding="utf-8")
    monkeypatch.setattr(c_kernel_build, "SOURCE", tmp_path / "broken.c")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    c_kernel_build.load_kernel.cache_clear()
    model = Model(Hyperparameters(1, 1, eta=0.2), SMALL, np.eye(9)[4:5], np.ones(1), UNTRAINED)
    events = np.array([(0, 4, 3, 1)] + [(10**8 + i, 3 + i % 3, 3, 1) for i in range(300)], EVENT_DTYPE)
    native, loop = pair(model, learning=True)
    same = np.array_equal(native.step(events), loop.step(events))
    assert not (same and np.allclose(native.weights, loop.weights, atol=1e-4))
    c_kernel_build.load_kernel.cache_clear()


def test_learning_obeys_the_law_on_recordings() -> None:
    """Trajectories part; the balance of the thresholds holds on each: what hits raise, misses lower.

    So the misses of two networks differ by what their thresholds do, over what an event can move all of them.
    """
    source = open_source("sim:digits?seed=3&count=8")
    params = Hyperparameters(features=8, radius=3)
    nets = pair(initial_model(params, source.sensor, seed=0), learning=True)
    for net in nets:
        for stream in source:
            net.reset()
            net.step(stream.events)
        assert net.thresholds.min() > 0.0 and net.thresholds.max() < 1.0, "no threshold was held at a bound"
        hits, misses = net.counters["hits"], net.counters["misses"]
        raised = params.delta_i * hits - params.features * params.delta_e * misses
        assert net.thresholds.sum() == pytest.approx(raised, abs=1e-9)


@pytest.mark.data
def test_real_recordings_learn_alike(nmnist: Path) -> None:
    source = open_source(str(nmnist)).split("test")
    model = initial_model(Hyperparameters(features=32, eta=0.01), source.sensor, seed=0)
    assert_alike(model, [source.load(index).events for index in range(4)], True, "nearest")


def test_a_norm_that_cancellation_spoils_is_corrected() -> None:
    """A move to nearly the opposite: beside the little that remains, a cosine's rounding is large."""
    for eta in (0.4999, 0.5, 0.5001):
        weights = np.zeros((1, 9))
        weights[0, 4], weights[0, 3] = np.cos(1e-3), np.sin(1e-3)
        params = Hyperparameters(1, 1, eta=eta, polarity="signed")
        net = FloatFeast(
            Model(params, SMALL, weights, -np.ones(1), UNTRAINED), learning=True, engine="native"
        )
        assert net.step(np.array([(0, 4, 3, 0)], EVENT_DTYPE))[0] == 0
        np.testing.assert_allclose(np.linalg.norm(net.weights, axis=1), 1.0, rtol=0, atol=1e-6)


def test_a_model_holds_all_that_learning_goes_on_from(tmp_path: Path) -> None:
    """Between recordings, through the file too: the bits of the network that did not stop."""
    model = make_model(SMALL, radius=2, features=20, threshold=0.5, polarity="separate", eta=0.02)
    for net in pair(model, learning=True):
        engine = "native" if isinstance(net._engine, NativeEngine) else "numba"
        for seed in range(8):
            net.step(make_events(300, SMALL, seed))
            save_model(net.to_model(UNTRAINED), tmp_path / "model.npz")
            other = FloatFeast(load_model(tmp_path / "model.npz"), learning=True, engine=engine)
            later = make_events(300, SMALL, seed + 100)
            net.reset()
            np.testing.assert_array_equal(other.step(later), net.step(later))
            np.testing.assert_array_equal(other.weights, net.weights)
            np.testing.assert_array_equal(other.thresholds, net.thresholds)
            net.reset()


def test_copies_and_pickles_go_on_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another width is chosen by then: an object keeps that of its layout."""
    net = FloatFeast(make_model(SMALL, radius=2, features=20, threshold=0.5), learning=True, engine="native")
    net.step(make_events(100, SMALL))
    monkeypatch.setenv("FEAST_LANES", "8" if net._engine._lanes == 4 else "4")  # type: ignore[union-attr]
    c_kernel_build.load_kernel.cache_clear()
    twins = [copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    later = make_events(100, SMALL, seed=1)
    later["t_us"] += np.uint64(10**6)
    expected = net.step(later)
    for twin in twins:
        np.testing.assert_array_equal(twin.step(later), expected)
        np.testing.assert_array_equal(twin.weights, net.weights)


def test_the_width_is_the_one_asked_for(width: str) -> None:
    net = FloatFeast(make_model(SMALL, radius=1, features=3), engine="native")
    assert net._engine._lanes == int(width.split()[0])  # type: ignore[union-attr]


@pytest.mark.skipif(shutil.which("objdump") is None, reason="no objdump to look into libraries with")
def test_no_wider_registers_are_used(width: str) -> None:
    """What a processor lacks is not executed: the plain code of 16 lanes needs no AVX-512."""
    lanes = int(width.split()[0])
    library = c_kernel_build._library(2, lanes)
    listing = subprocess.run(["objdump", "-d", library], check=True, capture_output=True, text=True).stdout
    assert "feast_step" in listing
    if lanes == 4:
        assert "%ymm" not in listing and "%zmm" not in listing
    elif width != "16":
        assert "%zmm" not in listing
