"""The float model: the rule of FEAST event by event, and the known mistakes of other implementations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import BACKWARDS, BORDER, EVENT_DTYPE, MISS, OUTSIDE, Events
from feast_codegen.codegen.model.model import Hyperparameters, Model, Sensor
from feast_codegen.host.network.float_model import FloatFeast, initial_model
from feast_codegen.host.network.training import FixedLearner, train
from feast_codegen.host.recordings.open import open_source
from tests.support.networks import UNTRAINED, event_streams, make_events, make_model
from tests.support.reference import Reference

SMALL = Sensor(9, 7)
MODES = [(learning, select) for learning in (False, True) for select in ("nearest", "threshold")]


def at(*rows: tuple[int, int, int] | tuple[int, int, int, int]) -> Events:
    """Events from (t_us, x, y[, polarity]) rows."""
    return np.array([(*row, 1)[:4] for row in rows], EVENT_DTYPE)


def features(*patches: dict[tuple[int, int], float], threshold: float = 0.0, **params: Any) -> Model:
    """A radius-1 model on a 9x7 sensor; each feature is {(dx, dy): component}, then scaled to unit norm."""
    weights = np.zeros((len(patches), 3, 3))
    for weight, patch in zip(weights, patches, strict=True):
        for (dx, dy), value in patch.items():
            weight[dy + 1, dx + 1] = value
        weight /= np.linalg.norm(weight)
    hyper = Hyperparameters(features=len(patches), radius=1, **params)
    thresholds = np.full(len(patches), threshold)
    return Model(hyper, SMALL, weights.reshape(len(patches), 9), thresholds, UNTRAINED)


CENTRE, RIGHT, CORNER = {(0, 0): 1.0}, {(0, 0): 1.0, (-1, 0): 1.0}, {(0, 0): 1.0, (-1, -1): 1.0}


# The rule, event by event


@pytest.mark.parametrize("polarity", ["merged", "separate", "signed"])
@pytest.mark.parametrize("border", ["zero", "skip"])
@pytest.mark.parametrize(("learning", "select"), MODES)
def test_float64_equals_the_reference_event_by_event(
    polarity: str, border: str, learning: bool, select: str
) -> None:
    model = make_model(
        SMALL,
        threshold=0.6 if polarity != "signed" else 0.2,
        polarity=polarity,
        border=border,
        radius=2,
        features=5,
        tau_us=2000.0,
        eta=0.02,
        delta_i=0.01,
        delta_e=0.02,
    )
    events = make_events(1200, SMALL, seed=3)
    events["x"][::97] = SMALL.width
    events["t_us"][50::101] -= 5000
    net = FloatFeast(model, learning=learning, select=select, dtype=np.float64)  # type: ignore[arg-type]
    reference = Reference(model, learning, select)
    for chunk in np.split(events, [1, 2, 500, 900]):
        np.testing.assert_array_equal(net.step(chunk), reference.step(chunk))
    np.testing.assert_allclose(net.weights, reference.weights, rtol=0, atol=1e-11)
    np.testing.assert_array_equal(net.thresholds, reference.thresholds)


@settings(max_examples=200)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(MODES))
def test_float64_equals_the_reference_on_any_stream(
    data: st.DataObject, seed: int, mode: tuple[bool, str]
) -> None:
    polarity = data.draw(st.sampled_from(["merged", "separate", "signed"]))
    model = make_model(SMALL, seed, 0.4, polarity=polarity, radius=1, features=3, tau_us=5000.0, eta=0.05)
    net = FloatFeast(model, learning=mode[0], select=mode[1], dtype=np.float64)  # type: ignore[arg-type]
    reference = Reference(model, *mode)
    for _ in range(2):
        events = data.draw(event_streams(SMALL))
        np.testing.assert_array_equal(net.step(events), reference.step(events))
        net.reset()
        reference.reset()
    np.testing.assert_array_equal(net.thresholds, reference.thresholds)


def test_ties_go_to_the_lowest_feature() -> None:
    assert FloatFeast(features(RIGHT, CENTRE, CENTRE)).step(at((0, 4, 3)))[0] == 1


def test_a_score_equal_to_its_threshold_is_in_range() -> None:
    net = FloatFeast(features(CENTRE, threshold=1.0), learning=True)
    assert list(net.step(at((0, 4, 3), (1, 0, 0)))) == [0, 0]


def test_thresholds_saturate_at_the_range_of_a_cosine() -> None:
    net = FloatFeast(features(CENTRE, RIGHT, threshold=0.9, delta_i=0.3, delta_e=0.7), learning=True)
    net.step(at((0, 4, 3)))
    np.testing.assert_array_equal(net.thresholds, [1.0, 0.9])
    low = FloatFeast(features({(1, 0): 1.0}, threshold=0.5, delta_e=2.0), learning=True)
    assert low.step(at((0, 4, 3)))[0] == MISS
    np.testing.assert_array_equal(low.thresholds, [-1.0])


def test_frozen_selection_by_threshold_misses_and_changes_nothing() -> None:
    net = FloatFeast(features(RIGHT, threshold=0.9), select="threshold")
    assert list(net.step(at((0, 4, 3), (0, 5, 3)))) == [MISS, 0]
    np.testing.assert_array_equal(net.thresholds, [0.9])
    assert FloatFeast(features(RIGHT, threshold=0.9)).step(at((0, 4, 3)))[0] == 0


def test_outside_is_told_before_backwards_and_neither_touches_the_state() -> None:
    net, untouched = (FloatFeast(features(CENTRE, RIGHT), learning=True) for _ in range(2))
    good = at((100, 4, 3), (100, 5, 3))
    bad = at((50, 9, 3), (50, 4, 7), (50, 4, 3), (2**64 - 1, 65535, 65535))
    assert list(net.step(np.concatenate([good[:1], bad, good[1:]]))) == [
        *untouched.step(good[:1]),
        OUTSIDE,
        OUTSIDE,
        BACKWARDS,
        OUTSIDE,
        *untouched.step(good[1:]),
    ]
    np.testing.assert_array_equal(net.weights, untouched.weights)
    assert net.counters == untouched.counters | {"outside": 3, "backwards": 1}


def test_reset_clears_surfaces_and_time_but_not_what_was_learned() -> None:
    model = features(CENTRE, RIGHT, threshold=0.5)
    net = FloatFeast(model, learning=True)
    net.step(at((500, 3, 3), (600, 4, 3)))
    weights, thresholds, counters = net.weights, net.thresholds, net.counters
    net.reset()
    np.testing.assert_array_equal(net.weights, weights)
    np.testing.assert_array_equal(net.thresholds, thresholds)
    assert net.counters == counters
    assert net.scores(at((1, 4, 3))).norm[0] == 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scaling_the_surfaces_down_changes_no_result(dtype: type[np.float32]) -> None:
    """3,000 octaves, scaled down some 75 times, against the reference that never scales."""
    model = make_model(SMALL, radius=2, features=4, tau_us=1000.0)
    events = make_events(3000, SMALL, seed=5, mean_gap_us=700.0)
    scores = FloatFeast(model, dtype=dtype).scores(events)
    reference = Reference(model)
    agreement = np.mean(scores.winner == reference.step(events))
    assert agreement == 1.0 if dtype is np.float64 else agreement > 0.999
    assert np.isfinite(scores.best).all()


@pytest.mark.parametrize("silence_us", [2**24, 2**32, 2**53, 2**63, 2**64 - 2])
def test_after_a_long_silence_old_pixels_are_gone(silence_us: int) -> None:
    net = FloatFeast(features(CENTRE, RIGHT, tau_us=1000.0))
    scores = net.scores(at((1, 3, 3), (1 + silence_us, 4, 3), (1 + silence_us, 5, 3)))
    np.testing.assert_array_equal(scores.norm.astype(np.float32), np.sqrt([1, 1, 2], dtype=np.float32))


def test_scores_tell_winner_runner_up_and_norm() -> None:
    scores = FloatFeast(features(CENTRE, RIGHT), dtype=np.float64).scores(
        at((0, 3, 3), (5000, 4, 3), (0, 9, 9))
    )
    decayed = np.exp(-0.25)
    norm = np.hypot(1.0, decayed)
    assert list(scores.winner) == [0, 1, OUTSIDE]
    np.testing.assert_allclose(scores.best[:2], [1.0, (1 + decayed) / norm / np.sqrt(2)], rtol=1e-14)
    np.testing.assert_allclose(scores.second[:2], [np.sqrt(0.5), 1 / norm], rtol=1e-14)
    np.testing.assert_allclose(scores.norm[:2], [1.0, norm], rtol=1e-14)
    assert np.isnan([scores.best[2], scores.second[2], scores.norm[2]]).all()
    assert FloatFeast(features(CENTRE)).scores(at((0, 4, 3))).second[0] == -np.inf


def test_float32_and_float64_choose_the_same_features_when_frozen() -> None:
    model = initial_model(Hyperparameters(features=16), Sensor(34, 34), seed=0)
    events = open_source("sim:digits?count=1").load(0).events
    single, double = (FloatFeast(model, dtype=dtype).step(events) for dtype in (np.float32, np.float64))
    scores = FloatFeast(model, dtype=np.float64).scores(events)
    assert (scores.best - scores.second)[single != double].max(initial=0.0) < 121 * 2.0**-23, "a close call"


def test_separate_banks_have_features_of_their_own_and_a_miss_opens_only_its_own() -> None:
    model = make_model(SMALL, radius=1, features=3, threshold=0.99, polarity="separate", delta_e=0.25)
    net = FloatFeast(model, learning=True)
    assert net.step(at((0, 4, 3, 1)))[0] == MISS
    np.testing.assert_array_equal(net.thresholds, [0.99, 0.99, 0.99, 0.74, 0.74, 0.74])
    frozen = FloatFeast(model)
    results = frozen.step(make_events(200, SMALL))
    np.testing.assert_array_equal(results // 3, make_events(200, SMALL)["polarity"])


def test_the_law_of_the_steady_miss_rate() -> None:
    """Miss rate -> 1 / (1 + N * delta_e / delta_i) and equal wins, for any features learned.

    What a feature's wins raise its threshold by and misses lower it by differs by what the threshold has
    moved, and that is 2 at most, between -1 and 1. So the law holds within bounds that no rounding moves.
    """
    source = open_source("sim:digits?seed=5&count=16")
    for features, delta_i, delta_e in ((8, 0.01, 0.03), (5, 0.02, 0.01)):
        params = Hyperparameters(features=features, radius=3, eta=0.01, delta_i=delta_i, delta_e=delta_e)
        signals = train(source, params).signals
        events = int(signals.compared[3 * signals.compared.size // 4 :].sum())
        slack = 2 * features / (events * (delta_i + features * delta_e))
        assert slack < 0.15 * params.law_miss_rate, "too few events to tell"
        assert signals.steady_miss_rate == pytest.approx(params.law_miss_rate, abs=slack)
        assert np.ptp(signals.steady_wins) <= 4 / delta_i
        assert signals.converged(params, tolerance=0.1 * params.law_miss_rate)


def test_training_is_the_same_for_the_same_seed_and_differs_for_another() -> None:
    source, params = open_source("sim:bars?count=4"), Hyperparameters(features=4, radius=2)
    ids = [train(source, params, seed=seed, epochs=2).model.model_id for seed in (0, 0, 1)]
    assert ids[0] == ids[1] != ids[2]


def test_fixed_training_gives_numbers_that_quantise_to_themselves() -> None:
    source, params = open_source("sim:bars?count=2"), Hyperparameters(features=4, radius=2)
    model = train(source, params, arithmetic="fixed").model
    again = FixedLearner(model).to_model(model.training)
    assert again.model_id == model.model_id
    assert model.training.arithmetic == "fixed"


def test_training_says_what_is_wrong() -> None:
    source = open_source("sim:bars?count=1")
    with pytest.raises(FeastError, match="epochs 0"):
        train(source, Hyperparameters(), epochs=0)
    with pytest.raises(FeastError, match="seed -1"):
        train(source, Hyperparameters(), seed=-1)
    with pytest.raises(FeastError, match="features"):
        train(source, Hyperparameters(features=0))
    tiny = replace(source, sensor=SMALL, read=lambda index: make_events(50, SMALL))
    with pytest.raises(FeastError, match=r"nothing learned.*border zero"):
        train(tiny, Hyperparameters(radius=4, border="skip"))


# Known mistakes of public implementations, one test each


def test_mistake_identical_initial_weights() -> None:
    weights = initial_model(Hyperparameters(features=32, polarity="separate"), SMALL, seed=0).weights
    assert len(np.unique(weights, axis=0)) == 64
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1), 1.0, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(
        weights,
        initial_model(Hyperparameters(features=32, polarity="separate"), SMALL, seed=0).weights,
    )


def test_mistake_only_one_threshold_lowered_on_a_miss() -> None:
    net = FloatFeast(features(RIGHT, CORNER, {(1, 1): 1.0}, threshold=0.9, delta_e=0.1), learning=True)
    assert net.step(at((0, 4, 3)))[0] == MISS
    np.testing.assert_array_equal(net.thresholds, [0.8, 0.8, 0.8])


def test_mistake_l1_instead_of_l2_normalisation() -> None:
    """Two pixels against one: by L1 the contexts' scores would be halved, not divided by sqrt 2."""
    model = features(CENTRE, eta=0.5, tau_us=1e9)
    scores = FloatFeast(model, dtype=np.float64).scores(at((0, 3, 3), (0, 4, 3)))
    np.testing.assert_allclose(scores.best, [1.0, np.sqrt(0.5)], rtol=1e-15)
    net = FloatFeast(model, learning=True, dtype=np.float64)
    net.step(at((0, 3, 3), (0, 4, 3)))
    np.testing.assert_allclose(np.linalg.norm(net.weights, axis=1), 1.0, rtol=1e-15)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (8, 0), (0, 6), (8, 6), (4, 6), (8, 3)])
def test_mistake_a_row_lost_at_the_border(x: int, y: int) -> None:
    """The outermost pixels are seen, in the right place, and so is their whole neighbourhood."""
    inwards = (1 if x == 0 else -1, 1 if y == 0 else -1)
    neighbour = (0, x + inwards[0], y + inwards[1])
    net = FloatFeast(features(CENTRE, {(0, 0): 1.0, inwards: 1.0}))
    scores = net.scores(at(neighbour, (0, x, y)))
    assert scores.winner[1] == 1
    assert scores.best[1] == pytest.approx(1.0)
    assert scores.norm[1] == pytest.approx(np.sqrt(2.0))


def test_mistake_a_row_lost_by_the_skip_policy() -> None:
    pixels = [(x, y) for y in range(SMALL.height) for x in range(SMALL.width)]
    results = FloatFeast(features(CENTRE, border="skip")).step(at(*((0, x, y) for x, y in pixels)))
    full = [1 <= x <= 7 and 1 <= y <= 5 for x, y in pixels]
    np.testing.assert_array_equal(results != BORDER, full)


@pytest.mark.parametrize("t_us", [0, 1, 2**40])
def test_mistake_pixels_that_never_fired_look_fresh(t_us: int) -> None:
    scores = FloatFeast(features(CENTRE, RIGHT)).scores(at((t_us, 4, 3)))
    assert (scores.winner[0], scores.best[0], scores.norm[0]) == (0, 1.0, 1.0)


def test_mistake_winner_chosen_before_the_threshold_test() -> None:
    model = features(CENTRE, RIGHT)
    model.thresholds[:] = [1.0, 0.5]
    net = FloatFeast(model, learning=True, dtype=np.float64)
    events = at((0, 3, 3), (30_000, 4, 3))
    assert FloatFeast(model).step(events)[1] == 0
    assert net.step(events)[1] == 1


def test_mistake_border_events_counted_as_misses() -> None:
    net = FloatFeast(features(RIGHT, threshold=0.9, border="skip"), learning=True)
    weights = net.weights
    assert list(net.step(at((0, 0, 3), (0, 8, 3), (0, 4, 0), (0, 4, 6)))) == [BORDER] * 4
    np.testing.assert_array_equal(net.weights, weights)
    np.testing.assert_array_equal(net.thresholds, [0.9])
    assert net.counters == {"hits": 0, "misses": 0, "border": 4, "outside": 0, "backwards": 0}


def test_mistake_border_events_leave_no_trace_on_the_surface() -> None:
    scores = FloatFeast(features(RIGHT, border="skip")).scores(at((0, 0, 3), (0, 1, 3)))
    assert scores.norm[1] == pytest.approx(np.sqrt(2.0))


def test_mistake_shuffled_event_order() -> None:
    """Training changes the order of recordings, never of events: it is what one network in a row does."""
    source, params = open_source("sim:bars?count=6"), Hyperparameters(features=4, radius=2)
    net = FloatFeast(initial_model(params, source.sensor, 3), learning=True)
    for stream in source.shuffled(3):
        assert (np.diff(stream.events["t_us"].astype(np.int64)) >= 0).all()
        net.reset()
        net.step(stream.events)
    trained = train(source, params, seed=3).model
    np.testing.assert_array_equal(net.to_model(trained.training).weights, trained.weights)


def test_mistake_int_truncated_cosine() -> None:
    """Cosines of 0.71 and 0.89 are both 0 as integers, and the first feature would always win."""
    results = FloatFeast(features(RIGHT, {(0, 0): 1.0, (-1, 0): 0.5})).step(at((0, 4, 3)))
    assert results[0] == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 600), max_size=8).map(sorted), seed=st.integers(0, 99))
def test_mistake_surface_reset_at_every_chunk(dtype: type[np.float32], cuts: list[int], seed: int) -> None:
    model = make_model(SMALL, seed, 0.6, radius=1, features=3, polarity="signed", tau_us=500.0, eta=0.01)
    events = make_events(600, SMALL, seed)
    whole = FloatFeast(model, learning=True, dtype=dtype)
    chunked = FloatFeast(model, learning=True, dtype=dtype)
    expected = whole.step(events)
    np.testing.assert_array_equal(
        np.concatenate([chunked.step(chunk) for chunk in np.split(events, cuts)]), expected
    )
    np.testing.assert_array_equal(chunked.weights, whole.weights)
    np.testing.assert_array_equal(chunked.thresholds, whole.thresholds)


def test_mistake_unsorted_input_accepted() -> None:
    net = FloatFeast(features(CENTRE, RIGHT))
    assert list(net.step(at((10, 4, 3), (9, 3, 3), (10, 4, 3)))) == [0, BACKWARDS, 0]
    assert net.scores(at((10, 4, 3))).norm[0] == 1.0


def test_mistake_polarity_multiplied_in_as_a_sign() -> None:
    """An event of polarity 0 is an event: 1 on a merged surface, -1 on a signed one, never 0."""
    events = at((0, 3, 3, 0), (0, 4, 3, 1))
    merged = FloatFeast(features(RIGHT), dtype=np.float64).scores(events)
    np.testing.assert_allclose(merged.norm, [1.0, np.sqrt(2.0)], rtol=1e-15)
    assert merged.best[1] == pytest.approx(1.0)
    signed = FloatFeast(features(RIGHT, {(0, 0): 1.0, (-1, 0): -1.0}, polarity="signed")).scores(events)
    assert signed.winner[1] == 1
    assert signed.best[1] == pytest.approx(1.0)
    assert signed.best[0] == pytest.approx(-np.sqrt(0.5))
