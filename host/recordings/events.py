"""A recording in memory, and the check that every recording passes before anything else sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor

Label = int | str
"""Class of a recording: the number of its folder, or a name; one source has only one kind."""


@dataclass(frozen=True, eq=False)
class EventStream:
    """One recording: EVENT_DTYPE events in time order, all on the sensor."""

    events: Events
    sensor: Sensor
    name: str
    """Short and the same on every machine, e.g. ``3/00041.bin``."""
    label: Label | None
    skipped: int = 0
    """Bad events that were left out (``--skip-bad-events``)."""

    @property
    def duration_us(self) -> int:
        """Time from the first to the last event, microseconds."""
        return int(self.events["t_us"][-1] - self.events["t_us"][0]) if self.events.size else 0


def check_events(
    events: Events, sensor: Sensor, where: str, *, first_index: int = 0, after_us: int = 0
) -> None:
    """Raise FeastError, naming the first bad event by its index, unless all events are good.

    An event is bad if it lies outside the sensor, if its polarity is neither 0 nor 1, or if it is
    earlier than the one before it (equal times are fine). `first_index` and `after_us` continue a
    recording: the index of the first of these events and the time of the one before.
    """
    outside, odd = is_outside(events, sensor), events["polarity"] > 1
    backwards = np.zeros(events.size, np.bool_)
    backwards[:1] = events["t_us"][:1] < after_us
    backwards[1:] = events["t_us"][1:] < events["t_us"][:-1]
    bad = outside | odd | backwards
    if not bad.any():
        return
    first = int(np.argmax(bad))
    event = events[first]
    if outside[first]:
        problem = f"x={event['x']} y={event['y']} lies outside the {sensor} sensor"
    elif odd[first]:
        problem = f"polarity {event['polarity']}, expected 0 or 1"
    else:
        before_us = events["t_us"][first - 1] if first else after_us
        problem = f"t={event['t_us']} us is earlier than the event before it (t={before_us} us)"
    raise FeastError(f"{where}: event {first_index + first}: {problem}")


def is_outside(events: Events, sensor: Sensor) -> npt.NDArray[np.bool_]:
    outside: npt.NDArray[np.bool_] = (events["x"] >= sensor.width) | (events["y"] >= sensor.height)
    return outside
