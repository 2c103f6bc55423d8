"""Recordings as a camera gives them: end to end, nothing reset, and what a readout says at every instant.

The definition of all live figures (docs/results/live.md): recordings in a seeded random order, GAP_US apart,
the network cleared once, before the first. Within one, the readout is asked every INSTANT_US and at its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.fixed_point.quantise_readout import QuantHistogram
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.fading import Histogram
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.source import Source

GAP_US: Final = 20_000
"""From the last event of a recording to the first one of the next."""
INSTANT_US: Final = 10_000
"""The readout is asked so often."""
SETTLED_US: Final = 50_000
"""Instants from here on count for the time right."""
MOST_INSTANTS: Final = 400
"""Of a recording: where it lasts longer than 4 s, they lie further apart."""
SPEEDS: Final = (0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Playback:
    """How the recordings of a stream are played."""

    speed: float = 1.0
    """Times of a recording are divided by it; the gap between recordings is not."""
    seed: int = 0
    """Of the order, and of the shifts."""
    shift: int = 0
    """Each recording is moved by up to this many pixels along each side, at random; what leaves the sensor is
    left out."""
    reset: bool = False
    """Clear the network before each recording, in place of a live stream."""
    every_us: int = INSTANT_US
    """Between two instants."""


@dataclass(frozen=True, eq=False)
class Instants:
    """Histograms of a fading readout at the instants of a stream, recording by recording."""

    histograms: npt.NDArray[np.uint16]
    """(n, entries)"""
    recording: npt.NDArray[np.int64]
    """(n,): index in the source."""
    at_us: npt.NDArray[np.int64]
    """(n,): time since the first event of the recording."""
    ends: npt.NDArray[np.bool_]
    """(n,): the end of a recording; one instant of each recording is."""


def live_instants(
    source: Source,
    model: Model,
    histogram: QuantHistogram,
    playback: Playback = Playback(),
    *,
    progress: Progress = silent,
) -> Instants:
    """Stream the recordings through the integer network, nearest feature, and read the histogram as it fades.

    `progress` counts recordings. Raises FeastError for bad recordings, or if there is none.
    """
    network = Twin(quantise(model)[0], Options(readout=False))
    kept = Histogram(histogram, model.params.total_features)
    rows: list[npt.NDArray[np.uint16]] = []
    places: list[tuple[int, int, bool]] = []
    for done, (index, events) in enumerate(live_recordings(source, playback)):
        if playback.reset:
            network.reset()
            kept.reset()
        results, placed = network.step(events), network.to_network_pixels(events)
        start, begun = int(events["t_us"][0]), 0
        for at_us, end, is_end in _asked(events, playback.every_us):
            kept.step(results[begun:end], placed[begun:end])
            begun = end
            rows.append(kept.entries.ravel().astype(np.uint16))
            places.append((index, at_us - start, is_end))
        progress(done + 1, len(source))
    if not rows:
        raise FeastError(f"{source.spec}: no recording with an event")
    recordings, times, ends = (np.array(column) for column in zip(*places, strict=True))
    return Instants(np.stack(rows), recordings, times, ends)


def live_recordings(source: Source, playback: Playback) -> Iterator[tuple[int, Events]]:
    """Index and events of each recording that has any, in the order of the stream, its times running on."""
    rng = np.random.default_rng(playback.seed)
    now = 0
    for index in rng.permutation(len(source)).tolist():
        events = source.load(index).events.copy()
        across, down = rng.integers(-playback.shift, playback.shift + 1, 2).tolist()
        events = _moved(events, across, down, source.sensor)
        if events.size == 0:
            continue
        times = (events["t_us"] - events["t_us"][0]) / playback.speed
        events["t_us"] = np.uint64(now) + times.astype(np.uint64)
        now = int(events["t_us"][-1]) + GAP_US
        yield index, events


def _moved(events: Events, across: int, down: int, sensor: Sensor) -> Events:
    x, y = events["x"].astype(np.int64) + across, events["y"].astype(np.int64) + down
    inside = (x >= 0) & (x < sensor.width) & (y >= 0) & (y < sensor.height)
    moved = events[inside]
    moved["x"], moved["y"] = x[inside], y[inside]
    return moved


def _asked(events: Events, every_us: int) -> Iterator[tuple[int, int, bool]]:
    """Time, number of events up to then, and whether it is the end, of each instant of a recording."""
    start, last = int(events["t_us"][0]), int(events["t_us"][-1])
    apart = max(every_us, (last - start) // MOST_INSTANTS + 1)
    times = np.arange(start + apart, last, apart)
    ends = np.searchsorted(events["t_us"], times.astype(np.uint64), side="right")
    for at, end in zip(times.tolist(), ends.tolist(), strict=True):
        yield at, end, False
    yield last, len(events), True


@dataclass(frozen=True)
class LiveScore:
    """How often a stream of decisions is right."""

    recordings: int
    right_at_end: int
    instants: int
    """From SETTLED_US on, the ends among them."""
    right_instants: int
    lasting_us: float
    """Median time from the begin of a recording to the instant from which its label is right to the end;
    infinite if half of them are not right at their end."""

    @property
    def accuracy(self) -> float:
        """Share of recordings whose decision at the end is right."""
        return self.right_at_end / self.recordings

    @property
    def time_right(self) -> float | None:
        """Share of the instants at which the label is right; None if no recording lasts long enough."""
        return self.right_instants / self.instants if self.instants else None


def live_score(instants: Instants, right: npt.NDArray[np.bool_]) -> LiveScore:
    """`right`: bool (n,), whether the label of each instant is that of its recording."""
    settled = instants.at_us >= SETTLED_US
    lasting = []
    borders = np.flatnonzero(instants.ends) + 1
    for begin, end in zip([0, *borders[:-1].tolist()], borders.tolist(), strict=True):
        wrong = np.flatnonzero(~right[begin:end])
        first = begin + (int(wrong[-1]) + 1 if wrong.size else 0)
        lasting.append(float(instants.at_us[first]) if first < end else np.inf)
    return LiveScore(
        recordings=int(instants.ends.sum()),
        right_at_end=int(right[instants.ends].sum()),
        instants=int(settled.sum()),
        right_instants=int(right[settled].sum()),
        lasting_us=float(np.median(lasting)),
    )


def joined(parts: Sequence[Instants]) -> Instants:
    """The instants of several streams, one after the other."""
    return Instants(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Instants.__dataclass_fields__)
    )


def wilson(right: int, of: int) -> tuple[float, float]:
    """95 % interval of a share by Wilson's score.

    >>> tuple(round(limit, 3) for limit in wilson(96, 100))
    (0.902, 0.984)
    """
    z = 1.959964
    centre, spread = right + z * z / 2, z * np.sqrt(right * (of - right) / of + z * z / 4)
    return float((centre - spread) / (of + z * z)), float((centre + spread) / (of + z * z))
