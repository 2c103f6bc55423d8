"""The integer twin against docs/reference/numerics.md computed another way, and against its own promises."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.events import BACKWARDS, BORDER, MISS, OUTSIDE
from feast_codegen.codegen.base.limits import MOST_DIMS
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import check_learnable, cosine_bound, quantise
from feast_codegen.codegen.model.model import Model, Sensor, norm_limit
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin import kernel, layer
from feast_codegen.codegen.twin.network import Twin
from tests.support.networks import event_streams, make_events, make_model, models

SENSOR = Sensor(13, 9)
LEARNING = Options(learning=True)


def make_twin(options: Options = LEARNING, **params: object) -> Twin:
    return Twin(quantise(make_model(SENSOR, **params))[0], options)  # type: ignore[arg-type]


@settings(max_examples=100, deadline=None)
@given(events=event_streams(SENSOR), cuts=st.lists(st.integers(0, 120), max_size=4))
def test_chunked_and_whole_runs_agree(events: np.ndarray, cuts: list[int]) -> None:
    whole, chunked = make_twin(radius=1, features=3), make_twin(radius=1, features=3)
    parts = [chunked.step(part) for part in np.split(events, sorted(cuts))]
    np.testing.assert_array_equal(whole.step(events), np.concatenate(parts))
    np.testing.assert_array_equal(whole.snapshot(), chunked.snapshot())


@settings(max_examples=60, deadline=None)
@given(events=event_streams(SENSOR, max_size=40))
def test_surface_follows_its_definition(events: np.ndarray) -> None:
    """Against exact rational arithmetic on each pixel's last event."""
    network = make_twin(Options(), radius=1, features=2, tau_us=1000.0)
    results = network.step(events)
    accepted = events[(results != OUTSIDE) & (results != BACKWARDS)]
    expected = np.zeros((SENSOR.height, SENSOR.width), np.int64)
    if len(accepted):
        octave = Fraction(network.quant.octave_q8, 256)
        positions = [Fraction(int(t) - int(accepted["t_us"][0])) / octave for t in accepted["t_us"]]
        now = math.floor(positions[-1])
        for position, event in zip(positions, accepted, strict=True):
            fraction = math.floor((position - math.floor(position)) * octave * 256)
            entry = (fraction * network.quant.fraction_factor) >> 32
            age = now - math.floor(position)
            value = int(network.quant.mantissas[entry]) >> age if age < 15 else 0
            expected[event["y"], event["x"]] = value
    np.testing.assert_array_equal(network.surface()[0], expected)


@settings(max_examples=25, deadline=None)
@given(model=models(), data=st.data())
def test_no_intermediate_overflows(model: Model, data: st.DataObject) -> None:
    """The same functions interpreted, where NumPy reports every overflow of 64 bits."""
    compiled, interpreted = Twin(quantise(model)[0], LEARNING), Twin(quantise(model)[0], LEARNING)
    events = data.draw(event_streams(model.sensor, max_size=6))
    expected = compiled.step(events)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_context", "_dot", "_norm", "_growth", "_learn"):
            patch.setattr(kernel, name, getattr(kernel, name).py_func)
        patch.setattr(layer, "run", kernel.run.py_func)
        with np.errstate(over="raise"):
            results = interpreted.step(events)
    np.testing.assert_array_equal(results, expected)
    np.testing.assert_array_equal(interpreted.snapshot(), compiled.snapshot())


def test_products_stay_within_32_bits_at_every_radius() -> None:
    for radius in range(1, 16):
        most = MOST_DIMS // (2 * radius + 1) ** 2
        for channels in (1, 2, 16, most):
            dims = channels * (2 * radius + 1) ** 2
            largest = 2 ** formats.surface_bits(dims) - 1
            assert (2**15 + norm_limit(dims)) * math.sqrt(dims) * largest < 2**31
            assert dims * largest**2 < 2**32
            assert largest >= 255


def test_steady_miss_rate_obeys_the_law() -> None:
    network = make_twin(features=16, radius=1, threshold=0.0)
    results = network.step(make_events(200_000, SENSOR))[100_000:]
    law = network.quant.params.law_miss_rate
    assert abs((results == MISS).mean() - law) < 0.1 * law


def test_learning_keeps_weights_at_unit_norm() -> None:
    network = make_twin(features=4, radius=2, threshold=-1.0, eta=0.1)
    network.step(make_events(20_000, SENSOR))
    norms = np.linalg.norm(network.weights, axis=1)
    np.testing.assert_allclose(norms, 2**15, atol=norm_limit(25))


def test_thresholds_saturate_at_the_range_of_a_cosine() -> None:
    network = make_twin(features=2, radius=1, delta_i=1.0, delta_e=1.0, threshold=1.0)
    events = make_events(50, SENSOR)
    for event in np.split(events, len(events)):
        network.step(event)
        assert np.abs(network.thresholds).max() <= formats.UNIT


def test_dither_moves_weights_that_plain_rounding_would_freeze() -> None:
    """With eta = 1e-4 every single change is below half a unit of Q15, and learning must go on."""
    network = make_twin(features=1, radius=1, threshold=-1.0, eta=1e-4)
    start = network.weights.copy()
    network.step(make_events(30_000, SENSOR))
    assert np.abs(network.weights - start).max() > 500


def test_errors_come_before_state_changes() -> None:
    network = make_twin(radius=1, features=3)
    events = make_events(4, SENSOR)
    network.step(events)
    before = network.snapshot()
    bad = events[:2].copy()
    bad["x"][0] = SENSOR.width
    bad["t_us"] = 0
    assert network.step(bad).tolist() == [OUTSIDE, BACKWARDS]
    after = network.snapshot()
    changed = np.flatnonzero(before != after)
    first_counter = 3 * 9 + 2 * 3 + 2 + 2 + 10 + 2 * 3
    assert changed.tolist() == [first_counter + 4, first_counter + 6]


def test_border_events_are_not_misses() -> None:
    network = make_twin(radius=2, features=2, border="skip", threshold=1.0)
    events = make_events(400, SENSOR)
    results = network.step(events)
    inner = (events["x"] >= 2) & (events["x"] < 11) & (events["y"] >= 2) & (events["y"] < 7)
    np.testing.assert_array_equal(results == BORDER, ~inner)


def test_learning_refuses_what_fixed_point_cannot_express() -> None:
    for name, value in (("eta", 1e-6), ("eta", 0.2), ("delta_i", 1e-8), ("delta_e", 2.0)):
        with pytest.raises(Exception, match=f"{name} .*fixed point allows"):
            check_learnable(make_model(SENSOR, **{name: value}).params)


def test_winners_agree_with_float_wherever_the_bound_says_so() -> None:
    """Brute-force float64 cosines from exact decay; every event beyond the stated bound must agree."""
    model = make_model(SENSOR, features=8, radius=2, tau_us=2000.0)
    quant, _ = quantise(model)
    events = make_events(3000, SENSOR)
    winners = Twin(quant, Options()).step(events)
    last = np.full((SENSOR.height + 4, SENSOR.width + 4), -np.inf)
    untied = 0
    for event, winner in zip(events, winners, strict=True):
        now, x, y = float(event["t_us"]), int(event["x"]), int(event["y"])
        last[y + 2, x + 2] = now
        context = np.exp((last[y : y + 5, x : x + 5] - now) / model.params.tau_us).ravel()
        norm = np.linalg.norm(context)
        cosines = model.weights @ context / norm
        second, best = np.sort(cosines)[-2:]
        if best - second > 2 * cosine_bound(model, quant, np.array([norm]))[0]:
            untied += 1
            assert winner == np.argmax(cosines)
    assert untied > 1000
