"""HDF5 files: groups of columns, as in DSEC (``events/{x,y,t,p}``), or one table with such fields.

Integer times are microseconds and counted from ``t_offset`` if there is one; floating times are seconds.
Compression by gzip is HDF5's own; Blosc and the like come with the package hdf5plugin.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from codegen.errors import FeastError
from codegen.model import Sensor
from codegen.records import Events
from host.readers.base import Recording, checked_columns, foreign, opened, size_of

NAMES: Final = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs", "x_coordinates"),
    "y": ("y", "ys", "y_coordinates"),
    "p": ("p", "ps", "pol", "pols", "polarity", "polarities", "on"),
}
"""How columns are called, in lower case."""
_CHUNK: Final = 1 << 18
_MOST_ROW_BYTES: Final = 1 << 10
_MOST_ROWS_PER_BYTE: Final = 1 << 12
"""No compression holds more; a file may claim any number of rows that were never written."""
_FARTHEST_US: Final = 1 << 62
"""Of a time or an offset: the sum of two then is one of 64 bits."""
_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"


def find_columns(names: list[str]) -> dict[str, str] | None:
    """The name among `names` for each of t, x, y and p; None unless all are there.

    >>> find_columns(["x", "y", "Timestamp", "on", "id"])
    {'t': 'Timestamp', 'x': 'x', 'y': 'y', 'p': 'on'}
    """
    lower = {name.strip().lower(): name for name in names}
    found = {
        column: lower[known]
        for column, options in NAMES.items()
        for known in reversed(options)
        if known in lower
    }
    return found if len(found) == len(NAMES) else None


def microseconds(times: npt.NDArray[Any], offset_us: int = 0) -> npt.NDArray[Any]:
    """Integers as they are, floating numbers as seconds, rounded; both from `offset_us` on.

    What a sum in 64 bits could not hold comes out as -1, which no event has.
    """
    if times.dtype.kind == "f":
        times = np.rint(times.astype(np.float64) * 1e6)
        return np.where(np.isfinite(times), times + offset_us, -1.0)
    if offset_us == 0 or times.dtype.kind not in "iu":
        return times
    fits = (times < _FARTHEST_US) & (times > -_FARTHEST_US)
    return np.where(fits, times.astype(np.int64) + offset_us, -1)


def open_hdf5(path: Path) -> Recording:
    """Open a file. Raises FeastError if it is no HDF5 file, is damaged, or holds no columns of events."""
    import h5py

    size_of(path)
    with opened(path) as file:
        if file.read(8) != _SIGNATURE:
            raise FeastError(f"{path}: byte 0: not an HDF5 file")
    with _damaged(path), h5py.File(path, "r") as file:
        place = _find(file)
        sensor = _sensor(path, file, place)
    if place is None:
        raise FeastError(f"{path}: holds no columns t, x, y and p (in one group, or fields of one table)")

    def chunks() -> Iterator[Events]:
        _load_filters()
        with ExitStack() as stack:
            with _damaged(path):
                file = stack.enter_context(h5py.File(path, "r"))
                columns, offset_us = _columns(path, file, place)
                count = _count(path, place, columns)
            for first in range(0, count, _CHUNK):
                with _damaged(path, f"{place}, rows from {first}: "):
                    rows = {name: column[first : first + _CHUNK] for name, column in columns.items()}
                yield checked_columns(
                    lambda row, first=first: FeastError(  # type: ignore[misc]
                        f"{path}: {place}, row {first + row}: not an event"
                    ),
                    microseconds(rows["t"], offset_us),
                    rows["x"],
                    rows["y"],
                    rows["p"],
                )

    return Recording(sensor, chunks)


def _damaged(path: Path, where: str = "") -> AbstractContextManager[None]:
    """For calls of h5py on a file that may be damaged."""

    def problem(reason: str) -> FeastError:
        missing = "filter" in reason.lower() or "plugin" in reason.lower()
        advice = "; pip install hdf5plugin" if missing else ""
        return FeastError(f"{path}: {where}cannot be read, damaged or truncated: {reason}{advice}")

    return foreign(problem)


def _count(path: Path, place: str, columns: dict[str, Any]) -> int:
    """Rows of the columns. Raises FeastError if they differ, or if the file cannot hold as many."""
    counts = [len(column) for column in columns.values()]
    if min(counts) < max(counts):
        raise FeastError(f"{path}: {place}: the columns differ in length")
    if counts[0] > _MOST_ROWS_PER_BYTE * size_of(path):
        raise FeastError(
            f"{path}: {place}: {counts[0]} rows, more than a file of {size_of(path)} bytes holds"
        )
    return counts[0]


def _find(file: Any) -> str | None:
    """Name of the first group or table, by name, that has all columns."""
    import h5py

    def visit(name: str, item: Any) -> str | None:
        if isinstance(item, h5py.Group):
            names = [key for key in item if isinstance(item.get(key), h5py.Dataset)]
        else:
            names = list(item.dtype.names or ())
        return name if find_columns(names) else None

    at_root = visit("/", file)
    return at_root or file.visititems(visit)


def _columns(path: Path, file: Any, place: str) -> tuple[dict[str, Any], int]:
    """Column by t, x, y, p, and the offset of the times."""
    import h5py

    item = file[place]
    if isinstance(item, h5py.Group):
        names = find_columns(list(item)) or {}
        columns = {column: item[name] for column, name in names.items()}
        tables = list(columns.values())
    else:
        names = find_columns(list(item.dtype.names)) or {}
        columns = {column: item.fields(name) for column, name in names.items()}
        tables = [item]
    if any(table.ndim != 1 or table.dtype.itemsize > _MOST_ROW_BYTES for table in tables):
        raise FeastError(f"{path}: {place}: expected one number a row in each column")
    offset_us = int(file["t_offset"][()]) if "t_offset" in file else 0
    if abs(offset_us) >= _FARTHEST_US:
        raise FeastError(f"{path}: t_offset: {offset_us} us, at most 2^62 are allowed")
    return columns, offset_us


def _sensor(path: Path, file: Any, place: str | None) -> Sensor | None:
    """From attributes ``width`` and ``height``, or ``sensor_resolution`` (height, width), if there."""
    for item in (file, file[place] if place else file):
        attributes = item.attrs
        if "width" in attributes and "height" in attributes:
            width, height = int(attributes["width"]), int(attributes["height"])
        elif "sensor_resolution" in attributes:
            height, width = (int(side) for side in attributes["sensor_resolution"][:2])
        else:
            continue
        try:
            return Sensor.parse(f"{width}x{height}")
        except FeastError as error:
            raise FeastError(f"{path}: {error}") from None
    return None


def _load_filters() -> None:
    """Make the compressions of hdf5plugin known to HDF5, if it is installed."""
    import contextlib

    with contextlib.suppress(ImportError):
        import hdf5plugin  # noqa: F401
