"""Pooling against its definition, and the stages that are built on it."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.stages import stage_table, table_text
from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import BORDER, MISS
from feast_codegen.codegen.model.model import Arithmetic, Hyperparameters, Sensor
from feast_codegen.host.evaluation.ablation import Measure, feature_stages
from feast_codegen.host.evaluation.feature_vectors import feature_vectors, raw_vectors
from feast_codegen.host.evaluation.pooling import Pooling, cell_weights, normalise, pool, pool_sums
from feast_codegen.host.network.float_model import FloatFeast
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import open_source
from tests.support.networks import make_events

SENSOR = Sensor(13, 9)
COUNT = 4


@given(pixels=st.integers(1, 60), grid=st.integers(1, 9), overlap=st.sampled_from([0.0, 1.0, 1.5, 2.0, 4.0]))
def test_each_pixel_is_shared_out_whole(pixels: int, grid: int, overlap: float) -> None:
    weights = cell_weights(pixels, grid, overlap)
    assert weights.shape == (pixels, grid) and (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    if overlap:
        np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-12)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 60),
    grid=st.integers(1, 5),
    overlap=st.sampled_from([0.0, 1.0, 1.5]),
    kind=st.sampled_from(["counts", "surface"]),
    until_us=st.sampled_from([None, 0, 1500, 10**6]),
)
def test_sums_follow_the_definition(
    seed: int, count: int, grid: int, overlap: float, kind: str, until_us: int | None
) -> None:
    events = make_events(count, SENSOR, seed)
    results = np.random.default_rng(seed).integers(MISS, COUNT, count).astype(np.int16)
    pooling = Pooling(grid, kind, overlap, tau_us=1000.0, until_us=until_us)  # type: ignore[arg-type]
    planes = np.zeros((COUNT, SENSOR.height, SENSOR.width))
    times = events["t_us"].astype(float)
    end = times[0] + until_us if count and until_us is not None else np.inf
    now = min(times[-1], end) if count else 0.0
    for time, event, result in zip(times, events, results, strict=True):
        if result < 0 or time > end:
            continue
        place = (int(result), int(event["y"]), int(event["x"]))
        if kind == "counts":
            planes[place] += 1
        else:
            planes[place] = np.exp(-(now - time) / 1000.0)
    down, across = (cell_weights(side, grid, overlap) for side in (SENSOR.height, SENSOR.width))
    expected = np.einsum("nyx,yg,xh->ghn", planes, down, across)
    np.testing.assert_allclose(
        pool_sums(results, events, SENSOR, COUNT, pooling), expected.ravel(), atol=1e-9
    )


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 60), grid=st.integers(1, 9))
def test_plain_cells_count_each_event_once(seed: int, count: int, grid: int) -> None:
    events = make_events(count, SENSOR, seed)
    results = np.random.default_rng(seed).integers(BORDER, COUNT, count).astype(np.int16)
    counts = np.zeros((grid, grid, COUNT))
    for event, result in zip(events, results, strict=True):
        if result >= 0:
            counts[int(event["y"]) * grid // 9, int(event["x"]) * grid // 13, result] += 1
    np.testing.assert_array_equal(pool_sums(results, events, SENSOR, COUNT, Pooling(grid)), counts.ravel())
    expected = np.sqrt(counts.ravel() / max(float(counts.sum()), 1.0))
    np.testing.assert_allclose(pool(results, events, SENSOR, COUNT, Pooling(grid)), expected, atol=1e-15)


def test_vectors_have_unit_norm_or_are_zero() -> None:
    vectors = normalise(np.array([[1.0, 4.0], [0.0, 0.0]]), 0.5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1.0, 0.0])
    np.testing.assert_allclose(vectors[0], np.array([1.0, 2.0]) / np.sqrt(5.0))


@pytest.mark.parametrize(
    ("pooling", "message"),
    [
        (Pooling(grid=0), "grid 0"),
        (Pooling(overlap=0.5), "overlap 0.5"),
        (Pooling(power=0.0), "power 0"),
        (Pooling(tau_us=0.0), "tau 0"),
    ],
)
def test_poolings_without_sense_are_refused(pooling: Pooling, message: str) -> None:
    with pytest.raises(FeastError, match=message):
        pool(np.zeros(0, int), make_events(0, SENSOR), SENSOR, COUNT, pooling)


def test_workers_and_one_process_give_the_same() -> None:
    source = open_source("sim:bars?count=36")
    model = train(source, Hyperparameters(features=4, radius=1)).model
    poolings = [Pooling(), Pooling(3, "surface", 1.5)]
    reported: list[int] = []
    one = feature_vectors(source, model, poolings, progress=lambda done, _: reported.append(done))
    two = feature_vectors(source, model, poolings, jobs=2)
    assert reported == [16, 32, 36]
    for here, there in zip(one.values, two.values, strict=True):
        np.testing.assert_array_equal(here, there)
    net, stream = FloatFeast(model), source.load(35)
    expected = pool(net.step(stream.events), stream.events, source.sensor, 4, Pooling())
    np.testing.assert_array_equal(one.values[0][35], expected)
    counts = raw_vectors(source, "by polarity", [Pooling(1)]).values[0]
    assert counts.shape == (36, 2) and (counts > 0).all()


def test_stage_table_goes_up_from_raw_events_to_features() -> None:
    source = open_source("sim:digits?count=100")
    params = Hyperparameters(features=8, radius=3)
    stages = stage_table(source, params, Measure(Pooling(5, overlap=1.5), folds=5))
    ridge = {(stage.name, stage.pooling): stage.accuracies["ridge"] for stage in stages}
    assert ridge["features, separate", "5x5 counts"] > ridge["raw events, merged", "5x5 counts"]
    assert ridge["features, separate", "5x5 counts"] > ridge["features, separate", "1x1 counts"]
    assert {"the same, run in integers", "learned and run in integers"} <= {name for name, _ in ridge}
    text = table_text(stages)
    assert text.startswith("| stage | pooling | ridge | KNN |") and text.count("\n") == 1 + len(stages)


@pytest.mark.prove
@pytest.mark.data
def test_real_digits_read_out_as_well_as_documented(nmnist: object) -> None:
    """The results page: 98.2 % linear, 98.0 % in integers. Learned in integers: the same on any processor."""
    source = open_source(str(nmnist)).split("train")
    params = Hyperparameters(features=64, radius=1, tau_us=1e6, eta=0.01, polarity="separate")
    learned = train(source, params, arithmetic="fixed").model
    measure = Measure(Pooling(7, overlap=1.5, power=0.3), {})
    accuracies = {
        arithmetic: feature_stages(source, learned, "features", measure, arithmetic)[1].accuracies["ridge"]
        for arithmetic in get_args(Arithmetic)
    }
    assert accuracies["float"] >= 0.974
    assert abs(accuracies["fixed"] - accuracies["float"]) <= 0.003
