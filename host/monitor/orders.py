"""What the page asks the worker to do: a queue that no flood of orders can fill."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

ORDERS: Final = {
    "pause": "pausing",
    "resume": "pausing",
    "learn": "learning",
    "freeze": "learning",
    "record": "recording",
    "stop": "recording",
    "save": "saving",
}
"""Each order and its kind. A new order replaces a waiting one of its kind: only the last one counts."""
_SPACING_S: Final = 0.25
_SHARE: Final = 5
"""An order that took a second to carry out can be carried out again this many seconds later."""


class Orders:
    """Orders that wait for the worker: at most one of each kind, so memory and work are bounded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, str] = {}
        self._due = dict.fromkeys(ORDERS.values(), clock())

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, what: str) -> bool:
        """Add an order; False if there is no such order. Any thread may call this."""
        kind = ORDERS.get(what)
        if kind is None:
            return False
        with self._lock:
            self._waiting[kind] = what
        return True

    def take(self) -> str | None:
        """Remove and return an order that is due; None if there is none."""
        now = self._clock()
        with self._lock:
            kind = next((kind for kind in self._waiting if self._due[kind] <= now), None)
            return None if kind is None else self._waiting.pop(kind)

    def carried_out(self, what: str, began: float) -> None:
        """Note that `what` was carried out from `began` until now: its kind is due again after a while."""
        now = self._clock()
        self._due[ORDERS[what]] = now + max(_SPACING_S, _SHARE * (now - began))
