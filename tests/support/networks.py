"""Models and event streams for tests: seeded, and as hypothesis strategies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.fading_readout import FadingReadout
from feast_codegen.codegen.model.filters import Filters, make_filters
from feast_codegen.codegen.model.model import (
    Hyperparameters,
    Model,
    Sensor,
    Training,
    header_text,
    stacked,
    stored_arrays,
)
from feast_codegen.codegen.model.readout import Readout

UNTRAINED = Training("test", 0, 0, 1, 0, "fixed", 0.0)


def make_model(
    sensor: Sensor = Sensor(34, 34), seed: int = 0, threshold: float = 0.5, **params: Any
) -> Model:
    """A model of random unit weights, signed ones for `signed` polarity."""
    rng = np.random.default_rng(seed)
    hyper = Hyperparameters(**params)
    draw = rng.normal if hyper.polarity == "signed" else rng.random
    weights = draw(size=(hyper.total_features, hyper.dims))
    weights /= np.linalg.norm(weights, axis=1)[:, None]
    return Model(hyper, sensor, weights, np.full(hyper.total_features, threshold), UNTRAINED)


def save_unchecked(model: Model, path: Path) -> None:
    """Write a model file with a right checksum for any content of the model: `save_model` refuses some."""
    header = np.frombuffer(header_text(model).encode(), np.uint8)
    sha256 = np.frombuffer(bytes.fromhex(model.model_id), np.uint8)
    np.savez(path, header=header, sha256=sha256, **stored_arrays(model))


def make_stack(lower: Model, seed: int = 0, threshold: float = 0.5, **params: Any) -> Model:
    """A second layer of random unit weights on `lower`."""
    hyper = stacked(lower, Hyperparameters(**params))
    weights = np.random.default_rng(seed).random((hyper.total_features, hyper.dims))
    weights /= np.linalg.norm(weights, axis=1)[:, None]
    return Model(hyper, lower.sensor, weights, np.full(hyper.total_features, threshold), UNTRAINED, lower)


def with_readout(model: Model, grid: int = 3, classes: int = 3, seed: int = 0, spread: float = 1.0) -> Model:
    """The model with a random readout of classes "0", "1", ..."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(scale=spread, size=(classes, grid * grid * model.params.total_features))
    labels = tuple(str(number) for number in range(classes))
    return replace(model, readout=Readout(grid, labels, weights, rng.normal(size=classes)))


def with_fading_readout(
    model: Model,
    grid: int = 3,
    classes: int = 3,
    hidden: int = 4,
    seed: int = 0,
    tau_us: float = 20_000.0,
    **limits: float,
) -> Model:
    """The model with a random fading readout of classes "0", "1", ...; `limits`: of abstention."""
    rng = np.random.default_rng(seed)
    entries = grid * grid * model.params.total_features
    means = rng.random((classes, entries))
    readout = FadingReadout(
        grid=grid,
        tau_us=tau_us,
        labels=tuple(str(number) for number in range(classes)),
        hidden_weights=rng.normal(size=(hidden, entries)),
        hidden_bias=rng.normal(size=hidden),
        weights=rng.normal(size=(classes, hidden or entries)),
        bias=rng.normal(size=classes),
        means=means / np.linalg.norm(means, axis=1, keepdims=True),
        **limits,
    )
    return replace(model, readout=readout)


def make_events(
    count: int, sensor: Sensor = Sensor(34, 34), seed: int = 0, mean_gap_us: float = 70.0
) -> Events:
    """Random events in time order, at random pixels, starting at a random time."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT_DTYPE)
    events["t_us"] = 1000 + np.cumsum(rng.exponential(mean_gap_us, count)).astype(np.uint64)
    events["x"] = rng.integers(0, sensor.width, count)
    events["y"] = rng.integers(0, sensor.height, count)
    events["polarity"] = rng.integers(0, 2, count)
    return events


GAPS_US = st.one_of(
    st.integers(0, 200),
    st.integers(0, 100_000),
    st.integers(0, 2**24),
    st.integers(0, 2**58),
    st.sampled_from([2**23 - 1, 2**23, 2**32 - 1, 2**32, 2**55, 2**56]),
)
"""Time steps: dense, sparse, and across every branch of the octave arithmetic."""


@st.composite
def event_streams(draw: st.DrawFn, sensor: Sensor, max_size: int = 120) -> Events:
    """Events that are mostly valid; some lie off the sensor or run backwards, times reach 2^64 - 1."""
    steps = draw(
        st.lists(
            st.tuples(
                GAPS_US,
                st.integers(0, sensor.width + (sensor.width > 2)),
                st.integers(0, sensor.height),
                st.integers(0, 255),
                st.integers(0, 19),
            ),
            max_size=max_size,
        )
    )
    events = np.zeros(len(steps), EVENT_DTYPE)
    now = draw(st.one_of(st.just(0), st.integers(0, 2**40), st.integers(0, 2**64 - 1)))
    for i, (gap, x, y, polarity, kind) in enumerate(steps):
        now = min(now + gap, 2**64 - 1)
        earlier = now - min(now, gap + 1)
        events[i] = (earlier if kind == 0 else now, x, y, polarity)
    return events


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Models over the whole range of fixed point, with extreme weights and thresholds among them."""
    sensor = Sensor(draw(st.integers(1, 40)), draw(st.integers(1, 40)))
    params = Hyperparameters(
        features=draw(st.integers(1, 9)),
        radius=draw(st.integers(1, 7)),
        tau_us=draw(st.sampled_from([10.0, 137.0, 1000.0, 20_000.0, 1e6, 1e7])),
        eta=draw(st.sampled_from([1e-5, 1e-4, 1e-3, 0.01, 0.1])),
        delta_i=draw(st.sampled_from([1e-6, 1e-3, 0.1, 1.0])),
        delta_e=draw(st.sampled_from([1e-6, 3e-3, 0.1, 1.0])),
        polarity=draw(st.sampled_from(["merged", "separate", "signed"])),
        border=draw(st.sampled_from(["zero", "skip"])),
    )
    kind = draw(st.sampled_from(["uniform", "normal", "one hot", "flat"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (params.total_features, params.dims)
    if kind == "one hot":
        weights = np.zeros(shape)
        weights[np.arange(shape[0]), rng.integers(0, shape[1], shape[0])] = rng.choice([-1.0, 1.0], shape[0])
    elif kind == "flat":
        weights = np.ones(shape)
    else:
        weights = rng.random(shape) if kind == "uniform" else rng.normal(size=shape)
    weights /= np.linalg.norm(weights, axis=1)[:, None]
    thresholds = rng.choice([-1.0, -0.2, 0.0, 0.5, 0.9, 1.0], params.total_features)
    model = Model(params, sensor, weights, thresholds, UNTRAINED)
    if draw(st.booleans()):
        return model
    grid, classes = draw(st.integers(1, 9)), draw(st.integers(2, 12))
    spread = draw(st.sampled_from([1e-12, 0.01, 1.0, 5000.0]))
    return with_readout(model, grid, classes, spread=spread)


@st.composite
def some_limiter(draw: st.DrawFn) -> dict[str, int]:
    """No limiter, or one of any rate and burst."""
    rate = draw(st.one_of(st.just(0), st.sampled_from([1, 100, 5000, 1_000_000]), st.integers(1, 1_000_000)))
    burst = st.one_of(st.integers(1, 20), st.integers(1, 16_000), st.just(16_000))
    return {"max_rate": rate, "burst": min(draw(burst), 5 * rate)} if rate else {}


@st.composite
def some_filters(draw: st.DrawFn, camera: Sensor) -> Filters:
    """Filters of every kind: short and long times, ticks of one and of many microseconds, large cells."""
    longest = draw(st.sampled_from([50, 5000, 32_768, 32_769, 200_000, 10_000_000]))
    shortest = max(1, 8 * longest // 2**14)
    times = st.one_of(st.just(0), st.integers(shortest, longest), st.just(longest))
    refractory_us, background_us = draw(times), draw(times)
    pixels = st.tuples(st.integers(0, camera.width - 1), st.integers(0, camera.height - 1))
    made = make_filters(
        camera,
        hot_pixels=draw(st.lists(pixels, max_size=4)),
        refractory_us=refractory_us,
        background_us=background_us,
        cell_shift=draw(st.integers(0, 2)) if refractory_us or background_us else 0,
        downsample_shift=draw(st.integers(0, 2)),
        **draw(some_limiter()),
    )
    return made or Filters(camera, refractory_us=longest)


def behind(filters: Filters, **params: Any) -> Model:
    """A model behind these filters; see `make_model`."""
    return replace(make_model(filters.sensor, **params), filters=filters)
