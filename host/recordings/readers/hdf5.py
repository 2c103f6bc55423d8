"""HDF5 files: groups of columns, as in DSEC (``events/{x,y,t,p}``), tables with such fields, (n, 4) tables.

Times are counted from ``t_offset`` if there is one, which says microseconds too; else the rules of
`time_units` hold. The (n, 4) tables of MVSEC and v2e are known by their names; of others the user says the
order. Compression by gzip is HDF5's own; Blosc and the like come with the package hdf5plugin; Prophesee's ECF
is decoded in `ecf`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.host.recordings.readers.base import CUT, Recording, cut_off, foreign, opened, size_of
from feast_codegen.host.recordings.readers.columns import (
    ORDER_ADVICE,
    TableReader,
    find_columns,
    named_unit,
    not_whole,
    parse_order,
)
from feast_codegen.host.recordings.readers.hdf5_attributes import scalar, sensor_of, unit_of
from feast_codegen.host.recordings.readers.hdf5_truncated import PaddedFile, is_cut_off, rows_before
from feast_codegen.host.recordings.readers.streams import choose
from feast_codegen.host.recordings.reading import LeftOut, Reading, TimeUnit
from feast_codegen.host.recordings.time_units import FARTHEST_US

_CHUNK: Final = 1 << 18
_MOST_ROW_BYTES: Final = 1 << 10
_MOST_COLUMNS: Final = 64
_MOST_ROWS_PER_BYTE: Final = 1 << 12
"""No compression holds more; a file may claim any number of rows that were never written."""
_MOST_STREAMS: Final = 1000
_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_ECF: Final = 36559
"""The number of Prophesee's codec among HDF5's filters."""
_ECF_ADVICE: Final = (
    f"Prophesee's ECF codec (HDF5 filter {_ECF}): Prophesee's own plugin (github.com/prophesee-ai/hdf5_ecf) "
    f"may read it, if HDF5_PLUGIN_PATH is its folder; else convert the file with metavision_file_to_csv"
)
_KNOWN_TABLES: Final[dict[tuple[str, ...], tuple[str, TimeUnit, str]]] = {
    ("davis/left/events", "davis/right/events"): ("xytp", "s", "f"),
    ("events",): ("txyp", "us", "iu"),
}
"""(n, 4) tables by name: order, unit of time and kinds of number; MVSEC's, then v2e's."""


@dataclass(frozen=True)
class _Place:
    """Where events are in a file."""

    name: str
    order: dict[str, int] | None = None
    """Columns of an (n, 4) table; None for columns with names."""
    unit: TimeUnit | None = None


def open_hdf5(path: Path, reading: Reading = Reading(), left_out: LeftOut | None = None) -> Recording:
    """Open a file. Raises FeastError if it is no HDF5 file, is damaged, or holds no columns of events."""
    said = left_out or LeftOut()
    size_of(path)
    with opened(path) as file:
        if file.read(8) != _SIGNATURE:
            raise FeastError(f"{path}: byte 0: not an HDF5 file")
    _load_filters()
    with ExitStack() as stack:
        with _damaged(path):
            file, padded = _open(path, reading, stack)
            places, tables = _find(file, parse_order(reading.columns), padded is not None)
        if not places:
            raise FeastError(
                f"{path}: holds no columns t, x, y and p (in one group, or fields of one table)"
                + (f"; {tables[0]} is a table: {ORDER_ADVICE}" if tables else "")
            )
        name = choose(path, "group", [place.name for place in places], reading, said)
        place = next(each for each in places if each.name == name)
        with _damaged(path):
            _has_ecf(path, file, place)
            sensor = sensor_of(path, file, place.name, padded is not None)

    def chunks() -> Iterator[Events]:
        _load_filters()
        with ExitStack() as stack:
            with _damaged(path):
                file, padded = _open(path, reading, stack)
                columns, offset_us, unit = _columns(path, file, place, padded is not None)
                count = _count(path, place, columns)
                whole = _whole_rows(path, file, place, padded) if padded else count
            if whole < count:
                cut_off(path, said, count - whole, "rows")
            with _damaged(path):
                ecf = file[place.name] if _has_ecf(path, file, place) else None
            table = TableReader(path, reading, said, unit if ecf is None else "us", offset_us)
            step = _CHUNK if ecf is None else ecf.chunks[0]
            for first in range(0, min(count, whole), step):
                last = min(first + step, count, whole)
                if ecf is None:
                    with _damaged(path, f"{place.name}, rows from {first}: "):
                        rows = _read(columns, place, first, last)
                else:
                    rows = _ecf_rows(path, ecf, first, last - first)

                def where(row: int, first: int = first, rows: dict[str, Any] = rows) -> FeastError:
                    at = f"{path}: {place.name}, row {first + row}: not an event"
                    return FeastError(at + not_whole(rows, row))

                yield table(rows["t"], rows["x"], rows["y"], rows["p"], where)
            table.end()

    return Recording(sensor, chunks)


def _open(path: Path, reading: Reading, stack: ExitStack) -> tuple[Any, PaddedFile | None]:
    """The file, and what pads it to its size where it is cut off and that is accepted."""
    import h5py

    if not (reading.accept_truncated and is_cut_off(path)):
        return stack.enter_context(h5py.File(path, "r")), None
    padded = stack.enter_context(PaddedFile(path))
    return stack.enter_context(h5py.File(padded, "r")), padded


def _damaged(path: Path, where: str = "") -> AbstractContextManager[None]:
    """For calls of h5py on a file that may be damaged."""

    def problem(reason: str) -> FeastError:
        missing = "filter" in reason.lower() or "plugin" in reason.lower()
        advice = "; pip install hdf5plugin" if missing else ""
        cut = f"; {CUT}" if "truncated" in reason.lower() else ""
        return FeastError(f"{path}: {where}cannot be read, damaged or truncated: {reason}{advice}{cut}")

    return foreign(problem)


def _count(path: Path, place: _Place, columns: dict[str, Any]) -> int:
    """Rows of the columns. Raises FeastError if they differ, or if the file cannot hold as many."""
    counts = [len(column) for column in columns.values()]
    if min(counts) < max(counts):
        raise FeastError(f"{path}: {place.name}: the columns differ in length")
    if counts[0] > _MOST_ROWS_PER_BYTE * size_of(path):
        raise FeastError(
            f"{path}: {place.name}: {counts[0]} rows, more than a file of {size_of(path)} bytes holds"
        )
    return counts[0]


def _find(file: Any, order: dict[str, int] | None, tolerant: bool) -> tuple[list[_Place], list[str]]:
    """Groups and tables with events, by name; and (n, 4) tables of which nobody says the order."""
    import h5py

    found: list[_Place] = []
    tables: list[str] = []

    for name, item, names in _items(file, tolerant):
        if find_columns(names):
            found.append(_Place(name))
        elif isinstance(item, h5py.Dataset) and _is_table(item):
            known = _known(name, item)
            if order is not None and max(order.values()) < item.shape[1]:
                found.append(_Place(name, order, known.unit if known and known.order == order else None))
            elif order is None and known:
                found.append(known)
            else:
                tables.append(name)
        if max(len(found), len(tables)) >= _MOST_STREAMS:
            break
    return found, tables


def _items(file: Any, tolerant: bool) -> Iterator[tuple[str, Any, list[str]]]:
    """Groups and datasets by name, each object once, with the names of their columns.

    Where `tolerant`, objects that cannot be opened are left out.
    """
    import h5py

    seen: set[Any] = set()
    waiting: list[tuple[str, Any]] = [("/", file)]
    while waiting:
        name, item = waiting.pop()
        if not isinstance(item, h5py.Group):
            yield name, item, list(item.dtype.names or ())
            continue
        children: dict[str, Any] = {}
        with _passing_over(tolerant):
            for key in item:
                with _passing_over(tolerant):
                    if isinstance(item.get(key, getlink=True), h5py.HardLink):
                        children[key] = item[key]
        yield name, item, [key for key, child in children.items() if isinstance(child, h5py.Dataset)]
        for key, child in reversed(children.items()):
            place = h5py.h5o.get_info(child.id).addr
            if place not in seen:
                seen.add(place)
                waiting.append((f"{name.strip('/')}/{key}".strip("/"), child))


def _passing_over(tolerant: bool) -> AbstractContextManager[None]:
    """For objects that lie beyond the end of a file."""
    return suppress(KeyError, OSError, RuntimeError, ValueError) if tolerant else nullcontext()


def _is_table(item: Any) -> bool:
    return (
        len(item.shape) == 2 and 4 <= item.shape[1] <= _MOST_COLUMNS and item.dtype.kind in "iuf"
    )  # a type with names is of kind V


def _known(name: str, item: Any) -> _Place | None:
    """The place of a table that is known by its name."""
    for names, (columns, unit, kinds) in _KNOWN_TABLES.items():
        if name in names and item.shape[1] == 4 and item.dtype.kind in kinds:
            return _Place(name, parse_order(columns), unit)
    return None


def _columns(
    path: Path, file: Any, place: _Place, is_cut: bool
) -> tuple[dict[str, Any], int, TimeUnit | None]:
    """Column by t, x, y, p, or the one table as ``t``; the offset of the times; their unit if it is said."""
    import h5py

    item, unit = file[place.name], place.unit
    if place.order is not None:
        columns, tables = {"t": item}, [item]
    else:
        is_group = isinstance(item, h5py.Group)
        names = find_columns(list(item) if is_group else list(item.dtype.names)) or {}
        columns = {column: item[name] if is_group else item.fields(name) for column, name in names.items()}
        tables = list(columns.values()) if is_group else [item]
        kinds = [(item[name].dtype if is_group else item.dtype[name]).kind for name in names.values()]
        if "O" in kinds or any(table.ndim != 1 for table in tables):
            raise FeastError(f"{path}: {place.name}: expected one number a row in each column")
        unit = named_unit(names["t"]) or (unit_of(columns["t"], is_cut) if is_group else None)
    if any(table.dtype.itemsize > _MOST_ROW_BYTES for table in tables):
        raise FeastError(f"{path}: {place.name}: expected one number a row in each column")
    offset_us = int(scalar(path, file["t_offset"])) if "t_offset" in file else 0
    if abs(offset_us) >= FARTHEST_US:
        raise FeastError(f"{path}: t_offset: {offset_us} us, at most 2^62 are allowed")
    if unit is None and "t_offset" in file and tables[0].dtype.kind in "iu":
        unit = "us"
    return columns, offset_us, unit


def _read(columns: dict[str, Any], place: _Place, first: int, last: int) -> dict[str, Any]:
    if place.order is None:
        return {name: column[first:last] for name, column in columns.items()}
    rows = columns["t"][first:last]
    return {name: rows[:, at] for name, at in place.order.items()}


def _datasets(file: Any, place: _Place) -> list[Any]:
    import h5py

    item = file[place.name]
    if not isinstance(item, h5py.Group):
        return [item]
    return [item[name] for name in (find_columns(list(item)) or {}).values()]


def _whole_rows(path: Path, file: Any, place: _Place, padded: PaddedFile) -> int:
    """Rows from the first on that lie in the file, of all columns."""
    return min(rows_before(path, dataset, padded) for dataset in _datasets(file, place))


def _has_ecf(path: Path, file: Any, place: _Place) -> bool:
    """Whether the events are compressed by Prophesee's codec alone, and HDF5 has no plugin for it.

    Raises FeastError for a layout that is not Prophesee's.
    """
    import h5py

    for dataset in _datasets(file, place):
        created = dataset.id.get_create_plist()
        filters = [created.get_filter(index)[0] for index in range(created.get_nfilters())]
        if _ECF not in filters or h5py.h5z.filter_avail(_ECF):
            continue
        if filters == [_ECF] and dataset.ndim == 1 and set(dataset.dtype.names or ()) == set("txyp"):
            return True
        raise FeastError(f"{path}: {place.name} is not laid out as files with {_ECF_ADVICE}")
    return False


def _ecf_rows(path: Path, dataset: Any, first: int, count: int) -> dict[str, Any]:
    """Columns of `count` rows that begin with a chunk."""
    from feast_codegen.host.recordings.readers.ecf import decode

    with _damaged(path, f"{dataset.name}, rows from {first}: "):
        _, data = dataset.id.read_direct_chunk((first,))
    try:
        columns = decode(data)
        if len(columns["t"]) < count:
            raise ValueError(f"an ECF chunk of {len(columns['t'])} events, expected {count}")
    except ValueError as error:
        at = f"{path}: {dataset.name}, rows from {first}"
        raise FeastError(f"{at}: damaged: {error}; of {_ECF_ADVICE}") from None
    return {name: column[:count] for name, column in columns.items()}


def _load_filters() -> None:
    """Make the compressions of hdf5plugin known to HDF5, if it is installed."""
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401
