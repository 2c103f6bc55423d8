"""A sequence of recordings: what every source of events becomes once it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.event_filter import PASSED, EventFilter
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.recordings.clock import Piece, count_stretches, in_order
from feast_codegen.host.recordings.events import EventStream, Label
from feast_codegen.host.recordings.reading import STRICT, LeftOut, Tolerance


@dataclass(frozen=True, eq=False)
class Source:
    """A sequence of recordings in a fixed order; each is read and checked when it is asked for."""

    spec: str
    """Names the source without a path or a host: part of a model's provenance."""
    sensor: Sensor
    names: tuple[str, ...]
    labels: tuple[Label | None, ...]
    """Of the classes: all numbers or all names; None for recordings without."""
    read: Callable[[int], Events] = field(repr=False)
    """Raw events of recording i; not changed by anyone."""
    where: Callable[[int], str] = field(repr=False)
    """What an error calls recording i, e.g. its path."""
    tolerance: Tolerance = STRICT
    """What is done about bad events, and about clocks that start again."""
    may_be_empty: bool = False
    """Whether a recording may have no event: behind filters, nothing of it may be left."""
    splits: Mapping[str, Source] = field(default_factory=dict, repr=False)
    left_out: LeftOut = field(default_factory=LeftOut, repr=False)
    """What was not read so far."""
    read_chunks: Callable[[int], Iterator[Events]] | None = field(default=None, repr=False)
    """Raw events of recording i piece by piece, for files that may be larger than memory."""
    groups: tuple[str, ...] = field(default=(), repr=False)
    """What of each recording a cross-validation must not tear apart, e.g. its file or the person in it; empty
    where each recording is a group of its own."""
    sizes: tuple[Sensor, ...] = field(default=(), repr=False)
    """Own size of each recording, at most `sensor`; empty where all are of that size."""
    stretches: tuple[int, ...] = field(default=(), repr=False)
    """Which stretch of a recording whose clock starts again each one is; empty where all are read whole."""

    def __len__(self) -> int:
        return len(self.names)

    def size(self, index: int) -> Sensor:
        """Own size of recording `index`, which may be less than the sensor's."""
        return self.sizes[index] if self.sizes else self.sensor

    def __iter__(self) -> Iterator[EventStream]:
        return (self.load(index) for index in range(len(self)))

    def load(self, index: int) -> EventStream:
        """Recording `index`. Raises FeastError naming its first bad event, unless those are allowed for."""
        pieces = list(self._in_order(index, lambda: iter([self.read(index)])))
        parts = [piece.events for piece in pieces]
        events = parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, EVENT_DTYPE), *parts])
        skipped = sum(piece.skipped for piece in pieces)
        return EventStream(events, self.sensor, self.names[index], self.labels[index], skipped)

    def load_chunks(self, index: int) -> Iterator[EventStream]:
        """Recording `index` piece by piece: the events of `load`, and its errors when it comes to them."""
        for piece in self._in_order(index, self._chunks(index)):
            yield EventStream(piece.events, self.sensor, self.names[index], self.labels[index], piece.skipped)

    def _chunks(self, index: int) -> Callable[[], Iterator[Events]]:
        """Reads recording `index` piece by piece from its beginning."""
        chunks = self.read_chunks
        return (lambda: chunks(index)) if chunks else (lambda: iter([self.read(index)]))

    def _in_order(self, index: int, read: Callable[[], Iterator[Events]]) -> Iterator[Piece]:
        """What `read` gives of recording `index`, in order, of its own stretch alone."""
        wanted = self.stretches[index] if self.stretches else None
        where, kept, skipped = self.where(index), 0, 0
        for piece in in_order(read, self.size(index), where, self.tolerance, self.left_out):
            if wanted is not None and piece.stretch > wanted:
                break
            if wanted in (None, piece.stretch):
                kept += piece.events.size
                skipped += piece.skipped
                yield piece
        if kept == 0 and not self.may_be_empty:
            raise FeastError(_nothing_left(where, skipped))

    def split_at_resets(self) -> Source:
        """Each stretch of a recording whose clock starts again as a recording of its own.

        Reads everything once. The stretches of ``a.csv`` are called ``a.csv#1``, ``a.csv#2`` and so on.
        """
        parts: list[tuple[int, int, int]] = []
        for index in range(len(self)):
            count = count_stretches(self._in_order(index, self._chunks(index)))
            parts += [(index, stretch, count) for stretch in range(count)]
        picked = self.pick([index for index, _, _ in parts])
        return replace(
            picked,
            groups=picked.groups or (picked.names if len(picked) > len(self) else ()),
            names=tuple(
                f"{self.names[index]}#{stretch + 1}" if count > 1 else self.names[index]
                for index, stretch, count in parts
            ),
            stretches=tuple(stretch for _, stretch, _ in parts),
            splits={name: part.split_at_resets() for name, part in self.splits.items()},
        )

    def filtered(self, filters: Filters) -> Source:
        """What the network of a model with these filters sees: fewer events, in its own pixels.

        For a network that does not filter itself. The filters are reset before each recording,
        of which they may leave nothing.
        """

        def read_chunks(index: int) -> Iterator[Events]:
            stage = EventFilter(filters)
            for piece in self.load_chunks(index):
                yield filters.downsampled(piece.events[stage.classify(piece.events) == PASSED])

        return replace(
            self,
            sensor=filters.sensor,
            read=lambda index: np.concatenate([*read_chunks(index)]),
            tolerance=STRICT,
            stretches=(),
            may_be_empty=True,
            splits={name: part.filtered(filters) for name, part in self.splits.items()},
            read_chunks=read_chunks,
            sizes=(),
        )

    def for_library(self, model: Model, options: Options) -> Source:
        """What a library of `model` is given: filtered here if `options` leave its filters out of it."""
        left_out = None if options.filters else model.input_filters
        return self.filtered(left_out) if left_out else self

    def split(self, name: str) -> Source:
        """The part of a folder called `name`. Raises FeastError if there is no such part."""
        if name not in self.splits:
            raise FeastError(f"{self.spec}: no split {name!r}; there are: {', '.join(self.splits) or 'none'}")
        return self.splits[name]

    def pick(self, indices: Sequence[int]) -> Source:
        """The recordings with these indices, in this order."""
        chosen, pieces = tuple(indices), self.read_chunks
        return replace(
            self,
            names=tuple(self.names[i] for i in chosen),
            labels=tuple(self.labels[i] for i in chosen),
            read=lambda index: self.read(chosen[index]),
            where=lambda index: self.where(chosen[index]),
            splits={},
            read_chunks=(lambda index: pieces(chosen[index])) if pieces else None,
            groups=tuple(self.groups[i] for i in chosen) if self.groups else (),
            sizes=tuple(self.sizes[i] for i in chosen) if self.sizes else (),
            stretches=tuple(self.stretches[i] for i in chosen) if self.stretches else (),
        )

    def shuffled(self, seed: int, epoch: int = 0) -> Source:
        """The same recordings in training order (see `training_order`)."""
        return self.pick(training_order(self.labels, seed, epoch))


def _nothing_left(where: str, skipped: int) -> str:
    return f"{where}: no good event among {skipped}" if skipped else f"{where}: no event is left"


def training_order(labels: Sequence[Label | None], seed: int, epoch: int = 0) -> list[int]:
    """A seeded permutation of the recordings that spreads each class evenly over the whole run.

    Each class is shuffled and laid out at equal distances, from a random start within the first;
    recordings are then taken by position. So no stretch of training sees a class too often or too
    rarely, however unequal the classes are. Events within a recording are never reordered.
    """
    generator = np.random.default_rng([seed, epoch])
    positions = np.empty(len(labels))
    by_label: dict[Label | None, list[int]] = {}
    for index, label in enumerate(labels):
        by_label.setdefault(label, []).append(index)
    for label in sorted(by_label, key=_rank):
        members = np.array(by_label[label])
        places = (np.arange(members.size) + generator.random()) / members.size
        positions[generator.permutation(members)] = places
    return [int(index) for index in np.argsort(positions, kind="stable")]


def _rank(label: Label | None) -> tuple[int, int, str]:
    """Sorts labels: none, numbers, names."""
    if label is None:
        return 0, 0, ""
    return (2, 0, label) if isinstance(label, str) else (1, label, "")
