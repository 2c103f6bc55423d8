"""Ctrl-C, SIGTERM and a closed terminal end a command in good order: as exceptions, so that it cleans up.

Nothing is imported here that takes time: until the imports of the command line are done, a signal ends the
process at once, for there is nothing to clean up, and an exception amid an import would not arrive whole.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, Final, NoReturn

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the number of the signal."""
_WORDS: Final = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_RETRY_S: Final = 0.02
_LONGEST_IMPORT_S: Final = 10.0
_DEEPEST: Final = 2000


class Terminated(BaseException):
    """SIGTERM or SIGHUP: the command unwinds and ends."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def exit_code(self) -> int:
        """128 and the number of the signal."""
        return 128 + self.number


def signals() -> list[signal.Signals]:
    """The signals that end a command, without those that whoever started it wants ignored."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    known = [signal.Signals[name] for name in names if hasattr(signal, name)]
    return [number for number in known if signal.getsignal(number) != signal.SIG_IGN]


def end_at_once() -> None:
    """From now on a signal ends this process with one line, without cleaning up."""

    def leave(number: int, _: FrameType | None) -> NoReturn:
        say(number)
        os._exit(128 + number)

    for number in signals():
        signal.signal(number, leave)


def end_in_order() -> None:
    """From now on a signal raises KeyboardInterrupt or Terminated in the main thread.

    Amid an import it does so when that is done, and one that is raised where Python drops exceptions, such as
    in a destructor, is raised again. A second SIGTERM does not disturb the cleaning up.
    """
    for number in signals():
        signal.signal(number, _Raiser())
    sys.unraisablehook = _again


def say(number: int) -> None:
    """The last line of a command that a signal has ended, to stderr; a handler may call it."""
    with contextlib.suppress(OSError):
        os.write(2, f"codegen: {_WORDS.get(signal.Signals(number), 'terminated')}\n".encode())


class _Raiser:
    """The handler of one signal."""

    def __init__(self) -> None:
        self._first: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        self._first = self._first or now
        if _importing(frame) and now - self._first < _LONGEST_IMPORT_S:
            _send_later(number)
            return
        self._first = None
        _drop_words_of_workers()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        for other in signals():
            if other != signal.SIGINT:
                signal.signal(other, signal.SIG_IGN)
        raise Terminated(number)


def _drop_words_of_workers() -> None:
    """Work that is given up is no error: concurrent.futures would log it, and joblib would warn of it."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger("concurrent.futures").setLevel(logging.CRITICAL + 1)
    warnings = sys.modules.get("warnings")
    if warnings is not None:
        warnings.filterwarnings("ignore", module=r"joblib\.")


def _importing(frame: FrameType | None) -> bool:
    for _ in range(_DEEPEST):
        if frame is None:
            return False
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _send_later(number: int) -> None:
    timer = threading.Timer(_RETRY_S, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


def _again(what: Any) -> None:
    if isinstance(what.exc_value, Terminated):
        signal.signal(what.exc_value.number, _Raiser())
        _send_later(what.exc_value.number)
    elif isinstance(what.exc_value, KeyboardInterrupt):
        _send_later(signal.SIGINT)
    else:
        sys.__unraisablehook__(what)
