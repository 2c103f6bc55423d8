"""Events of a recording in order of time: bad ones left out, small disorder sorted, clocks that start again.

All of it works piece by piece with bounded memory, and its outcome does not depend on the pieces. What is bad
is decided in `clock_kernel`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.clock_kernel import (
    AHEAD,
    BEHIND,
    FIRST,
    KEPT,
    LATEST,
    LOOK_AHEAD,
    LOOK_BACK,
    NOT_BEGUN,
    OUTSIDE,
    PROBLEM,
    PROBLEM_AT,
    RESETS,
    START,
    UNDECIDED,
    judge,
)
from feast_codegen.host.recordings.events import check_events, is_outside
from feast_codegen.host.recordings.reading import LONGEST_SORT_US, LeftOut, Tolerance

Pieces = Callable[[], Iterator[Events]]

MOST_STRETCHES: Final = 1000
"""Of a recording whose clock starts again."""
_KINDS: Final = {
    OUTSIDE: "outside the sensor or of no polarity",
    BEHIND: "earlier than the events before them",
    AHEAD: "later than the events after them",
}
_LARGEST_DISORDER_US: Final = 10_000
"""Of packets; a clock that goes back further has started again."""
_LAST_TIME: Final = np.uint64((1 << 63) - 1)


@dataclass(frozen=True)
class Piece:
    """Events that pass `check_events` behind those of the piece before, if that is of the same stretch."""

    events: Events
    skipped: int
    """Bad events left out among them, about."""
    stretch: int
    """How often the clock has started again before them."""


@dataclass
class _Count:
    """What was found in a recording so far."""

    bad: Counter[int] = field(default_factory=Counter)
    events: int = 0
    sorted: int = 0
    resets: int = 0


def in_order(
    pieces: Pieces, sensor: Sensor, where: str, tolerance: Tolerance, left_out: LeftOut
) -> Iterator[Piece]:
    """The good events of a recording in order; `where` begins errors and is what `left_out` counts by.

    Raises FeastError for the first event that `tolerance` does not allow for, naming the option that does,
    and at the end if more events are bad than it allows.
    """
    if tolerance.is_strict:
        yield from _checked(pieces, sensor, where, tolerance)
        return
    found = _Count()
    judged = _judged(pieces, sensor, where, tolerance, found)
    if tolerance.sort_within_us:
        judged = _sorted(judged, tolerance.sort_within_us, found)
    if tolerance.on_clock_reset == "continue":
        judged = _continued(judged)
    kept = 0
    for piece in judged:
        kept += piece.events.size
        yield piece
    bad = found.bad.total()
    if kept and bad > tolerance.max_bad_share * found.events:
        raise FeastError(_too_many(where, found, tolerance))
    for kind, count in found.bad.items():
        left_out.add("events", _KINDS[kind], count, where)
    if found.sorted:
        remark = f"{found.sorted} events were up to {tolerance.sort_within_us} us late and are sorted"
        left_out.say(remark, where)
    if found.resets:
        does = "time goes on" if tolerance.on_clock_reset == "continue" else "each stretch is a recording"
        again = "once" if found.resets == 1 else f"{found.resets} times"
        left_out.say(f"the clock starts again {again}: {does}", where)


def count_stretches(pieces: Iterator[Piece]) -> int:
    """Into how many stretches a recording falls whose clock starts again; at least one."""
    return 1 + max((piece.stretch for piece in pieces), default=0)


def _checked(pieces: Pieces, sensor: Sensor, where: str, tolerance: Tolerance) -> Iterator[Piece]:
    """The pieces as they are, if all events are good; else they are looked at again to say what is wrong."""
    seen = after_us = 0
    for events in pieces():
        try:
            check_events(events, sensor, where, first_index=seen, after_us=after_us)
        except FeastError:
            for _ in _judged(pieces, sensor, where, tolerance, _Count()):
                pass
            raise
        seen += events.size
        if events.size:
            after_us = int(events["t_us"][-1])
        yield Piece(events, 0, 0)


def _judged(
    pieces: Pieces, sensor: Sensor, where: str, tolerance: Tolerance, found: _Count
) -> Iterator[Piece]:
    """Events that are good, or late by no more than is sorted."""
    block, status = np.zeros(0, EVENT_DTYPE), np.zeros(0, np.uint8)
    position = offset = 0
    state = np.array(NOT_BEGUN, np.int64)
    stretch = 0
    for chunk in _and_nothing(pieces()):
        is_last = chunk is None
        if chunk is not None:
            block = np.concatenate([block, chunk]) if block.size else chunk
            fresh = np.where(is_outside(chunk, sensor) | (chunk["polarity"] > 1), OUTSIDE, UNDECIDED)
            status = np.concatenate([status, fresh.astype(np.uint8)])
        times = np.minimum(block["t_us"], _LAST_TIME).astype(np.int64)
        end = block.size if is_last else max(position, block.size - LOOK_AHEAD)
        position = judge(
            times,
            status,
            position,
            end,
            state,
            tolerance.sort_within_us,
            not tolerance.skip_bad_events,
            tolerance.on_clock_reset == "error",
        )
        if state[PROBLEM] != UNDECIDED:
            at, latest = int(state[PROBLEM_AT]), int(state[LATEST])
            then = int(times[position])
            raise FeastError(
                f"{where}: event {offset + at}: "
                + _problem(int(state[PROBLEM]), block[at], latest, then, sensor)
            )
        if state[RESETS] >= MOST_STRETCHES:
            raise FeastError(f"{where}: the clock starts again {MOST_STRETCHES} times; is it out of order?")
        cut = block.size if is_last else max(0, position - LOOK_BACK)
        found.events += cut
        found.resets = int(state[RESETS])
        for piece in _split(block[:cut], status[:cut], stretch, found):
            stretch = piece.stretch
            yield piece
        block, status = block[cut:].copy(), status[cut:].copy()
        position, offset = position - cut, offset + cut
        state[START] -= cut


def _and_nothing(pieces: Iterator[Events]) -> Iterator[Events | None]:
    yield from pieces
    yield None


def _split(events: Events, status: npt.NDArray[np.uint8], stretch: int, found: _Count) -> Iterator[Piece]:
    """The kept ones of decided events, in pieces that end where the clock starts again."""
    counts = np.bincount(status, minlength=6)
    skipped = 0
    for kind in _KINDS:
        if counts[kind]:
            found.bad[kind] += int(counts[kind])
            skipped += int(counts[kind])
    bounds = [0, *np.flatnonzero(status == FIRST).tolist(), events.size]
    for number, (first, last) in enumerate(pairwise(bounds)):
        kept = (status[first:last] == KEPT) | (status[first:last] == FIRST)
        part = events[first:last]
        if first < last:
            yield Piece(part if kept.all() else part[kept], skipped, stretch + number)
            skipped = 0


def _sorted(pieces: Iterator[Piece], within_us: int, found: _Count) -> Iterator[Piece]:
    """Pieces in order: no event is more than `within_us` earlier than one of its stretch before it."""
    held, stretch = np.zeros(0, EVENT_DTYPE), 0
    latest = np.uint64(0)
    for piece in pieces:
        if piece.stretch != stretch:
            yield Piece(held, 0, stretch)
            held, stretch, latest = held[:0], piece.stretch, np.uint64(0)
        if not piece.events.size:
            yield piece
            continue
        times = np.maximum.accumulate(piece.events["t_us"])
        np.maximum(times, latest, out=times)
        found.sorted += int(np.count_nonzero(piece.events["t_us"] < times))
        latest = times[-1]
        events = np.concatenate([held, piece.events])
        events = events[np.argsort(events["t_us"], kind="stable")]
        until = latest - np.minimum(latest, np.uint64(within_us))
        ready = int(np.searchsorted(events["t_us"], until, "left"))
        held = events[ready:]
        yield Piece(events[:ready], piece.skipped, stretch)
    yield Piece(held, 0, stretch)


def _continued(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Pieces on one clock: each stretch begins 1 us after the end of the one before."""
    shift, stretch, last_us = 0, 0, -1
    for piece in pieces:
        events = piece.events
        if events.size:
            if piece.stretch != stretch:
                stretch, shift = piece.stretch, last_us + 1 - int(events["t_us"][0])
            if shift:
                events = events.copy()
                events["t_us"] = (events["t_us"].astype(np.int64) + shift).astype(np.uint64)
            last_us = int(events["t_us"][-1])
        yield Piece(events, piece.skipped, 0)


# Errors


def _problem(kind: int, event: np.void, latest_us: int, then_us: int, sensor: Sensor) -> str:
    """What is wrong with an event, and the options that allow for it."""
    skip = "--skip-bad-events leaves such events out"
    time = int(event["t_us"])
    if kind == OUTSIDE and event["polarity"] > 1:
        return f"polarity {event['polarity']}, expected 0 or 1; {skip}"
    if kind == OUTSIDE:
        return f"x={event['x']} y={event['y']} lies outside the {sensor} sensor; {skip}"
    step_us = latest_us - then_us
    sort = ""
    if step_us <= (_LARGEST_DISORDER_US if kind == FIRST else LONGEST_SORT_US):
        enough = 10 ** len(str(step_us))
        sort = f"--sort-within {min(enough, LONGEST_SORT_US)} sorts small disorder, "
    if kind == AHEAD:
        return f"t={time} us is later than the events after it (t={then_us} us); {sort}{skip}"
    earlier = f"t={time} us is earlier than the event before it (t={latest_us} us)"
    if kind == BEHIND:
        return f"{earlier}; {sort}{skip}"
    return (
        f"{earlier}, and the clock goes on from there; --on-clock-reset split makes a recording of each "
        f"stretch, --on-clock-reset continue lets time go on{', ' + sort.rstrip(', ') if sort else ''}"
    )


def _too_many(where: str, found: _Count, tolerance: Tolerance) -> str:
    bad = found.bad.total()
    kinds = ", ".join(f"{count} {_KINDS[kind]}" for kind, count in sorted(found.bad.items()))
    return (
        f"{where}: {bad} of {found.events} events are bad ({kinds}), more than the share of "
        f"{tolerance.max_bad_share:g} that --max-bad-share allows"
    )
