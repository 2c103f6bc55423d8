"""The clock that every wait of the link goes by, so that a test can set another."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Clock:
    """Time that only goes forward, and a pause."""

    now: Callable[[], float] = time.monotonic
    """Seconds since some moment."""
    sleep: Callable[[float], None] = time.sleep
    """Waits so many seconds."""


REAL: Final = Clock()
TURN_S: Final = 0.5
"""A longer wait is made of such turns, so that an observer is informed."""

OnWait = Callable[[str, float], None]
"""Gets what is waited for, and for how many seconds already."""


def ignore(what: str, for_s: float) -> None:
    """An OnWait that tells nobody."""
