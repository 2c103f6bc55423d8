"""Waiting for events: it takes what it takes, and ends in any case."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

LIMIT_S: Final = 600.0
"""Only what never comes lasts as long, even on a machine with much other work."""
_TURN_S: Final = 0.01


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return once `condition` holds; `what` says what has not happened if it never does."""
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, f"after {LIMIT_S:.0f} s still not: {what}"
        time.sleep(_TURN_S)


def is_alive(pid: int) -> bool:
    """Whether a process of that number runs. One that has ended and waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")  # nobody may reap where the first process is no init
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
