"""Settling and drift: seen when they are there, not seen when they are not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import MISS, RESULT_DTYPE
from feast_codegen.codegen.model.model import Hyperparameters, Sensor
from feast_codegen.host.cli.app import execute
from feast_codegen.host.network.convergence import SPAN, DriftDetector, has_converged
from feast_codegen.host.network.drift import feed as feed_network
from feast_codegen.host.network.float_model import initial_model
from feast_codegen.host.network.training import FixedLearner, train
from feast_codegen.host.network.training_signals import Signals
from feast_codegen.host.recordings.open import open_source

PARAMS = Hyperparameters()


def signals(misses: np.ndarray, thresholds: np.ndarray) -> Signals:
    shape = (misses.size, PARAMS.total_features)
    return Signals(
        np.full(misses.size, 1000), misses, np.zeros(shape, np.int64), thresholds[:, None] * np.ones(shape)
    )


def test_settled_needs_a_full_span_of_the_law_and_thresholds_at_rest() -> None:
    rest, law = np.full(SPAN, 0.6), np.full(SPAN, 20)
    assert has_converged(signals(law, rest), PARAMS)
    assert not has_converged(signals(law[1:], rest[1:]), PARAMS)
    assert not has_converged(signals(law, rest + np.arange(SPAN) * 0.01), PARAMS)
    assert not has_converged(signals(np.full(SPAN, 40), rest), PARAMS)
    assert not has_converged(signals(np.full(SPAN, 10), rest), PARAMS)
    swing = np.repeat([10, 31], SPAN // 2)  # the law on average alone
    assert not has_converged(signals(swing, rest), PARAMS)
    before = np.full(50, 900)
    assert has_converged(signals(np.concatenate([before, law]), np.full(SPAN + 50, 0.6)), PARAMS)


def feed(detector: DriftDetector, results: np.ndarray, threshold: float = 0.6) -> None:
    start = 0
    while start < results.size:
        chunk = results[start : start + detector.remaining]
        start += chunk.size
        detector.update(chunk, np.full(4, threshold))


@pytest.mark.parametrize("seed", range(5))
def test_the_same_goes_on_without_an_alarm_and_a_change_raises_one(seed: int) -> None:
    generator = np.random.default_rng(seed)

    def draw(count: int, shares: list[float]) -> np.ndarray:
        return generator.choice([MISS, 0, 1, 2, 3], count, p=shares).astype(RESULT_DTYPE)

    usual, other = [0.04, 0.24, 0.24, 0.24, 0.24], [0.04, 0.6, 0.2, 0.1, 0.06]
    detector = DriftDetector(4, window=50, calibration=200)
    feed(detector, draw(50 * 199 + 49, usual))
    assert not detector.calibrated
    feed(detector, draw(1, usual))
    assert detector.calibrated
    feed(detector, draw(50 * 200, usual))
    assert detector.alarm is None
    feed(detector, draw(50 * 40, other))
    assert detector.alarm is not None
    assert detector.alarm.signal == "concentration up"
    assert 50 * 200 < detector.alarm.events <= 50 * 230
    first = detector.alarm
    feed(detector, draw(50 * 50, usual))
    assert detector.alarm == first


def test_a_change_of_level_alone_raises_an_alarm_too() -> None:
    generator = np.random.default_rng(1)
    detector = DriftDetector(4, window=50, calibration=100)
    for _ in range(300):
        chunk = generator.integers(0, 4, 50).astype(RESULT_DTYPE)
        detector.update(chunk, np.full(4, 0.6 + generator.normal(0, 0.01)))
    assert detector.alarm is None
    for _ in range(30):
        detector.update(generator.integers(0, 4, 50).astype(RESULT_DTYPE), np.full(4, 0.55))
    assert detector.alarm is not None and detector.alarm.signal == "threshold down"


def test_a_calibration_too_short_is_refused() -> None:
    with pytest.raises(FeastError, match="19 windows of 250 events: expected 20 or more"):
        DriftDetector(4, calibration=19)


def test_training_until_converged_stops_early_and_can_be_repeated() -> None:
    source = open_source("sim:bars?count=120")
    params = Hyperparameters(features=4, radius=1, delta_i=0.01, delta_e=0.03)
    outcome = train(source, params, until_converged=True, epochs=3, arithmetic="fixed")
    made = outcome.model.training
    assert made.epochs < 3 or made.recordings < 120
    assert has_converged(outcome.signals, params)
    again = train(source, params, epochs=3, max_events=made.events, arithmetic="fixed")
    assert again.model.model_id == outcome.model.model_id
    assert outcome.signals.weight_change.shape == outcome.signals.compared.shape
    assert np.isfinite(outcome.signals.weight_change).all()
    assert outcome.signals.weight_change[0] > outcome.signals.weight_change[-1] > 0


def test_watch_command_tells_bars_from_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve runs from first weights shaken by 1e-6 gave the alarm after 750 events in each."""
    path = tmp_path / "model.npz"
    assert execute(["train", "sim:digits?count=120", "-o", str(path), "--radius", "3"]) == 0
    capsys.readouterr()
    known = ["drift", str(path), "sim:digits?seed=1&count=80", "--calibration", "400", "--json"]
    assert execute([*known[:3], "sim:bars?count=12", *known[3:]]) == 1
    seen = json.loads(capsys.readouterr().out)
    assert seen["false_alarm"] is None and 0 < seen["events_until"] < 20_000
    assert execute([*known[:3], "sim:digits?seed=1&count=5", *known[3:]]) == 0
    assert json.loads(capsys.readouterr().out)["alarm"] is None
    assert execute(["drift", str(path), "sim:digits?count=2", "sim:bars"]) == 2
    assert "too few events to know what is usual" in capsys.readouterr().err


@pytest.mark.data
def test_digits_turn_into_bars(nmnist: Path) -> None:
    """800 recordings without a false alarm, then bars, seen within 15,000 events; in integers, the same
    on every machine."""
    source = open_source(str(nmnist)).split("train").shuffled(seed=0)
    learned = train(source, PARAMS, until_converged=True, arithmetic="fixed")
    assert learned.model.training.recordings < 200
    net = FixedLearner(initial_model(PARAMS, Sensor(34, 34), seed=0))
    detector = DriftDetector(PARAMS.total_features)
    for index in range(learned.model.training.recordings):
        net.reset()
        net.step(source.load(index).events)
    feed_network(detector, net, source.pick(range(learned.model.training.recordings, len(source))))
    assert detector.calibrated and detector.alarm is None
    before = detector.windows * 250
    feed_network(detector, net, open_source("sim:bars?seed=0&count=10"))
    assert detector.alarm is not None and detector.alarm.events - before <= 15_000
