"""Streams recordings or a live source through a device; recovers from restarts and broken connections.

A recording is a run of its own. When the device restarts or the connection breaks in the middle of one, the
link is opened again, the state learned up to the last recording boundary is put back, and the recording is
replayed; results that were given out before are compared, not given out again. What cannot be replayed, a
live source, ends with an error that says what was lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.protocol import messages
from feast_codegen.host.link.clock import REAL
from feast_codegen.host.link.link import Link
from feast_codegen.host.link.requests import Words
from feast_codegen.host.link.run_protocol import NO_LEARNING, Timeouts
from feast_codegen.host.link.run_results import BATCH_EVENTS, NO_EVENTS, ResultChunk, Summary
from feast_codegen.host.link.serial_port import LinkError
from feast_codegen.host.recordings.events import EventStream, Label

_ATTEMPTS: Final = 4
STANDSTILL_S: Final = Timeouts().standstill_s
_LEAST_S: Final = 0.5
"""What is left to a device that came back at the last moment."""
_LAST_ATTEMPT: Final = 2 / 3
"""No attempt begins after this part of the standstill: the rest of it is what an attempt may take."""
_PAUSE_S: Final = 0.2

Connect = Callable[[], Link]


class Feed(Protocol):
    """A recording, or a live source, to be streamed."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> Label | None:
        """What it shows, if that is known."""
        ...

    @property
    def replayable(self) -> bool:
        """Whether `batches` gives the same events again."""
        ...

    def batches(self) -> Iterator[Events]:
        """The events, from the beginning; an empty batch says that there are none yet."""
        ...


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recording as a feed: as fast as it goes, or in its own time."""

    stream: EventStream
    speed: float | None = None
    """1 is real time, 2 twice as fast; None as fast as the device takes it."""
    clock: Callable[[], float] = REAL.now

    @property
    def name(self) -> str:
        return self.stream.name

    @property
    def label(self) -> Label | None:
        return self.stream.label

    @property
    def replayable(self) -> bool:
        return True

    def batches(self) -> Iterator[Events]:
        """What is due by now, at most BATCH_EVENTS at a time."""
        events = self.stream.events
        began, at = self.clock(), 0
        times = events["t_us"]
        while at < len(events):
            end = len(events)
            if self.speed is not None:
                due_us = int(times[0]) + int((self.clock() - began) * 1e6 * self.speed)
                end = int(np.searchsorted(times, np.uint64(due_us), side="right"))
            end = min(end, at + BATCH_EVENTS)
            yield events[at:end] if end > at else NO_EVENTS
            at = max(at, end)


@dataclass(frozen=True, eq=False)
class Piece:
    """A chunk of a recording: events `first` on, and their results."""

    recording: int
    name: str
    chunk: ResultChunk


@dataclass(frozen=True)
class Finished:
    """A recording that was streamed to its end, and what the device says about it."""

    recording: int
    name: str
    label: Label | None
    """Of the source; what the device thinks is in the summary."""
    summary: Summary


class Streamer:
    """Streams feeds over a link that may break.

    ``resumed``: how often a recording was begun again. ``totals``: counters of all finished recordings, by
    the names of `Summary.counters`.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        learning: bool = False,
        initialise: bool = False,
        attempts: int = _ATTEMPTS,
        standstill_s: float = STANDSTILL_S,
    ) -> None:
        """initialise: begin with the model's weights and thresholds, else with what the device has learned.

        attempts: how often a recording is begun again without a new result in between. standstill_s: how long
        nothing may come, reconnecting included, since the last new result. Raises FeastError if the first
        connection fails, or if `learning` is asked of a device built without it.
        """
        self.learning = learning
        """Of the next recording."""
        self.resumed = 0
        self.totals: Counter[str] = Counter()
        self._connect, self._attempts, self._standstill_s = connect, attempts, standstill_s
        self._initialise = initialise
        self._link: Link | None = connect()
        self._clock, self._on_wait = self._link.clock, self._link.on_wait
        self._first_hello = self._link.hello
        self._checkpoint: Words | None = None
        self._state_id = self._first_hello.state_id
        try:
            if learning and not self._first_hello.learning:
                raise FeastError(NO_LEARNING)
            if not initialise:
                self._remember()
        except BaseException:
            self.close()
            raise

    @property
    def link(self) -> Link:
        """The link as it is now; raises LinkError while there is none."""
        if self._link is None:
            raise LinkError("the link is being opened again")
        return self._link

    def close(self) -> None:
        """Close the port."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def stream(self, feeds: Iterable[Feed]) -> Iterator[Piece | Finished]:
        """Give pieces in order, and after those of each recording its `Finished`.

        A piece is empty while the source has nothing, or what was given before is replayed.

        Raises FeastError if a recording cannot be finished, saying what was lost.
        """
        for number, feed in enumerate(feeds):
            yield from self._recording(number, feed)

    def _recording(self, number: int, feed: Feed) -> Iterator[Piece | Finished]:
        given = _Given(feed.name)
        failures, now = 0, self._clock.now
        stood_s = 0.0  # in former attempts, since the last new result
        while True:
            had, alive_at = given.count, now()
            try:
                link = self._restore(stood_s)
                given.begin_again()
                run = link.stream(feed.batches(), learning=self.learning, initialise=self._initialise)
                for chunk in run:
                    alive_at = max(alive_at, now() - (0.0 if len(chunk) else link.still_s))
                    piece = given.take(chunk)
                    if len(piece):
                        stood_s = 0.0
                    left_at = now()
                    yield Piece(number, feed.name, piece)
                    alive_at += now() - left_at
                assert link.summary is not None
                summary = link.summary
                self._remember()
                self._initialise = False
                break
            except LinkError as error:
                self.close()
                stood_s += now() - alive_at
                failures = failures + 1 if given.count == had else 1
                if not feed.replayable:
                    raise LinkError(
                        f"{error}; {feed.name} is live and cannot be replayed: events after the first "
                        f"{given.count} have no result"
                    ) from None
                if stood_s >= self._standstill_s * _LAST_ATTEMPT:
                    raise LinkError(
                        f"{error}; {feed.name} stands still at event {given.count} for {stood_s:.0f} s: "
                        f"recordings after {number} were not streamed"
                    ) from None
                if failures > self._attempts:
                    raise LinkError(
                        f"{error}; {feed.name} was begun {failures} times without getting past event "
                        f"{given.count}: recordings after {number} were not streamed"
                    ) from None
                self.resumed += 1
        self.totals.update(summary.counters)
        yield Finished(number, feed.name, feed.label, summary)

    def _restore(self, stood_s: float) -> Link:
        """The link, opened again if need be, to a device that holds the state of the last boundary.

        stood_s: how long nothing has come already.
        """
        if self._link is None:
            self._link = self._reconnect(stood_s)
            hello = self._link.hello
            hello.require_same(self._first_hello)
            if not self._initialise and (hello.uploading or hello.state_id != self._state_id):
                if self._checkpoint is None:
                    raise FeastError(
                        f"device came back with the learned state {hello.state_id:08x}, it had "
                        f"{self._state_id:08x}: what it learned is lost, run again"
                    )
                self._link.write_state(self._checkpoint)
        return self._link

    def _reconnect(self, stood_s: float) -> Link:
        began = self._clock.now() - stood_s
        while True:
            self._on_wait("the link is opened again", self._clock.now() - began)
            try:
                link = self._connect()
                link.give_up_at = max(began + self._standstill_s, self._clock.now() + _LEAST_S)
                return link
            except LinkError:
                if self._clock.now() >= began + self._standstill_s * _LAST_ATTEMPT:
                    raise
            self._clock.sleep(_PAUSE_S)

    def _remember(self) -> None:
        """Note the learned state at a boundary; fetch it where the device could lose it.

        If that fails, the boundary before is still the one to replay from.
        """
        hello = self.link.hello
        state_id, checkpoint = hello.state_id, self._checkpoint
        known = checkpoint is not None and messages.snapshot_digest(checkpoint) == state_id
        if hello.learning and not known:
            checkpoint = self.link.read_state()
            state_id = messages.snapshot_digest(checkpoint)
        self._state_id, self._checkpoint = state_id, checkpoint


class _Given:
    """Results of a recording that were given out, against those of its replay."""

    def __init__(self, name: str) -> None:
        self.count = 0
        self._name = name
        self._digest = 0
        self._replayed = 0
        self._replay_digest = 0

    def begin_again(self) -> None:
        """The next chunk is the first of the recording."""
        self._replayed = self._replay_digest = 0

    def take(self, chunk: ResultChunk) -> ResultChunk:
        """What of a chunk is new. Raises FeastError if what is not new differs from before."""
        old = min(max(self.count - chunk.first, 0), len(chunk))
        if old:
            self._replayed += old
            self._replay_digest = messages.result_digest(chunk.results[:old], self._replay_digest)
            if self._replayed == self.count and self._replay_digest != self._digest:
                raise FeastError(
                    f"{self._name}: the first {self.count} results differ in the replay: do not trust them"
                )
        results: Results = chunk.results[old:]
        first = self.count
        self.count += len(results)
        self._digest = messages.result_digest(results, self._digest)
        return ResultChunk(first, chunk.events[old:], results)
