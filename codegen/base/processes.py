"""Starts other programs so that none of them outlives this process, however it ends.

A program runs in a process group of its own. The group is led by a guard, a shell that waits at a pipe whose
other end this process alone holds. When that end closes, because the program is done with or because this
process has ended, by SIGKILL as well, the guard kills the group: the program, all that it started, itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

_GUARD: Final = "trap '' HUP INT TERM; read _; kill -KILL 0"


class _Guard:
    """A process group that ends with this process. On Windows, which has none, it does nothing."""

    def __init__(self) -> None:
        shell = shutil.which("sh", path=os.defpath) or shutil.which("sh")
        self.group: int | None = None
        if os.name == "nt" or shell is None:
            return
        theirs, ours = os.pipe()
        self._lifeline = os.fdopen(ours, "wb", buffering=0)
        try:
            self._process = subprocess.Popen(
                [shell, "-c", _GUARD],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=os.sep,
                process_group=0,
            )
        except BaseException:
            self._lifeline.close()
            raise
        finally:
            os.close(theirs)
        self.group = self._process.pid
        _guards.add(self)

    def end(self) -> None:
        """Kill all of the group. May be called twice."""
        if self.group is None:
            return
        # While the guard has not been waited for, nobody else gets the number of its group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, signal.SIGKILL)
        self.group = None
        self._lifeline.close()
        self._process.wait()

    def forget(self) -> None:
        """After a fork: the group belongs to the process that has started it."""
        self.group = None
        self._lifeline.close()
        self._process.returncode = 0  # not ours to wait for


_guards: Final[weakref.WeakSet[_Guard]] = weakref.WeakSet()


def _forget_all() -> None:
    for guard in list(_guards):
        if guard.group is not None:
            guard.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


class Program(subprocess.Popen[Any]):
    """A running program that ends with this process, and takes all that it has started with it.

    Takes what subprocess.Popen takes. Ctrl-C does not reach the program: whoever started it ends it. Raises
    OSError as Popen does.
    """

    def __init__(self, command: Sequence[str | Path], **options: Any) -> None:
        self._guard = _Guard()
        try:
            super().__init__(command, process_group=self._guard.group, **options)
        except BaseException:
            self._guard.end()
            raise

    def end(self) -> None:
        """Kill the program and all that it has started, unless they have ended. May be called twice."""
        if self._guard.group is None and self.poll() is None:
            self.kill()
        self._guard.end()
        self.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it has not read
                    pipe.close()


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the block ends, and never reaches the processes that are started in it.

    For workers: a terminal sends it to them as well, amid their imports too.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _handler_held():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _handler_held() -> Iterator[None]:
    """Call the handler of Ctrl-C after the block, also when a thread takes it that does not block it."""
    handler = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or handler is None or handler == signal.SIG_IGN:
        yield
        return
    held = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: held.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held.is_set():
            signal.raise_signal(signal.SIGINT)  # blocked here until the mask is as before


_WATCH_S: Final = 0.2
_followed: Final[set[int]] = set()


def follow(parent: int) -> None:
    """In a worker that process `parent` has started: end soon after it has ended.

    In `parent` itself it does nothing.
    """
    if os.name == "nt" or os.getpid() == parent or parent in _followed:
        return
    _followed.add(parent)
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="follow-parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)


def run(command: Sequence[str | Path], *, limit_s: float, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; what it prints is captured as text unless `options` of Popen say otherwise.

    Nothing that it has started is left running. Raises OSError if it cannot be started,
    subprocess.TimeoutExpired after `limit_s` seconds.
    """
    captured = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    program = Program(command, text=True, errors="replace", **(captured | options))
    try:
        output, errors = program.communicate(timeout=limit_s)
    finally:
        program.end()
    return subprocess.CompletedProcess(program.args, program.returncode, output or "", errors or "")
