"""MATLAB files (``.mat``) of versions 4, 5 and 7.3: structs of columns, variables, (n, 4) tables.

A struct as tools for the ATIS and DVS write it (``TD`` with x, y, p, ts) counts pixels from 1; one that has
a pixel 0 counts from 0. Columns that are variables of their own (ts, x, y, pol of ASL-DVS) count from 0.
Structs may be in structs, in arrays and in cells; `--stream` chooses. MATLAB stores whole numbers as doubles,
so numbers that are all whole are whole numbers: of times, microseconds. y is read as it is stored.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.host.recordings.readers.base import Recording, fault, foreign, opened, size_of
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

MOST_BYTES: Final = 1 << 30
"""Of a file, also when it is decompressed: MATLAB files are read whole."""
_CHUNK: Final = 1 << 18
_MOST_PLACES: Final = 1000
_DEEPEST: Final = 4
_MOST_COLUMNS: Final = 64
_READ_BYTES: Final = 1 << 16
_HEADER_BYTES: Final = 128
_COMPRESSED: Final = 15
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_USER_BLOCK: Final = 512
_VARIABLES: Final = "variables"
"""Name of the place of columns that are variables of their own."""
FROM_ONE: Final = "x and y count from 1, as MATLAB does, and are read from 0"

Array = npt.NDArray[Any]
Columns = dict[str, Array]
Tree = dict[str, Any]
"""What a file holds: arrays, and structs as trees of their own, by name."""


def open_mat(path: Path, reading: Reading = Reading(), left_out: LeftOut | None = None) -> Recording:
    """Open a file. Raises FeastError if it is no MATLAB file, is damaged, too large, or holds no events."""
    said = left_out or LeftOut()
    if size_of(path) > MOST_BYTES:
        raise FeastError(f"{path}: {size_of(path)} bytes; MATLAB files of up to {MOST_BYTES} are read")
    with opened(path) as file:
        head = file.read(_USER_BLOCK + len(_HDF5))
    is_hdf5 = _HDF5 in (head[: len(_HDF5)], head[_USER_BLOCK:])
    if not is_hdf5:
        _check_size(path, head)

    def tree() -> Tree:
        with foreign(lambda reason: FeastError(f"{path}: cannot be read, damaged or truncated: {reason}")):
            return _read_hdf5(path) if is_hdf5 else _read_mat(path)

    places = _places(tree(), parse_order(reading.columns))
    if not places:
        raise FeastError(
            f"{path}: holds no columns t, x, y and p (a struct, or variables); of tables, {ORDER_ADVICE}"
        )
    name = choose(path, "struct", list(places), reading, said)

    def chunks() -> Iterator[Events]:
        columns, names = _places(tree(), parse_order(reading.columns))[name]
        count = min(column.size for column in columns.values())
        if count < max(column.size for column in columns.values()):
            raise FeastError(f"{path}: {name}: the columns differ in length")
        columns = {column: _plain(values) for column, values in columns.items()}
        if name != _VARIABLES and names and count and min(columns["x"].min(), columns["y"].min()) >= 1:
            said.say(FROM_ONE, str(path))
            columns |= {"x": columns["x"] - 1, "y": columns["y"] - 1}
        table = TableReader(path, reading, said, named_unit(names["t"]) if names else None)
        for first in range(0, count, _CHUNK):
            rows = {column: values[first : first + _CHUNK] for column, values in columns.items()}

            def where(row: int, first: int = first, rows: Columns = rows) -> FeastError:
                return FeastError(f"{path}: {name}, row {first + row}: not an event{not_whole(rows, row)}")

            yield table(rows["t"], rows["x"], rows["y"], rows["p"], where)
        table.end()

    return Recording(None, chunks)


def _check_size(path: Path, head: bytes) -> None:
    """Raise FeastError for a version 5 file whose variables would be too large once decompressed."""
    if len(head) < _HEADER_BYTES or head[126:128] not in (b"IM", b"MI"):
        return  # version 4, which does not compress, or no file of MATLAB's
    order = "little" if head[126:128] == b"IM" else "big"
    total = 0
    with opened(path) as file:
        file.seek(_HEADER_BYTES)
        while len(tag := file.read(8)) == 8:
            kind, size = (int.from_bytes(tag[at : at + 4], order) for at in (0, 4))  # type: ignore[arg-type]
            end = file.tell() + size
            if kind == _COMPRESSED:
                unpacker = zlib.decompressobj()
                left = size
                while left > 0 and (data := file.read(min(left, _READ_BYTES))):
                    left -= len(data)
                    while data:
                        try:
                            total += len(unpacker.decompress(data, 1 << 20))
                        except zlib.error as error:
                            raise fault(path, file.tell(), f"damaged: {error}") from None
                        data = unpacker.unconsumed_tail
                        if total > MOST_BYTES:
                            raise FeastError(f"{path}: more than {MOST_BYTES} bytes once decompressed")
            file.seek(end)


def _read_mat(path: Path) -> Tree:
    """The variables of a file of versions 4 and 5."""
    from scipy.io import loadmat

    found = loadmat(str(path), struct_as_record=True, squeeze_me=False, appendmat=False)
    return {name: value for name, value in found.items() if not name.startswith("__")}


def _read_hdf5(path: Path) -> Tree:
    """The variables of a file of version 7.3: groups are structs."""
    import h5py

    with ExitStack() as stack:
        file = stack.enter_context(h5py.File(path, "r"))
        left = [MOST_BYTES]

        def read(group: Any, depth: int) -> Tree:
            found: Tree = {}
            for name in list(group)[:_MOST_PLACES]:
                if name.startswith("#") or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    continue
                item = group[name]
                if isinstance(item, h5py.Group) and depth < _DEEPEST:
                    found[name] = read(item, depth + 1)
                elif isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf":
                    left[0] -= item.size * item.dtype.itemsize
                    if left[0] < 0:
                        raise FeastError(f"{path}: more than {MOST_BYTES} bytes once decompressed")
                    found[name] = item[()].T
            return found

        return read(file, 0)


def _places(tree: Tree, order: dict[str, int] | None) -> dict[str, tuple[Columns, dict[str, str]]]:
    """Columns, and their names in the file, by the name of the struct or table that holds them."""
    found: dict[str, tuple[Columns, dict[str, str]]] = {}

    def look(name: str, item: Any, depth: int) -> None:
        if len(found) >= _MOST_PLACES or depth > _DEEPEST:
            return
        if isinstance(item, dict):
            names = find_columns([key for key, value in item.items() if _is_column(value)])
            if names:
                columns = {column: item[each].ravel() for column, each in names.items()}
                found[name or _VARIABLES] = columns, names
            for key, value in item.items():
                look(f"{name}.{key}" if name else key, value, depth + 1)
        elif isinstance(item, np.ndarray) and item.dtype.names:
            for index, row in enumerate(item.ravel()[:_MOST_PLACES]):
                fields = {key: row[key] for key in item.dtype.names}
                look(name if item.size == 1 else f"{name}({index + 1})", fields, depth)
        elif isinstance(item, np.ndarray) and item.dtype.kind == "O":
            for index, value in enumerate(item.ravel()[:_MOST_PLACES]):
                look(name if item.size == 1 else f"{name}({index + 1})", value, depth + 1)
        elif order is not None and _is_table(item) and max(order.values()) < item.shape[1]:
            found[name] = {column: item[:, at] for column, at in order.items()}, {}

    look("", tree, 0)
    return found


def _is_column(value: Any) -> bool:
    numbers = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
    return numbers and value.ndim <= 2 and value.size == max(value.shape, default=1)


def _is_table(item: Any) -> bool:
    numbers = isinstance(item, np.ndarray) and item.dtype.kind in "iuf"
    return numbers and item.ndim == 2 and 4 <= item.shape[1] <= _MOST_COLUMNS


def _plain(values: Array) -> Array:
    """Numbers of native byte order; whole ones as int64, without overflow."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind in "bu" and values.dtype.itemsize < 8:
        return values.astype(np.int64)
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            if bool(((np.abs(values) < 2**53) & (values == np.rint(values))).all()):
                return values.astype(np.int64)
    return values
