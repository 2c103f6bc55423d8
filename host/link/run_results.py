"""What comes out of a run over the link: its summary, its results in chunks, its latency."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events, Results
from feast_codegen.codegen.protocol import messages

NO_EVENTS: Final = np.empty(0, EVENT_DTYPE)
BATCH_EVENTS: Final = 16_384
"""Events encoded at a time."""
_OF_DONE: Final = (
    *("events", "result_digest", "snapshot_digest", "state_id"),
    *("ticks_total", "ticks_max", "stack_used"),
)
"""Fields of DONE that a summary takes over."""


@dataclass(frozen=True)
class Summary:
    """What the device says about a finished run; result counts and digests agree with what was received."""

    events: int
    result_digest: int
    """CRC-32 of all results; see `feast_codegen.codegen.protocol.messages.result_digest`."""
    snapshot_digest: int
    """CRC-32 of the whole state after the run; see `protocol.messages.snapshot_digest`."""
    state_id: int
    """CRC-32 of the learned state after the run."""
    label: int
    """Index of the class with the largest score; -1 if no feature won, or without class scores."""
    ticks_total: int
    """Ticks spent in feast_step; the measurement itself is taken off, and so are interrupts, by the port."""
    ticks_max: int
    tick_hz: int
    stack_used: int
    """Deepest stack use since reset, bytes."""
    counters: Mapping[str, int]
    """Everything dropped or sent twice, by ``device_`` and ``host_`` name; see `messages.COUNTERS`."""

    @staticmethod
    def from_done(done: Mapping[str, Any], tick_hz: int, host: Mapping[str, int]) -> Summary:
        """From the fields of a DONE and what the host has counted."""
        counters = {f"device_{name}": int(done[name]) for name, _ in messages.COUNTERS}
        counters |= {f"host_{name}": count for name, count in host.items()}
        label = -1 if done["label"] == messages.NO_LABEL else done["label"]
        taken = {name: done[name] for name in _OF_DONE}
        return Summary(**taken, label=label, tick_hz=tick_hz, counters=counters)


@dataclass(frozen=True, eq=False)
class RunResult(Summary):
    """A finished run and its results, int16 (events,)."""

    results: Results


@dataclass(frozen=True, eq=False)
class ResultChunk:
    """Consecutive events of a recording and their results: ``for event, result in chunk`` gives each."""

    first: int
    """Index of the first event in its recording."""
    events: Events
    results: Results

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[tuple[np.void, int]]:
        return zip(self.events, self.results.tolist(), strict=True)


class Latency:
    """Seconds from sending an event to receiving its result, sampled once a write."""

    def __init__(self) -> None:
        self._sent: deque[tuple[int, float]] = deque(maxlen=10_000)
        self._samples: deque[float] = deque(maxlen=10_000)
        self._sampled = 0

    def sent(self, events: int, now: float) -> None:
        """The first `events` events have been sent by now."""
        if not self._sent or events > self._sent[-1][0]:
            self._sent.append((events, now))

    def answered(self, results: int, now: float) -> None:
        """The first `results` results have come by now."""
        while self._sent and self._sent[0][0] <= results:
            self._samples.append(now - self._sent.popleft()[1])
            self._sampled += 1

    def since(self, seen: int) -> tuple[list[float], int]:
        """The samples after the first `seen`, as far as they are kept, and how many there have been."""
        fresh = min(self._sampled - seen, len(self._samples))
        return list(self._samples)[len(self._samples) - fresh :], self._sampled

    def percentile(self, percent: float) -> float:
        """NaN where there is no sample yet."""
        return float(np.percentile(list(self._samples), percent)) if self._samples else float("nan")


def batches_of(events: Events) -> Iterator[Events]:
    """The events in pieces of BATCH_EVENTS."""
    return (events[i : i + BATCH_EVENTS] for i in range(0, len(events), BATCH_EVENTS))


def take_events(batches: deque[Events], count: int) -> Events:
    """Take the first `count` events off."""
    taken: list[Events] = []
    while count:
        batch = batches.popleft()
        if len(batch) > count:
            batches.appendleft(batch[count:])
            batch = batch[:count]
        taken.append(batch)
        count -= len(batch)
    return taken[0] if len(taken) == 1 else np.concatenate([NO_EVENTS, *taken])
