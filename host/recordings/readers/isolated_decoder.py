"""Decoders in a process of their own: a damaged file that ends it is an error in one line.

The libraries that decode HDF5 and AEDAT 4 end the process on some damaged files, by a segmentation fault or a
panic within a panic, which nothing in the same process can catch. So a worker runs them
(`recordings.readers.worker`); it serves one file after the other, and ends with this process.

A worker says READY once its libraries are loaded. A request is a line of JSON. Answers are lines of JSON: one
``{"sensor": size}``, then ``{"events": n}``, each followed by n records of EVENT_DTYPE; ``{"end": true}``
with what was left out, ``{"error": text}`` and ``{"bug": text}`` are the last. No answer is code, so a worker
that a file has taken over can lie about events and no more.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.base.processes import Program
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers.base import Recording
from feast_codegen.host.recordings.reading import LeftOut, Reading

LIMIT_S: Final = 60.0
"""For one answer; a library that takes longer over a few 100,000 events does not come back."""
WORKER: Final = "feast_codegen.host.recordings.readers.worker"
READY: Final = b"ready\n"
"""What a worker says first."""
MOST_REMARKS: Final = 20
"""Of each kind, on what was left out of a file."""
_SAID: Final = ("time_unit", "columns", "stream", "accept_truncated")
"""What of a Reading the decoders need."""
_MOST_EVENTS: Final = 1 << 26
_LONGEST_LINE: Final = 1 << 16


def opened_apart(decoder: str) -> Callable[[Path, Reading, LeftOut], Recording]:
    """The reader of that name in `feast_codegen.host.recordings.readers.worker`, run there.

    It raises what that one raises, and FeastError if the worker ends or falls silent.
    """

    def open_file(path: Path, reading: Reading, left_out: LeftOut) -> Recording:
        (sensor,) = _answers(decoder, path, reading, left_out, read=False)
        assert not isinstance(sensor, np.ndarray)

        def chunks() -> Iterator[Events]:
            for answer in _answers(decoder, path, reading, left_out, read=True):
                if isinstance(answer, np.ndarray):
                    yield answer

        return Recording(sensor, chunks)

    return open_file


class _EndedError(Exception):
    """The worker is no more, or not to be trusted; the text says how that came."""


_NONSENSE: Final = "damaged: its decoder answered nonsense"


@dataclass(frozen=True)
class _Last:
    """The answer that ends a request."""

    error: Exception | None = None
    left_out: tuple[tuple[str, str, int], ...] = ()
    remarks: tuple[str, ...] = ()

    def tell(self, left_out: LeftOut, path: Path) -> None:
        """Hand on what was not read; in the words of the worker, so that they are made printable."""
        for what, why, count in self.left_out:
            left_out.add(_printable(what), _printable(why), count, str(path))
        for remark in self.remarks:
            left_out.say(_printable(remark), str(path))


def _printable(text: str) -> str:
    return str(FeastError(text))


def _end(answer: dict[str, Any]) -> _Last | None:
    """The last answer of a request that went well; None if it is none."""
    counts, remarks = answer.get("left_out", []), answer.get("remarks", [])
    if not (isinstance(counts, list) and isinstance(remarks, list)):
        return None
    if max(len(counts), len(remarks)) > MOST_REMARKS or not all(isinstance(each, str) for each in remarks):
        return None
    found = []
    for each in counts:
        match each:
            case [str(what), str(why), int(count)] if 0 <= count < 1 << 63:
                found.append((what, why, count))
            case _:
                return None
    return _Last(None, tuple(found), tuple(remarks))


class _Worker:
    """A process that decodes."""

    def __init__(self) -> None:
        # -P and no empty entry: a module in the folder one works in, or among the recordings, is not run.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        try:
            self._process = Program(
                [sys.executable, "-P", "-m", WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=_folder() or os.sep,  # Python does not start in one that is gone
                env=os.environ | {"PYTHONPATH": path},
            )
        except OSError as error:
            raise FeastError(f"the decoder cannot be started: {error.strerror or error}") from None
        self._ready = self.late = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Kill it, unless it has ended."""
        self._process.end()

    def ask(self, request: dict[str, Any]) -> None:
        assert self._process.stdin
        with contextlib.suppress(OSError):  # the pipe is broken: the answer tells
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def answer(self) -> Sensor | Events | _Last | None:
        """The next one; a sensor may be None. Raises _EndedError."""
        timer = threading.Timer(LIMIT_S, self._give_up)
        timer.start()
        try:
            if not self._ready:
                self._await_start()
            return self._read()
        finally:
            timer.cancel()

    def _await_start(self) -> None:
        assert self._process.stdout
        if self._process.stdout.readline(_LONGEST_LINE) != READY:
            raise _EndedError(f"its decoder cannot be started: `{sys.executable} -m {WORKER}` may say why")
        self._ready = True

    def _read(self) -> Sensor | Events | _Last | None:
        assert self._process.stdout
        line = self._process.stdout.readline(_LONGEST_LINE)
        if not line:
            raise _EndedError(self._how())
        try:
            answer = json.loads(line)
            match answer:
                case {"events": int(count)} if 0 <= count <= _MOST_EVENTS:
                    events = np.empty(count, EVENT_DTYPE)
                    if self._process.stdout.readinto(events.view(np.uint8)) < events.nbytes:  # type: ignore[attr-defined]
                        raise _EndedError(self._how())
                    return events
                case {"sensor": None}:
                    return None
                case {"sensor": str(size)}:
                    return Sensor.parse(size)
                case {"end": True} if last := _end(answer):
                    return last
                case {"error": str(text)}:
                    return _Last(FeastError(text))
                case {"bug": str(text)}:
                    return _Last(RuntimeError(text))
        except (ValueError, RecursionError, FeastError):
            pass
        raise _EndedError(_NONSENSE)

    def _give_up(self) -> None:
        self.late = True
        self._process.kill()

    def _how(self) -> str:
        status = self._process.wait()
        if self.late:
            return f"its decoder gave no answer for {LIMIT_S:.3g} s"
        return f"damaged: its decoder ended ({signal.strsignal(-status) if status < 0 else f'exit {status}'})"


class _Idle:
    """Workers that wait for a file. There are several only where files are read at once."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know of none: after a fork they serve the process that has started them."""
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []

    def take(self) -> _Worker:
        """One of them, or a new one."""
        with self._lock:
            while self._workers:
                worker = self._workers.pop()
                if worker.alive and not worker.late:
                    return worker
                worker.end()
        return _Worker()

    def give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._workers.append(worker)

    def end(self) -> None:
        """End them."""
        while self._workers:
            self._workers.pop().end()


_idle: Final = _Idle()
atexit.register(_idle.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.forget)


def _answers(
    decoder: str, path: Path, reading: Reading, left_out: LeftOut, *, read: bool
) -> Iterator[Sensor | Events | None]:
    """The sensor, then, if `read`, the events in pieces; at the end `left_out` gets what is missing."""
    worker, seen, first = _idle.take(), 0, True
    answer: Sensor | Events | _Last | None = None
    try:
        said = {name: getattr(reading, name) for name in _SAID}
        request = {"decoder": decoder, "path": str(path), "folder": _folder(), "read": read, "reading": said}
        worker.ask(request)
        while not isinstance(answer := worker.answer(), _Last):
            if isinstance(answer, np.ndarray) == first or not (first or read):
                raise _EndedError(_NONSENSE)
            yield answer
            seen += answer.size if isinstance(answer, np.ndarray) else 0
            first = False
        if first and answer.error is None:
            answer = None
            raise _EndedError(_NONSENSE)
    except _EndedError as how:
        raise FeastError(f"{path}: {how} after event {seen}") from None
    finally:
        if isinstance(answer, _Last):
            _idle.give_back(worker)
        else:  # it ended, or is amid a file that nobody wants to hear more of
            worker.end()
    if answer.error:
        raise answer.error
    answer.tell(left_out, path)


def _folder() -> str | None:
    """The folder one works in, None where it is gone."""
    try:
        return str(Path.cwd())
    except OSError:
        return None
