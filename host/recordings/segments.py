"""Recordings cut into segments, each a recording of its own: by a table of labels, or at equal times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.host.recordings.events import Label
from feast_codegen.host.recordings.reading import STRICT
from feast_codegen.host.recordings.source import Source

MOST_SEGMENTS: Final = 1_000_000
"""Of a source."""
LONGEST_MS: Final = 10**9
"""Of a piece: beyond it, nothing would be cut."""


@dataclass(frozen=True)
class Segment:
    """A part of a recording: from `start_us` to just before `end_us` of its own clock, or to its end."""

    recording: int
    """Its index in the source."""
    start_us: int
    end_us: int | None
    label: Label | None


def cut(source: Source, segments: Sequence[Segment]) -> Source:
    """A source of segments. Those of one recording are a group, or belong to the recording's own.

    A recording is read up to the end of a segment whenever that is asked for. Times stay those of the
    recording. A segment without an event is an error when it is read.
    """

    def read_chunks(index: int) -> Iterator[Events]:
        segment = segments[index]
        kept, first_us, last_us = 0, None, None
        for piece in source.load_chunks(segment.recording):
            times = piece.events["t_us"]
            if not times.size:
                continue
            first_us, last_us = int(times[0]) if first_us is None else first_us, int(times[-1])
            begin = int(np.searchsorted(times, np.uint64(segment.start_us)))
            end = times.size
            if segment.end_us is not None:
                end = int(np.searchsorted(times, np.uint64(segment.end_us)))
            if end > begin:
                kept += end - begin
                yield piece.events[begin:end]
            if end < times.size:
                break
        if not kept and not source.may_be_empty:
            raise FeastError(
                f"{source.where(segment.recording)}: no event from {segment.start_us} to {segment.end_us} "
                f"us; what was read of it runs from {first_us} to {last_us} us"
            )

    picked = source.pick([segment.recording for segment in segments])
    return replace(
        picked,
        names=tuple(_name(source, segment) for segment in segments),
        labels=tuple(segment.label for segment in segments),
        read=lambda index: np.concatenate([np.zeros(0, EVENT_DTYPE), *read_chunks(index)]),
        read_chunks=read_chunks,
        groups=picked.groups or picked.names,
        tolerance=STRICT,
        stretches=(),
    )


def split_every(source: Source, length_ms: int) -> Source:
    """Every recording cut into pieces of `length_ms` milliseconds from its first event, without empty ones.

    Reads everything once, to know how long it is. Raises FeastError for more than MOST_SEGMENTS pieces.
    """
    if not 1 <= length_ms <= LONGEST_MS:
        raise FeastError(f"--split-every {length_ms}: expected 1 to {LONGEST_MS} milliseconds")
    length_us = 1000 * length_ms
    segments: list[Segment] = []
    for recording in range(len(source)):
        first_us: int | None = None
        last = -1
        for piece in source.load_chunks(recording):
            times = piece.events["t_us"]
            if not times.size:
                continue
            first_us = int(times[0]) if first_us is None else first_us
            for number in np.unique((times - np.uint64(first_us)) // np.uint64(length_us)).tolist():
                if number > last:
                    start_us = first_us + number * length_us
                    label = source.labels[recording]
                    segments.append(Segment(recording, start_us, start_us + length_us, label))
                    last = number
            if len(segments) > MOST_SEGMENTS:
                raise FeastError(
                    f"{source.where(recording)}: --split-every {length_ms} makes more than {MOST_SEGMENTS} "
                    "pieces; cut into longer ones"
                )
    source.left_out.say(f"recordings are cut into {len(segments)} pieces of {length_ms} ms")
    return cut(source, segments)


def _name(source: Source, segment: Segment) -> str:
    name = source.names[segment.recording]
    if segment.start_us == 0 and segment.end_us is None:
        return name
    return f"{name}[{segment.start_us}-{'' if segment.end_us is None else segment.end_us}us]"
