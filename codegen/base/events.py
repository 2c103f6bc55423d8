"""The event record and the result codes that twin, emitted C, link and host share."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

EVENT_DTYPE: Final = np.dtype(
    [("t_us", np.uint64), ("x", np.uint16), ("y", np.uint16), ("polarity", np.uint8)], align=True
)
"""One event, laid out like ``feast_event_t`` in the emitted header (16 bytes).

``t_us``: microseconds, never wraps. ``x`` grows to the right, ``y`` downwards, both from 0.
``polarity``: 0 (darker) or 1 (brighter).
"""

FEATURE_EVENT_DTYPE: Final = np.dtype(
    [("t_us", np.uint64), ("x", np.uint16), ("y", np.uint16), ("channel", np.uint16)], align=True
)
"""One event of a second layer: an event below that feature `channel` won."""

RESULT_DTYPE: Final = np.dtype(np.int16)
"""One result per event: a feature id (>= 0) or one of the negative codes below."""

MISS: Final = -1
"""No feature was in range of its selection threshold."""
BORDER: Final = -2
"""Border policy `skip` and no full patch around the event: nothing was compared or learned."""
OUTSIDE: Final = -3
"""The event lies outside the sensor: counted, state untouched."""
BACKWARDS: Final = -4
"""The event is earlier than the last accepted one: counted, state untouched."""
FILTERED: Final = -5
"""The model's filters left the event out: counted, nothing but their own state touched."""

RESULT_NAMES: Final = {
    MISS: "MISS",
    BORDER: "BORDER",
    OUTSIDE: "OUTSIDE",
    BACKWARDS: "BACKWARDS",
    FILTERED: "FILTERED",
}

Events = npt.NDArray[np.void]
Results = npt.NDArray[np.int16]


def feature_events(events: Events, results: Results) -> Events:
    """The events (``EVENT_DTYPE``) that a feature won, as ``FEATURE_EVENT_DTYPE``, in order."""
    won = results >= 0
    above = np.empty(int(np.count_nonzero(won)), FEATURE_EVENT_DTYPE)
    for name in ("t_us", "x", "y"):
        above[name] = events[name][won]
    above["channel"] = results[won]
    return above
