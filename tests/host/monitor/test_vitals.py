"""What the monitor says of lag, latency and traffic."""

from __future__ import annotations

from feast_codegen.host.link.run_results import Latency
from feast_codegen.host.monitor.vitals import LATENCY_EDGES_MS, Lag, LatencyView, Traffic


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def latency_of(*ms: float) -> Latency:
    made = Latency()
    for number, each in enumerate(ms, 1):
        made.sent(number, 0.0)
        made.answered(number, each / 1000)
    return made


def test_lag_is_against_the_streams_own_pace() -> None:
    clock = Clock()
    lag = Lag(clock)
    lag.begin(2.0)
    assert lag.seconds is None
    lag.took(5_000_000)
    clock.now += 1.0
    lag.took(7_000_000)
    assert lag.seconds == 0.0
    clock.now += 3.0
    lag.took(9_000_000)
    assert lag.seconds == 2.0
    lag.begin(None)
    lag.took(9_000_000)
    assert lag.seconds is None


def test_latencies_of_several_runs_are_taken_once() -> None:
    view = LatencyView()
    assert view.view() is None
    first, second = latency_of(1.5, 1.5, 30.0), latency_of(0.001, 99_000.0)
    for latency in (first, first, second, second):
        view.take(latency)
    found = view.view()
    assert found is not None and found["samples"] == 5 and sum(found["counts"]) == 5
    assert found["median"] == 1.5 and found["largest"] == 99_000.0
    assert found["counts"][LATENCY_EDGES_MS.index(1)] == 2
    assert found["counts"][0] == found["counts"][-1] == 1
    first.sent(9, 0.0)
    first.answered(9, 0.5)
    assert first.since(3) == ([0.5], 4)


def test_traffic_is_a_rate_and_begins_again_with_the_line() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    assert traffic.take(0, 0) is None
    clock.now += 2.0
    assert traffic.take(1000, 500) == {"out": 500.0, "in": 250.0}
    clock.now += 0.5
    assert traffic.take(9000, 500) == {"out": 500.0, "in": 250.0}
    assert traffic.take(10, 10) is None
