"""`codegen bench host`: the figures are of the work they name; none of this tests how fast the machine is."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Hyperparameters, Sensor
from feast_codegen.host.bench import host as module
from feast_codegen.host.bench.host import (
    Cost,
    bench_host,
    contestants,
    fit_costs,
    lengths,
    one_stream,
    recordings_per_core,
)
from feast_codegen.host.cli.app import execute
from feast_codegen.host.network.float_model import initial_model
from feast_codegen.host.recordings.events import check_events
from feast_codegen.host.recordings.open import open_source


def test_one_stream_lays_recordings_end_to_end() -> None:
    source = open_source("sim:bars?count=2")
    sizes = [stream.events.size for stream in source]
    stream = one_stream(source, 2 * sum(sizes) + 5)
    assert stream.size == 2 * sum(sizes) + 5
    check_events(stream, source.sensor, "stream")
    assert np.count_nonzero(np.diff(stream["t_us"].astype(np.int64)) == 300_000) == 4
    np.testing.assert_array_equal(stream["x"][: sizes[0]], source.load(0).events["x"])


@pytest.mark.skipif(importlib.util.find_spec("eventcv") is None, reason="eventcv is not installed")
def test_all_contestants_do_the_same_work() -> None:
    """Each answers every event, and each hits the border where the others do."""
    import eventcv

    source = open_source("sim:bars?count=2")
    stream = one_stream(source, 3000)
    model = initial_model(Hyperparameters(features=8, border="skip"), source.sensor, seed=0)
    results = {
        name: np.asarray(prepare()()) for name, prepare in contestants(model, False, stream, eventcv).items()
    }
    border = results["float32"] < 0
    assert 0 < border.sum() < 3000
    for name, result in results.items():
        assert result.shape == (3000,), name
        np.testing.assert_array_equal(result < 0, border)
        if name != "eventcv":  # it draws weights of its own
            assert np.mean(result == results["float32"]) > 0.99, name
    rates = [float(contestants(model, True, stream, eventcv)["eventcv"]()())]  # its miss rate: it did learn
    assert 0.0 < rates[0] < 0.5


def test_ratios_without_the_rival(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RIVAL", "no_such_library")
    outcome = bench_host(open_source("sim:bars?count=1"), events=500, rounds=1)
    assert outcome.rival is None
    assert outcome.ratios == dict.fromkeys(("train_32", "train_100", "infer_32", "infer_100"))
    assert {speed.implementation for speed in outcome.speeds} >= {"float32", "emitted C", "integer twin"}
    assert all(speed.events_per_s > 0 for speed in outcome.speeds)
    with pytest.raises(FeastError, match="rounds 0"):
        bench_host(open_source("sim:bars?count=1"), rounds=0)


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["bench", "host", "sim:bars?count=1", "--events", "500", "--rounds", "1", "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert {"train_32", "train_100", "infer_32", "infer_100"} <= set(outcome)
    assert outcome["train_ratio"] == outcome["train_32"] and outcome["infer_ratio"] == outcome["infer_32"]
    one = ["--features", "6", "--radius", "2", "--json"]
    assert execute(["bench", "host", "sim:bars?count=1", "--events", "300", "--rounds", "1", *one]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["features"], outcome["radius"]) == (6, 2)
    assert outcome["train_ratio"] == outcome["train_6"] and "train_32" not in outcome
    assert {speed["features"] for speed in outcome["speeds"]} == {6}
    assert execute(["bench", "host", "sim:bars?count=1", "--events", "300", "--rounds", "1"]) == 0
    assert "train N=100" in capsys.readouterr().out


def test_fit_of_costs_finds_the_line() -> None:
    found = [Cost(n, r, True, 50.0 + 0.02 * n * (2 * r + 1) ** 2) for n in (8, 64) for r in (1, 5)]
    found.append(replace(found[0], learning=False, ns_per_event=1e6))
    assert fit_costs(tuple(found), True) == pytest.approx((50.0, 0.02))


def test_memory_does_not_grow_with_the_stream() -> None:
    stream = one_stream(open_source("sim:bars?count=2"), 5000)
    found = lengths(stream, Sensor(34, 34), repeats=(1, 40))
    assert [each.events for each in found] == [5000, 200_000]
    assert found[-1].peak_growth_bytes in (None, 0) or found[-1].peak_growth_bytes < 2**20  # type: ignore[operator]


def test_recordings_per_core() -> None:
    rates = recordings_per_core(open_source("sim:bars?count=4"), (1, 2))
    assert set(rates) == {1, 2} and min(rates.values()) > 0
