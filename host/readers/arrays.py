"""NumPy files: ``.npy`` with one array, ``.npz`` with one array or one for each column.

Structured arrays have fields named like columns of an HDF5 file (tonic's: x, y, t, p). A uint16 array of
six columns is what OpenMV reads from a GenX320: type, seconds, milliseconds, microseconds, x, y. Nothing is
unpickled, and arrays are read piece by piece.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from codegen.errors import FeastError
from codegen.model import Sensor
from codegen.records import Events
from host.readers.base import Recording, Unwrapper, checked_columns, fault, foreign, opened, size_of
from host.readers.hdf5 import find_columns, microseconds

GENX320: Final = Sensor(320, 320)
_CHUNK: Final = 1 << 18
_MOST_ROW_BYTES: Final = 1 << 10
_READ_BYTES: Final = 1 << 20
_GENX_COLUMNS: Final = 6

Array = npt.NDArray[Any]


class _Stream:
    """One array of a file, read from its start."""

    def __init__(self, path: Path, name: str, file: IO[bytes], start: int = 0) -> None:
        self._path, self._name, self._file = path, name, file
        with foreign(lambda reason: fault(path, start, f"{name}: not a NumPy array: {reason}")):
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            self.shape, fortran, self.dtype = read(file)
        if self.dtype.hasobject or (fortran and len(self.shape) > 1):
            raise FeastError(f"{path}: {name}: dtype {self.dtype}, expected numbers in C order")
        self._row = math.prod(self.shape[1:]) * self.dtype.itemsize
        self._done = 0

    def read(self, rows: int) -> Array:
        """The next `rows` rows, fewer at the end."""
        if not self.shape or min(self.shape) < 0 or not 0 < self._row <= _MOST_ROW_BYTES:
            problem = f"shape {self.shape} of {self.dtype}, expected rows of a few numbers"
            raise FeastError(f"{self._path}: {self._name}: {problem}")
        rows = min(rows, self.shape[0] - self._done)
        wanted, parts, got = rows * self._row, [], 0
        with _damaged(self._path, f"{self._name}, row {self._done}"):
            while got < wanted and (more := self._file.read(min(wanted - got, _READ_BYTES))):
                parts.append(more)
                got += len(more)
        if got < wanted:
            row = self._done + got // self._row
            end = size_of(self._path)
            raise fault(self._path, end, f"truncated: {self._name} ends in row {row} of {self.shape[0]}")
        self._done += rows
        return np.frombuffer(b"".join(parts), self.dtype).reshape(rows, *self.shape[1:])


def _damaged(path: Path, where: str) -> AbstractContextManager[None]:
    """For calls of zipfile on a file that may be damaged."""
    return foreign(lambda reason: FeastError(f"{path}: {where}: damaged: {reason}"))


def open_npy(path: Path) -> Recording:
    """Open a ``.npy`` file. Raises FeastError if its array holds no events or is truncated."""

    def chunks() -> Iterator[Events]:
        with opened(path) as file:
            yield from _rows(path, "array", _Stream(path, "array", file))

    with opened(path) as file:
        stream = _Stream(path, "array", file)
        sensor = _check(path, "array", stream)
        missing = stream.shape[0] * stream._row - (size_of(path) - file.tell())
    if missing > 0:
        raise fault(path, size_of(path), f"truncated: {missing} bytes of the array are missing")
    return Recording(sensor, chunks)


def open_npz(path: Path) -> Recording:
    """Open a ``.npz`` file: columns in arrays of their own, else the first array that holds events."""
    with opened(path) as file:
        end = size_of(path)
        with foreign(lambda reason: fault(path, end, f"not a .npz file, or truncated: {reason}")):
            archive = zipfile.ZipFile(file)
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        columns = find_columns(names)
        sensor = None
        if columns is None:
            name = _first_events(path, archive, names)
            with _member(path, archive, name) as member:
                sensor = _check(path, name, _Stream(path, name, member))

    def chunks() -> Iterator[Events]:
        with opened(path) as file, zipfile.ZipFile(file) as archive, ExitStack() as stack:

            def stream(name: str) -> _Stream:
                return _Stream(path, name, stack.enter_context(_member(path, archive, name)))

            if columns is None:
                yield from _rows(path, name, stream(name))
            else:
                yield from _columns(path, {column: stream(each) for column, each in columns.items()})

    return Recording(sensor, chunks)


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    with _damaged(path, name):
        return archive.open(f"{name}.npy")


def _first_events(path: Path, archive: zipfile.ZipFile, names: list[str]) -> str:
    for name in names:
        with _member(path, archive, name) as member:
            stream = _Stream(path, name, member)
        if _is_genx(stream) or find_columns(list(stream.dtype.names or ())):
            return name
    raise FeastError(f"{path}: no events in its arrays {', '.join(names)[:80]}; expected t, x, y and p")


def _is_genx(stream: _Stream) -> bool:
    return stream.dtype == np.uint16 and len(stream.shape) == 2 and stream.shape[1] == _GENX_COLUMNS


def _check(path: Path, name: str, stream: _Stream) -> Sensor | None:
    """Raise FeastError unless the array holds events; the sensor if its kind has one."""
    if _is_genx(stream):
        return GENX320
    if len(stream.shape) != 1 or find_columns(list(stream.dtype.names or ())) is None:
        raise FeastError(
            f"{path}: {name}: shape {stream.shape} of {stream.dtype}, expected one dimension with fields "
            f"t, x, y and p, or uint16 (n, 6) of a GenX320"
        )
    return None


def _rows(path: Path, name: str, stream: _Stream) -> Iterator[Events]:
    first, unwrap = 0, Unwrapper(16)
    while len(rows := stream.read(_CHUNK)):
        if _is_genx(stream):
            yield _from_genx(path, rows, unwrap, first)
        else:
            fields = find_columns(list(rows.dtype.names or ())) or {}
            yield _checked(path, name, {column: rows[field] for column, field in fields.items()}, first)
        first += len(rows)


def _columns(path: Path, streams: dict[str, _Stream]) -> Iterator[Events]:
    if len({stream.shape for stream in streams.values()}) > 1:
        raise FeastError(f"{path}: the columns differ in shape")
    first = 0
    while True:
        rows = {column: stream.read(_CHUNK) for column, stream in streams.items()}
        if not len(rows["t"]):
            return
        yield _checked(path, "columns", rows, first)
        first += len(rows["t"])


def _checked(path: Path, name: str, rows: dict[str, Array], first: int) -> Events:
    return checked_columns(
        lambda row: FeastError(f"{path}: {name}, row {first + row}: not an event"),
        microseconds(rows["t"]),
        rows["x"],
        rows["y"],
        rows["p"],
    )


def _from_genx(path: Path, rows: Array, unwrap: Unwrapper, first: int) -> Events:
    """Rows of types 0 (darker) and 1 (brighter); other types are triggers. Seconds wrap after 18 hours."""
    seconds = unwrap(rows[:, 1])
    t_us = seconds * 1_000_000 + rows[:, 2].astype(np.int64) * 1000 + rows[:, 3]
    wanted = rows[:, 0] <= 1
    columns = (t_us, rows[:, 4], rows[:, 5], rows[:, 0])
    return checked_columns(
        lambda row: FeastError(f"{path}: row {first + row}: not an event"),
        *(column[wanted] for column in columns),
    )
