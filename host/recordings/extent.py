"""How long recordings last and how many events they hold: what shows a unit of time that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from feast_codegen.codegen.base.events import Events
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.text import count


@dataclass
class Extent:
    """Events and time of the recordings seen so far, each from its first event to its last."""

    events: int = 0
    duration_us: int = 0
    _last_us: int | None = None

    def begin(self) -> None:
        """The next events are of another recording."""
        self._last_us = None

    def add(self, events: Events) -> None:
        """The next events of a recording, in order."""
        if events.size:
            first_us, last_us = int(events["t_us"][0]), int(events["t_us"][-1])
            self.duration_us += last_us - (first_us if self._last_us is None else self._last_us)
            self.events, self._last_us = self.events + events.size, last_us

    def watch(self, recordings: Iterable[EventStream]) -> Iterator[EventStream]:
        """Whole recordings, added as they pass."""
        for stream in recordings:
            self.begin()
            self.add(stream.events)
            yield stream

    @property
    def mean_rate(self) -> float | None:
        """Events per second; None where no time has passed."""
        return self.events / (self.duration_us * 1e-6) if self.duration_us else None

    @property
    def values(self) -> dict[str, object]:
        """For ``--json``."""
        return {"duration_us": self.duration_us, "mean_event_rate": self.mean_rate}

    def __str__(self) -> str:
        rate = "all events at one time" if self.mean_rate is None else f"{_rate(self.mean_rate)} on average"
        return f"{self.duration_us * 1e-6:,.4g} s, {rate}"


def _rate(per_s: float) -> str:
    return f"{count(round(per_s)) if per_s >= 10 else f'{per_s:.3g}'} events/s"
