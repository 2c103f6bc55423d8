"""The limiter keeps its rate in any stretch of time, and spends it fairly over the sensor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.event_filter import PASSED, EventFilter
from feast_codegen.codegen.model.filters import Filters, default_burst, make_filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from tests.support.networks import event_streams, make_events, make_model, some_limiter

CAMERA = Sensor(128, 128)
BLOCK = 16
"""Camera pixels: 8 by 8 blocks."""


def passed(filters: Filters, events: Events) -> Events:
    return events[EventFilter(filters).classify(events) == PASSED]


@settings(max_examples=150, deadline=None)
@given(
    limiter=some_limiter().filter(bool),
    events=event_streams(Sensor(40, 30)),
    gap_us=st.sampled_from([0.2, 5.0, 400.0]),
)
def test_no_stretch_of_time_has_more_than_the_burst_and_what_was_earned(
    limiter: dict[str, int], events: Events, gap_us: float
) -> None:
    filters = Filters(Sensor(40, 30), **limiter)
    for stream in (events, make_events(1500, Sensor(40, 30), mean_gap_us=gap_us)):
        times = [int(t) for t in passed(filters, stream)["t_us"]]
        # Between the events i and j there are j - i + 1: the first one's time less what all before earned.
        ahead = [256 * t - i * filters.interval_q8 for i, t in enumerate(times)]
        latest = np.maximum.accumulate(np.array(ahead, object)) if ahead else []
        assert all(
            at - value <= filters.bucket_q8 - filters.interval_q8
            for at, value in zip(latest, ahead, strict=True)
        )


def crowd(rates: dict[tuple[int, int], float], seconds: float = 2.0, seed: int = 0) -> Events:
    """Events of blocks at their rates, in the order of time."""
    rng = np.random.default_rng(seed)
    parts = []
    for (column, row), rate in rates.items():
        part = np.zeros(rng.poisson(rate * seconds), EVENT_DTYPE)
        part["t_us"] = rng.integers(0, int(seconds * 1e6), len(part))
        part["x"] = column * BLOCK + rng.integers(0, BLOCK, len(part))
        part["y"] = row * BLOCK + rng.integers(0, BLOCK, len(part))
        parts.append(part)
    return np.sort(np.concatenate(parts), order="t_us", kind="stable")


def shares(filters: Filters, rates: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """Events per second of each block that pass, after the burst at the start."""
    events = passed(filters, crowd(rates))
    late = events[events["t_us"] >= 500_000]
    at = list(zip((late["x"] // BLOCK).tolist(), (late["y"] // BLOCK).tolist(), strict=True))
    return {block: at.count(block) / 1.5 for block in rates}


LIMIT = Filters(CAMERA, max_rate=10_000, burst=512)


def test_a_block_that_wants_little_gets_all_of_it_beside_one_that_wants_all() -> None:
    quiet = {(i, 5): 100.0 for i in range(8)}
    got = shares(LIMIT, {(0, 0): 200_000.0, **quiet})
    assert min(got[block] for block in quiet) > 80.0
    assert 0.9 < sum(got.values()) / 10_000 < 1.01


def test_blocks_that_want_too_much_share_alike_whatever_they_want() -> None:
    greedy = {(0, 0): 20_000.0, (1, 0): 60_000.0, (2, 0): 180_000.0, (7, 7): 40_000.0}
    got = shares(LIMIT, greedy)
    assert max(got.values()) / min(got.values()) < 1.15
    assert 0.97 < sum(got.values()) / 10_000 < 1.01


def test_a_plain_bucket_would_give_it_to_whoever_comes() -> None:
    """What the limiter is held against: with a burst of one there is no share to keep."""
    got = shares(Filters(CAMERA, max_rate=10_000, burst=1), {(0, 0): 20_000.0, (2, 0): 180_000.0})
    assert got[2, 0] > 4 * got[0, 0]


def test_a_block_alone_takes_the_whole_rate() -> None:
    assert 0.98 < shares(LIMIT, {(3, 3): 100_000.0})[3, 3] / 10_000 < 1.01


def test_events_within_the_rate_all_pass() -> None:
    events = crowd({(i, j): 100.0 for i in range(8) for j in range(8)})
    assert len(passed(Filters(CAMERA, max_rate=20_000, burst=512), events)) == len(events)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"max_rate": -1}, "max-rate -1 events/s: expected 1 to 1000000"),
        ({"max_rate": 1_000_001}, "max-rate 1000001 events/s"),
        ({"burst": 5}, "burst 5: of no use without --max-rate"),
        ({"max_rate": 10, "burst": 51}, "burst 51: expected 1 to 50 events, at most 5 s of --max-rate 10"),
        ({"max_rate": 100_000, "burst": 16_001}, "burst 16001: expected 1 to 16000"),
        ({"max_rate": 100_000, "burst": -1}, "burst -1"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(settings: dict[str, int], problem: str) -> None:
    with pytest.raises(FeastError, match=problem):
        make_filters(CAMERA, **settings)


def test_a_rate_without_a_burst_is_given_one() -> None:
    made = make_filters(CAMERA, max_rate=100_000)
    assert made == Filters(CAMERA, max_rate=100_000, burst=default_burst(100_000))
    assert str(made) == "at most 100000 events/s, bursts of 1000"


def test_a_model_without_a_limiter_has_the_id_that_it_had() -> None:
    """Ids of models from before there were limiters stay."""
    assert "max_rate" not in Filters(CAMERA, refractory_us=9).stored
    assert Filters(CAMERA, max_rate=9, burst=3).stored["burst"] == 3


def limited(model: Model, options: Options) -> Filters | None:
    return quantise(model)[0].shape.emitted(options).filters


def test_the_rate_of_an_emission_takes_the_place_of_the_models() -> None:
    bare = make_model(Sensor(34, 34), radius=1, features=3)
    own = bare.behind(Filters(Sensor(34, 34), refractory_us=50, max_rate=1000, burst=100))
    at = Options(max_rate=500)
    assert limited(bare, at) == Filters(Sensor(34, 34), max_rate=500, burst=256)
    assert limited(own, at) == Filters(Sensor(34, 34), refractory_us=50, max_rate=500, burst=100)
    assert limited(own, Options(max_rate=0)) == Filters(Sensor(34, 34), refractory_us=50)
    assert limited(bare.behind(Filters(Sensor(34, 34), max_rate=9, burst=5)), Options(max_rate=0)) is None
    events = make_events(900, Sensor(34, 34))
    results = Twin(quantise(bare)[0], at).step(events)
    wanted = Twin(quantise(bare.behind(limited(bare, at)))[0], Options()).step(events)
    np.testing.assert_array_equal(results, wanted)
    with pytest.raises(FeastError, match="max-rate -5"):
        limited(bare, Options(max_rate=-5))
    with pytest.raises(FeastError, match="no limiter either"):
        Options(max_rate=5, filters=False).check()
