"""NumPy files: ``.npy`` with one array, ``.npz`` with one array or one for each column.

Structured arrays have fields named like columns of an HDF5 file (tonic's: x, y, t, p). A uint16 array of
six columns is what OpenMV reads from a GenX320: type, seconds, milliseconds, microseconds, x, y. Nothing is
unpickled, and arrays are read piece by piece. A two-dimensional array of numbers is read in the order of
columns that the user says.
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

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers.base import (
    CUT,
    Recording,
    Unwrapper,
    checked_columns,
    cut_off,
    fault,
    foreign,
    opened,
    size_of,
)
from feast_codegen.host.recordings.readers.columns import (
    ORDER_ADVICE,
    TableReader,
    find_columns,
    named_unit,
    not_whole,
    parse_order,
)
from feast_codegen.host.recordings.readers.streams import choose
from feast_codegen.host.recordings.reading import LeftOut, Reading

GENX320: Final = Sensor(320, 320)
_CHUNK: Final = 1 << 18
_MOST_ROW_BYTES: Final = 1 << 10
_READ_BYTES: Final = 1 << 20
_GENX_COLUMNS: Final = 6
_MOST_COLUMNS: Final = 64

Array = npt.NDArray[Any]


class _Stream:
    """One array of a file, read from its start."""

    def __init__(self, path: Path, name: str, file: IO[bytes], accept_truncated: bool = False) -> None:
        self._path, self._name, self._file, self._accept = path, name, file, accept_truncated
        with foreign(lambda reason: fault(path, 0, f"{name}: not a NumPy array: {reason}")):
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            self.shape, fortran, self.dtype = read(file)
        if self.dtype.hasobject or (fortran and len(self.shape) > 1):
            order = "; numpy.ascontiguousarray makes it so" if fortran else ""
            raise FeastError(f"{path}: {name}: dtype {self.dtype}, expected numbers in C order{order}")
        self.row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        self._done = 0
        self.missing = 0
        """Bytes that the file lacks at its end, as far as it has been read."""

    def read(self, rows: int) -> Array:
        """The next `rows` rows, fewer at the end."""
        if not self.shape or min(self.shape) < 0 or not 0 < self.row_bytes <= _MOST_ROW_BYTES:
            problem = f"shape {self.shape} of {self.dtype}, expected rows of a few numbers"
            raise FeastError(f"{self._path}: {self._name}: {problem}")
        rows = min(rows, self.shape[0] - self._done) if not self.missing else 0
        wanted, parts, got = rows * self.row_bytes, [], 0
        with _damaged(self._path, f"{self._name}, row {self._done}"):
            while got < wanted and (more := self._file.read(min(wanted - got, _READ_BYTES))):
                parts.append(more)
                got += len(more)
        data = b"".join(parts)
        if got < wanted:
            row = self._done + got // self.row_bytes
            if not self._accept:
                end = size_of(self._path)
                raise fault(
                    self._path, end, f"truncated: {self._name} ends in row {row} of {self.shape[0]}; {CUT}"
                )
            self.missing = wanted - got
            rows = got // self.row_bytes
            data = data[: rows * self.row_bytes]
        self._done += rows
        return np.frombuffer(data, self.dtype).reshape(rows, *self.shape[1:])


def _damaged(path: Path, where: str) -> AbstractContextManager[None]:
    """For calls of zipfile on a file that may be damaged."""
    return foreign(lambda reason: FeastError(f"{path}: {where}: damaged: {reason}"))


def open_npy(path: Path, reading: Reading = Reading(), left_out: LeftOut | None = None) -> Recording:
    """Open a ``.npy`` file. Raises FeastError if its array holds no events or is truncated."""
    said = left_out or LeftOut()

    def chunks() -> Iterator[Events]:
        with opened(path) as file:
            stream = _Stream(path, "array", file, reading.accept_truncated)
            yield from _rows(path, "array", stream, reading, said)

    with opened(path) as file:
        stream = _Stream(path, "array", file)
        sensor = _check(path, "array", stream, reading)
        missing = stream.shape[0] * stream.row_bytes - (size_of(path) - file.tell())
    if missing > 0 and not reading.accept_truncated:
        raise fault(path, size_of(path), f"truncated: {missing} bytes of the array are missing; {CUT}")
    if missing > 0:
        left = missing // max(stream.row_bytes, 1) + (missing % max(stream.row_bytes, 1) > 0)
        cut_off(path, said, left, "rows")
    return Recording(sensor, chunks)


def open_npz(path: Path, reading: Reading = Reading(), left_out: LeftOut | None = None) -> Recording:
    """Open a ``.npz`` file: columns in arrays of their own, else an array that holds events."""
    said = left_out or LeftOut()
    with opened(path) as file:
        end = size_of(path)
        with foreign(lambda reason: fault(path, end, f"not a .npz file, or truncated: {reason}")):
            archive = zipfile.ZipFile(file)
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        columns = find_columns(names)
        sensor = None
        if columns is None:
            name = choose(path, "array", _with_events(path, archive, names, reading), reading, said)
            with _member(path, archive, name) as member:
                sensor = _check(path, name, _Stream(path, name, member), reading)

    def chunks() -> Iterator[Events]:
        with opened(path) as file, zipfile.ZipFile(file) as archive, ExitStack() as stack:

            def stream(name: str) -> _Stream:
                return _Stream(path, name, stack.enter_context(_member(path, archive, name)))

            if columns is None:
                yield from _rows(path, name, stream(name), reading, said)
            else:
                table = TableReader(path, reading, said, named_unit(columns["t"]))
                yield from _columns(path, {column: stream(each) for column, each in columns.items()}, table)

    return Recording(sensor, chunks)


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    with _damaged(path, name):
        return archive.open(f"{name}.npy")


def _with_events(path: Path, archive: zipfile.ZipFile, names: list[str], reading: Reading) -> list[str]:
    """Names of the arrays that hold events."""
    found, tables = [], []
    for name in names:
        with _member(path, archive, name) as member:
            stream = _Stream(path, name, member)
        if _is_genx(stream) or find_columns(list(stream.dtype.names or ())):
            found.append(name)
        elif _is_table(stream):
            tables.append(name)
    if not found and reading.columns:
        found = tables
    if not found:
        said = f"; {tables[0]} is a table: {ORDER_ADVICE}" if tables else ""
        raise FeastError(
            f"{path}: no events in its arrays {', '.join(names)[:80]}; expected t, x, y and p{said}"
        )
    return found


def _is_genx(stream: _Stream) -> bool:
    return stream.dtype == np.uint16 and len(stream.shape) == 2 and stream.shape[1] == _GENX_COLUMNS


def _is_table(stream: _Stream) -> bool:
    """Whether it has rows of four numbers or a few more."""
    return (
        len(stream.shape) == 2
        and stream.dtype.names is None
        and stream.dtype.kind in "iuf"
        and 4 <= stream.shape[1] <= _MOST_COLUMNS
    )


def _check(path: Path, name: str, stream: _Stream, reading: Reading) -> Sensor | None:
    """Raise FeastError unless the array holds events; the sensor if its kind has one."""
    order = parse_order(reading.columns)
    if _is_genx(stream) and order is None:
        return GENX320
    if _is_table(stream) and order is not None and max(order.values()) < stream.shape[1]:
        return None
    if len(stream.shape) != 1 or find_columns(list(stream.dtype.names or ())) is None:
        advice = f"; of a table, {ORDER_ADVICE}" if _is_table(stream) else ""
        raise FeastError(
            f"{path}: {name}: shape {stream.shape} of {stream.dtype}, expected one dimension with fields "
            f"t, x, y and p, or uint16 (n, 6) of a GenX320{advice}"
        )
    return None


def _rows(path: Path, name: str, stream: _Stream, reading: Reading, left_out: LeftOut) -> Iterator[Events]:
    order, first, unwrap = parse_order(reading.columns), 0, Unwrapper(16)
    fields: dict[str, Any] = find_columns(list(stream.dtype.names or ())) or {}
    table = TableReader(path, reading, left_out, named_unit(fields["t"]) if fields else None)
    while len(rows := stream.read(_CHUNK)):
        if fields:
            yield _checked(
                path, name, table, {column: rows[field] for column, field in fields.items()}, first
            )
        elif order is not None:
            yield _checked(path, name, table, {column: rows[:, at] for column, at in order.items()}, first)
        else:
            yield _from_genx(path, rows, unwrap, first)
        first += len(rows)
    table.end()


def _columns(path: Path, streams: dict[str, _Stream], table: TableReader) -> Iterator[Events]:
    if len({stream.shape for stream in streams.values()}) > 1:
        raise FeastError(f"{path}: the columns differ in shape")
    first = 0
    while True:
        rows = {column: stream.read(_CHUNK) for column, stream in streams.items()}
        if not len(rows["t"]):
            table.end()
            return
        yield _checked(path, "columns", table, rows, first)
        first += len(rows["t"])


def _checked(path: Path, name: str, table: TableReader, rows: dict[str, Array], first: int) -> Events:
    def where(row: int) -> FeastError:
        return FeastError(f"{path}: {name}, row {first + row}: not an event{not_whole(rows, row)}")

    return table(rows["t"], rows["x"], rows["y"], rows["p"], where)


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
