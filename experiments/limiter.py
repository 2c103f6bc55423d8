"""What is left of accuracy when events are limited, fairly over the sensor and by whoever comes first.

    python -m experiments.limiter NMNIST
    python -m experiments.limiter sim:digits?count=400
    python -m experiments.limiter GESTURES --sensor 128x128

Digits, a source with labels: noise and hot pixels are mixed in as in experiments/filters.py. Clips without
labels: which clip does a stretch of 100 ms come from? One network is learned from all events; what it wins of
those left is pooled and read out by a ridge, five folds, mean over three seeds of the folds. The plain bucket
has the same rate and burst. With --background-us a background filter stands before both, as in a model.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from experiments.filters import mixed
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.base.jit import jit
from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.model.event_filter import PASSED, EventFilter
from feast_codegen.codegen.model.filters import Filters, make_filters
from feast_codegen.codegen.model.model import Hyperparameters, Model
from feast_codegen.host.evaluation.classifiers import ridge_accuracy
from feast_codegen.host.evaluation.feature_vectors import feature_vectors
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.network.training import train, training_part
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.source import Source

POOLING: Final = Pooling(grid=5, overlap=1.5, power=0.3)
PARAMS: Final = Hyperparameters(features=12, radius=1, polarity="separate", tau_us=63_000.0, eta=2.7e-4)
SHARES: Final = (1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125)
"""Rates, as parts of the mean rate of the recordings."""
BURST: Final = 64
STRETCH_US: Final = 100_000

Limiter = Callable[[Events], npt.NDArray[np.bool_]]
"""Which events of a recording are left."""


def fair(camera: Sensor, rate: int) -> Limiter:
    """The limiter of the filters."""
    filters = Filters(camera, max_rate=rate, burst=min(BURST, 5 * rate))
    return lambda events: EventFilter(filters).classify(events) == PASSED


def plain(camera: Sensor, rate: int) -> Limiter:
    """A bucket of the same rate and burst that whoever comes first may empty."""
    filters = Filters(camera, max_rate=rate, burst=min(BURST, 5 * rate))

    def left(events: Events) -> npt.NDArray[np.bool_]:
        times = np.ascontiguousarray(events["t_us"]).astype(np.int64)
        return _plain(times, filters.interval_q8, filters.bucket_q8)

    return left


@jit()
def _plain(t_us: npt.NDArray[np.int64], interval: int, bucket: int) -> npt.NDArray[np.bool_]:
    left = np.zeros(t_us.size, np.bool_)
    backlog = 0
    for i in range(t_us.size):
        if i > 0:
            backlog = max(0, backlog - 256 * (t_us[i] - t_us[i - 1]))
        if backlog + interval <= bucket:
            backlog += interval
            left[i] = True
    return left


class Digits:
    """Recordings with labels, noise mixed in."""

    def __init__(self, clean: Source, background_us: int) -> None:
        self.camera = clean.sensor
        self._background = make_filters(clean.sensor, background_us=background_us)
        self.source = replace(
            clean,
            spec=f"{clean.spec} with noise",
            read=lambda index: self._mixed(index)[0],
            read_chunks=None,
        )
        self._clean = clean

    def _mixed(self, index: int) -> tuple[Events, npt.NDArray[np.bool_]]:
        """What comes to the limiter of a recording, and which of it is noise."""
        events, noise = mixed(self._clean, self._clean.read(index), index)
        if self._background is None:
            return events, noise
        passed = EventFilter(self._background).classify(events) == PASSED
        return events[passed], noise[passed]

    def limited(self, limiter: Limiter) -> Source:
        """The same, of each recording what the limiter leaves."""
        source = self.source
        return replace(source, read=lambda i: (events := source.read(i))[limiter(events)], may_be_empty=True)

    def kept(self, limiter: Limiter) -> tuple[float, float]:
        """Parts of the recordings' own events and of those mixed in that are left."""
        left, total = np.zeros(2), np.zeros(2)
        for index in range(len(self._clean)):
            events, noise = self._mixed(index)
            passed = limiter(events)
            for kind in (0, 1):
                total[kind] += int((noise == kind).sum())
                left[kind] += int(((noise == kind) & passed).sum())
        return float(left[0] / total[0]), float(left[1] / max(1, total[1]))


class Clips:
    """Clips without labels, cut into stretches; the number of the clip is the label."""

    def __init__(self, clips: Source) -> None:
        self.camera, self.source = clips.sensor, clips
        self._events = [clips.read(index) for index in range(len(clips))]

    def limited(self, limiter: Limiter) -> Source:
        """Stretches of what the limiter leaves of each clip: it runs on from one to the next."""
        parts, labels = [], []
        for label, events in enumerate(self._events):
            left = events[limiter(events)]
            first = int(events["t_us"][0])
            for number in range((int(events["t_us"][-1]) - first) // STRETCH_US):
                start = np.uint64(first + number * STRETCH_US)
                edges = np.searchsorted(left["t_us"], [start, start + np.uint64(STRETCH_US)])
                parts.append(left[edges[0] : edges[1]])
                labels.append(label)
        names = tuple(str(index) for index in range(len(parts)))
        return replace(
            self.source,
            names=names,
            labels=tuple(labels),
            read=lambda index: parts[index],
            where=lambda index: f"stretch {index}",
            read_chunks=None,
            may_be_empty=True,
        )

    def kept(self, limiter: Limiter) -> tuple[float, float]:
        """Part of all events that is left; there is no noise of our own."""
        left = sum(int(limiter(events).sum()) for events in self._events)
        return left / sum(events.size for events in self._events), 0.0


def accuracy(model: Model, source: Source) -> float:
    """Of a ridge on what the frozen network wins."""
    vectors = feature_vectors(source, model, [POOLING])
    return ridge_accuracy(vectors.values[0], vectors.labels, folds=5, seeds=(0, 1, 2))


def mean_rate(source: Source) -> float:
    """Events per second, over all recordings."""
    spans = [(each["t_us"][[0, -1]], each.size) for each in (source.read(i) for i in range(len(source)))]
    return sum(size for _, size in spans) / sum(int(ends[1] - ends[0]) * 1e-6 for ends, _ in spans)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--sensor", type=Sensor.parse, default=None)
    parser.add_argument("--background-us", type=int, default=0)
    chosen = parser.parse_args()
    opened = training_part(open_source(chosen.source, chosen.sensor))
    data = Clips(opened) if None in opened.labels else Digits(opened, chosen.background_us)
    model = train(data.source, PARAMS).model
    rate = mean_rate(data.source)
    print(f"{data.source.spec}: {len(opened)} recordings, {rate:,.0f} events/s")
    whole = accuracy(model, data.limited(lambda events: np.ones(events.size, np.bool_)))
    print(f"without a limiter: {100 * whole:.1f} %\n")
    print("| rate | own events left | noise left | fair | own events left, plain | noise left | plain |")
    print("|---|---|---|---|---|---|---|")
    for share in SHARES:
        row = f"| {share * rate:,.0f}/s "
        for kind in (fair, plain):
            limiter = kind(data.camera, round(share * rate))
            own, noise = data.kept(limiter)
            row += f"| {100 * own:.1f} % | {100 * noise:.1f} % "
            row += f"| {100 * accuracy(model, data.limited(limiter)):.1f} % "
        print(f"{row}|", flush=True)


if __name__ == "__main__":
    main()
