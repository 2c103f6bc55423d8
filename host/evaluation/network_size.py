"""How many features a network needs, judged by features that come to encode isolated noise.

A small network has no feature to spare: all encode structure, and noise is divided among them. Once
structure is covered, the next best thing to encode is an isolated event, a context with nothing but
the event itself. The paper proposes to choose N by such noise features; how one recognises and counts
them it leaves open, so measure and rule here are this project's:

* Background events are mixed into the recordings, before learning, and it is remembered which they are.
* A *noise feature* wins, frozen, more noise events than events of the recording.
* Recommended is the smallest N with ENOUGH noise features: one takes the noise out of all others, the
  second says that features are spent on telling noise from noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.model import Hyperparameters, Model, Sensor
from feast_codegen.host.evaluation.activation_scores import richness, sampled
from feast_codegen.host.evaluation.pooling import Pooling, pool
from feast_codegen.host.network.float_model import FloatFeast
from feast_codegen.host.network.training import train, training_part
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.open import Source

NOISE_HZ: Final = 2.0
"""Background events that are mixed in, per pixel and second."""
ENOUGH: Final = 2
"""Noise features of a network that is large enough."""
SIZES: Final = (2, 4, 8, 16, 32, 64)
Float64Array = npt.NDArray[np.float64]
_COARSE: Final = Pooling(grid=5, overlap=1.5)


@dataclass(frozen=True)
class SizePoint:
    """One network of the curve."""

    features: int
    """N, per bank."""
    total_features: int
    noise_features: int
    noise_wins: float
    """Part of the noise events that noise features win: how much noise they keep from the others."""
    richness: float
    """In how many ways recordings differ (feast_codegen.host.evaluation.activation_scores)."""
    miss_rate: float
    """At the end of training."""


@dataclass(frozen=True)
class SizeCurve:
    """The curve over N, and what it recommends."""

    points: tuple[SizePoint, ...]
    recommended: int
    reason: str


def with_noise(
    events: Events, sensor: Sensor, noise_hz: float, seed: list[int]
) -> tuple[Events, npt.NDArray[np.bool_]]:
    """Mix background events in; returns all in time order, and (n,) which of them are noise.

    Uniform in place, time (first to last event) and polarity. Raises FeastError for a rate out of range.
    """
    if not 0.0 <= noise_hz <= 1000.0:
        raise FeastError(f"noise {noise_hz:g} Hz: expected 0 to 1000 events per pixel and second")
    if events.size == 0:
        return events, np.zeros(0, np.bool_)
    generator = np.random.default_rng(seed)
    first, last = int(events["t_us"][0]), int(events["t_us"][-1])
    count = generator.poisson(noise_hz * sensor.width * sensor.height * (last - first) * 1e-6)
    noise = np.zeros(count, EVENT_DTYPE)
    noise["t_us"] = generator.integers(first, last + 1, count, dtype=np.uint64)
    noise["x"] = generator.integers(0, sensor.width, count)
    noise["y"] = generator.integers(0, sensor.height, count)
    noise["polarity"] = generator.integers(0, 2, count)
    mixed = np.concatenate([events, noise])
    order = np.argsort(mixed["t_us"], kind="stable")
    return mixed[order], np.asarray(order >= events.size)


def noise_wins(
    model: Model, source: Source, noise_hz: float = NOISE_HZ, seed: int = 0
) -> tuple[npt.NDArray[np.int64], Float64Array]:
    """(2, features) wins of the frozen features, over events of the recordings and over noise mixed in.

    Also returns the recordings' vectors (recordings, components), pooled on a coarse grid.
    """
    net = FloatFeast(model)
    features = model.params.total_features
    wins = np.zeros((2, features), np.int64)
    vectors = []
    for index, stream in enumerate(source):
        events, noise = with_noise(stream.events, source.sensor, noise_hz, [seed, index])
        net.reset()
        results = net.step(events)
        for row, chosen in enumerate((~noise, noise)):
            wins[row] += np.bincount(results[chosen & (results >= 0)], minlength=features)
        vectors.append(pool(results, events, source.sensor, features, _COARSE))
    return wins, np.array(vectors)


def size_curve(
    source: Source,
    params: Hyperparameters,
    *,
    sizes: Sequence[int] = SIZES,
    noise_hz: float = NOISE_HZ,
    seed: int = 0,
    progress: Progress = silent,
) -> SizeCurve:
    """Train a network of each size and recommend one; see the module.

    Raises FeastError unless there are two different sizes or more.
    """
    ordered = sorted(set(sizes))
    if len(ordered) < 2 or ordered[0] < 1:
        raise FeastError(f"sizes {', '.join(map(str, sizes))}: expected two or more, each 1 or more")
    part = training_part(source)
    sample = sampled(part)
    mixed = replace(
        part,
        spec=f"{part.spec} with {noise_hz:g} Hz of noise",
        read=lambda index: with_noise(part.read(index), part.sensor, noise_hz, [seed, index])[0],
        splits={},
    )
    points = []
    for done, size in enumerate(ordered):
        progress(done, len(ordered))
        learned = train(mixed, replace(params, features=size), seed=seed)
        points.append(_measure(learned.model, sample, noise_hz, seed))
    progress(len(ordered), len(ordered))
    recommended, reason = recommend(points)
    return SizeCurve(tuple(points), recommended, reason)


def recommend(points: Sequence[SizePoint]) -> tuple[int, str]:
    """N and why, from points in order of N."""
    for point in points:
        if point.noise_features >= ENOUGH:
            return point.features, (
                f"the first with {ENOUGH} noise features or more "
                f"({point.noise_features} of {point.total_features})"
            )
    last = points[-1]
    return last.features, (
        f"the largest tried; with {last.noise_features} noise features among "
        f"{last.total_features} it may still be too small"
    )


def _measure(model: Model, sample: Source, noise_hz: float, seed: int) -> SizePoint:
    wins, vectors = noise_wins(model, sample, noise_hz, seed)
    chosen = wins[1] > wins[0]
    return SizePoint(
        model.params.features,
        model.params.total_features,
        int(chosen.sum()),
        float(wins[1][chosen].sum() / max(int(wins[1].sum()), 1)),
        richness(vectors),
        model.training.miss_rate,
    )
