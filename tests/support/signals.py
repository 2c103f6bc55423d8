"""Signals of the processes that tests start."""

from __future__ import annotations

import signal

KINDS = ("SIGINT", "SIGHUP")


def default_signals() -> None:
    """Let this process end by Ctrl-C and by a hang-up. For `preexec_fn`.

    A test run that a shell starts in the background ignores the first, one under nohup the second, and so do
    all processes below it.
    """
    for name in KINDS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
