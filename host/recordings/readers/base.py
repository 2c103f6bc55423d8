"""What the readers of event files share."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.reading import LeftOut, Reading

BLOCK_BYTES: Final = 1 << 20
"""Read at a time, about: what a reader holds of a file does not grow with it."""

CUT: Final = "--accept-truncated reads it up to there"
"""What the error for a file that ends in the middle of something advises."""
_LONGEST_HEADER: Final = 1 << 24
"""Bytes; settings of a camera may stand in one line of a header."""


@dataclass(frozen=True, eq=False)
class Recording:
    """An event file whose header has been read."""

    sensor: Sensor | None
    """None if the file does not say."""
    chunks: Callable[[], Iterator[Events]] = field(repr=False)
    """Reads the events, EVENT_DTYPE, some 10,000 to a million at a time; each call starts from the beginning.

    Raises FeastError naming the file and the byte where it is damaged.
    """

    def read(self) -> Events:
        """All events at once."""
        parts = list(self.chunks())
        return np.concatenate(parts) if parts else np.zeros(0, EVENT_DTYPE)


def fault(path: Path, at: int, problem: str) -> FeastError:
    """The error for byte `at` of a file."""
    return FeastError(f"{path}: byte {at}: {problem}")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, open for reading; a system error becomes a FeastError."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise FeastError(f"{path}: cannot read: {error.strerror or error}") from None


@contextmanager
def foreign(problem: Callable[[str], FeastError]) -> Iterator[None]:
    """What a library says about a damaged file becomes ``problem(first line)``.

    h5py, zipfile and numpy raise errors of some twenty types then, so all are taken: put nothing but calls of
    them here. What they warn of is silenced.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except (FeastError, ImportError):  # a package that is not installed is no damage
        raise
    except Exception as error:
        raise problem(" ".join(str(error).split())[:200] or type(error).__name__) from None


def size_of(path: Path) -> int:
    """Bytes of the file. Raises FeastError if it is not there."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise FeastError(f"{path}: cannot read: {error.strerror}") from None


def check_whole(
    path: Path, start: int, record_bytes: int, record: str, reading: Reading, left_out: LeftOut
) -> None:
    """Raise FeastError unless the file from `start` on is whole records, and at least one.

    Where `reading` accepts truncated files, the rest of a record at the end is counted instead.
    """
    size = size_of(path)
    left = (size - start) % record_bytes
    if size - left <= start:
        raise fault(path, size, f"the file ends before the first {record}")
    if left and not reading.accept_truncated:
        raise fault(
            path, size - left, f"truncated: {left} of the {record_bytes} bytes of the last {record}; {CUT}"
        )
    if left:
        cut_off(path, left_out, left)


def cut_off(path: Path, left_out: LeftOut, size: int, what: str = "bytes") -> None:
    """Count what is left of a record at the end of a file that was cut off there."""
    left_out.add(what, "the file ends in the middle of a record", size, str(path))


def blocks(path: Path, start: int, record_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) of whole records from `start` to the end of the file."""
    with opened(path) as file:
        # No more than the file holds: for each of many small files, a whole block would be allocated.
        there = max(os.fstat(file.fileno()).st_size - start, 1)
        size = min(BLOCK_BYTES // record_bytes, -(-there // record_bytes)) * record_bytes
        file.seek(start)
        while data := file.read(size):
            yield start, data[: len(data) // record_bytes * record_bytes]
            start += len(data)


def header_lines(path: Path, mark: bytes, last: tuple[bytes, ...]) -> tuple[list[str], int]:
    """Leading lines that begin with `mark`, without it, and the offset of what follows them.

    A line equal to one of `last` ends the header. Raises FeastError for a header beyond 16 MiB.
    """
    lines: list[str] = []
    with opened(path) as file:
        at = 0
        while file.read(len(mark)) == mark:
            file.seek(at)
            line = file.readline(_LONGEST_HEADER + 1)
            at += len(line)
            if at > _LONGEST_HEADER:
                raise fault(path, at, f"the header does not end within {_LONGEST_HEADER} bytes")
            lines.append(line[len(mark) :].decode("latin-1").strip())
            if line.strip() in last:
                break
        return lines, at


def make_events(t_us: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike, polarity: npt.ArrayLike) -> Events:
    """EVENT_DTYPE from columns of one length."""
    columns = [np.asarray(column) for column in (t_us, x, y, polarity)]
    events = np.zeros(len(columns[0]), EVENT_DTYPE)
    for name, column in zip(("t_us", "x", "y", "polarity"), columns, strict=True):
        events[name] = column
    return events


def checked_columns(where: Callable[[int], FeastError], t_us: Any, x: Any, y: Any, polarity: Any) -> Events:
    """Like `make_events` for numbers of any type; polarity may be 0 and 1 or -1 and 1.

    Raises ``where(row)`` for the first row with a number that an event cannot hold, or no number; x, y and
    polarity must be whole.
    """
    columns = [np.asarray(column) for column in (t_us, x, y, polarity)]
    if any(column.dtype.kind not in "biuf" or column.ndim != 1 for column in columns):
        raise where(0)
    with np.errstate(over="ignore"):  # of 16 bits, they could not be compared with the limits
        columns = [each.astype(np.float64) if each.dtype.kind == "f" else each for each in columns]
    limits = (2**63, 2**16, 2**16, 2)
    for column, limit, lowest in zip(columns, limits, (0, 0, 0, -1), strict=True):
        bad = ~((column >= lowest) & (column < limit))
        if column.dtype.kind == "f" and limit < 2**63:
            bad |= column != np.floor(column)  # a part of a pixel is none
        if bad.any():
            raise where(int(np.argmax(bad)))
    return make_events(columns[0], columns[1], columns[2], columns[3] > 0)


class Unwrapper:
    """Makes times of `bits` bits into times that do not wrap; holds its place from chunk to chunk."""

    def __init__(self, bits: int) -> None:
        self._period = 1 << bits
        self._last = 0
        self._epoch = 0

    def __call__(self, times: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """int64 (n,): `times` plus a period for each fall by more than half of one."""
        values = times.astype(np.int64)
        if not values.size:
            return values
        steps = np.diff(values, prepend=self._last)
        epochs = self._epoch + np.cumsum(steps < -self._period // 2)
        self._last, self._epoch = int(values[-1]), int(epochs[-1])
        return np.asarray(values + epochs * self._period)
