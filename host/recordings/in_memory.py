"""Events as people hold them in memory, converted to EVENT_DTYPE and checked.

Nothing is imported for DataFrames or tensors: their own conversion to NumPy serves.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Number
from typing import Any, Final

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.model.readout import check_label
from feast_codegen.host.recordings.event_columns import (
    END_PIXEL,
    LOOKED_FOR,
    ORDER,
    Unit,
    check_unit,
    find_places,
    listed,
    split_names,
    to_array,
    to_column,
    to_microseconds,
    to_pixels,
    to_polarities,
)
from feast_codegen.host.recordings.events import EventStream, Label, check_events
from feast_codegen.host.recordings.readers.base import make_events
from feast_codegen.host.recordings.source import Source

SensorLike = Sensor | Sequence[int] | str
"""A sensor, (width, height), tonic's (width, height, polarities), or text such as ``34x34``."""
Columns = str | Sequence[str]

IN_MEMORY: Final = "recordings in memory"
"""What a model says of its source."""
_ANY_SENSOR: Final = Sensor(END_PIXEL, END_PIXEL)


def events_from(
    x: Any,
    *,
    sensor: SensorLike | None = None,
    unit: Unit | None = None,
    columns: Columns | None = None,
    where: str = "events",
) -> Events:
    """Convert one recording in memory to an array of EVENT_DTYPE, and check it.

    x: one of
      - an array of EVENT_DTYPE (returned as it is) or an EventStream;
      - a structured array with fields t, x, y and p in any order and of any dtype (tonic's);
      - a dict, a DataFrame (pandas, polars) or a named tuple of such columns;
      - a tuple (t, x, y, p) of four arrays or lists;
      - an array or tensor (n, 4), with `columns`;
      - an iterable of tuples (t, x, y, p), of named tuples in their own order, or of structured scalars.

    sensor: refuse events outside it; a Sensor, (width, height) or "WxH". Without it, pixels up to 65535 pass.
    unit: of the times, "ns", "us", "ms" or "s". A name such as ``t_us`` or ``timestamp [ms]`` and the dtypes
    timedelta64 and datetime64 carry their own. Otherwise integers are microseconds, and floating-point times
    need a unit.
    columns: what the columns are where they have no names, e.g. "txyp" or ("x", "y", "t_ms", "p"). Required
    for an array (n, 4), since its order cannot be seen; four arrays and tuples are (t, x, y, p) without it.
    where: what an error calls the recording.

    Names are t, ts, time or timestamp; x; y; p, pol, polarity or on; with their plurals, in any case. Times
    are rounded to whole microseconds and not moved to 0. Polarity is 0 and 1, -1 and 1, or bool. Raises
    FeastError, in one line, for another form, for a number that an event cannot hold, for an event outside
    the sensor, and for times that run backwards.

    >>> frame = {"timestamp": [0.001, 0.002], "x": [3, 4], "y": [7, 7], "polarity": [-1, 1]}
    >>> feast_codegen.events_from(frame, unit="s", sensor=(34, 34)).tolist()
    [(1000, 3, 7, 0), (2000, 4, 7, 1)]
    >>> rows = [[3, 7, 1000, 1], [4, 7, 2000, 0]]
    >>> feast_codegen.events_from(rows, columns="xytp")["t_us"].tolist()
    [1000, 2000]
    """
    size = sensor_from(sensor)
    if isinstance(x, EventStream):
        if size not in (None, x.sensor):
            raise FeastError(f"{where}: recorded with a {x.sensor} sensor, expected {size}")
        x, size = x.events, x.sensor
    events = _converted(x, unit, columns, where)
    check_events(events, size or _ANY_SENSOR, where)
    return events


def sensor_from(value: SensorLike | None) -> Sensor | None:
    """The sensor that `value` names. Raises FeastError unless both sides are 1 to 4096."""
    if value is None:
        return None
    if isinstance(value, Sensor | str):
        return Sensor.parse(str(value))
    sides = tuple(value) if isinstance(value, Iterable) else ()
    if len(sides) in (2, 3) and all(isinstance(side, Integral) for side in sides):
        return Sensor.parse(f"{sides[0]}x{sides[1]}")
    raise FeastError(f"sensor {value!r}: expected (width, height) or 'WIDTHxHEIGHT', e.g. (34, 34)")


# Several recordings


def streams_from(
    recordings: Iterable[Any],
    *,
    sensor: SensorLike | None = None,
    unit: Unit | None = None,
    columns: Columns | None = None,
    labels: Sequence[Label | None] | None = None,
    where: str = "recordings",
) -> list[EventStream]:
    """Convert recordings, each in a form that `events_from` takes, or a pair of such a form and its label.

    sensor: of all; may be left out if the first is an EventStream. labels: one for each recording, a whole
    number from 0 or a name, or None; only one of both kinds. Raises FeastError as `events_from`, naming a
    recording as ``where[index]``.
    """
    if isinstance(recordings, str | os.PathLike) or not isinstance(recordings, Iterable):
        kind = type(recordings).__name__
        raise FeastError(f"{where}: got {kind}, expected a sequence of recordings in memory")
    if _is_one_recording(recordings):
        raise FeastError(f"{where} is one recording; expected a sequence of recordings: [events]")
    items = list(recordings)
    if labels is not None and len(labels) != len(items):
        raise FeastError(f"{where}: {len(items)} recordings and {len(labels)} labels, expected one for each")
    size = sensor_from(sensor)
    if size is None and items and isinstance(items[0], EventStream):
        size = items[0].sensor
    if size is None:
        raise FeastError(f"{where}: the sensor is not known: give sensor=(width, height)")
    return [
        _stream(item, size, unit, columns, None if labels is None else labels[index], f"{where}[{index}]")
        for index, item in enumerate(items)
    ]


def source_from(streams: Sequence[EventStream]) -> Source:
    """Make a source of recordings in memory. Raises FeastError if there are none."""
    if not streams:
        raise FeastError(f"{IN_MEMORY}: there are none")
    names = tuple(stream.name for stream in streams)
    kinds = {type(stream.label) for stream in streams} - {type(None)}
    if len(kinds) > 1:
        raise FeastError(f"{IN_MEMORY}: some labels are numbers and some are names: use one kind")
    return Source(
        spec=IN_MEMORY,
        sensor=streams[0].sensor,
        names=names,
        labels=tuple(stream.label for stream in streams),
        read=lambda index: streams[index].events,
        where=lambda index: names[index],
    )


def _stream(
    item: Any, size: Sensor, unit: Unit | None, columns: Columns | None, label: Any, where: str
) -> EventStream:
    name = where
    if isinstance(item, EventStream):
        name, label = item.name, item.label if label is None else label
    elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], Integral | str):
        item, label = item[0], item[1] if label is None else label
    events = events_from(item, sensor=size, unit=unit, columns=columns, where=where)
    return EventStream(events, size, name, _label_of(label, where))


def _label_of(label: Any, where: str) -> Label | None:
    if label is None:
        return None
    if isinstance(label, str):
        return check_label(str(label), f"{where}: label")
    if not isinstance(label, Integral) or not 0 <= int(label) < 2**63:
        raise FeastError(f"{where}: label {label!r}, expected a whole number from 0, a name, or None")
    return int(label)


def _is_one_recording(x: Any) -> bool:
    """Whether `x` is one recording, where a sequence of them is expected."""
    if isinstance(x, EventStream) or _names_in(x) is not None or _is_four_columns(x):
        return True
    if isinstance(x, np.ndarray):
        return x.ndim == 2
    return isinstance(x, list | tuple) and bool(x) and _is_event(x[0])


# Forms of one recording


def _converted(x: Any, unit: Unit | None, columns: Columns | None, where: str) -> Events:
    check_unit(unit, None, "", where)
    if isinstance(x, np.ndarray) and x.dtype == EVENT_DTYPE and x.ndim == 1:
        check_unit(unit, "us", "EVENT_DTYPE", where)
        return x
    found, name_of_time = _columns_of(x, columns, where)
    arrays = {column: to_column(values, column, where) for column, values in found.items()}
    if len({array.size for array in arrays.values()}) > 1:
        sizes = ", ".join(f"{column} {array.size}" for column, array in arrays.items())
        raise FeastError(f"{where}: the columns differ in length: {sizes}")
    return make_events(
        to_microseconds(arrays["t"], unit, name_of_time, where),
        to_pixels(arrays["x"], "x", where),
        to_pixels(arrays["y"], "y", where),
        to_polarities(arrays["p"], where),
    )


def _columns_of(x: Any, columns: Columns | None, where: str) -> tuple[dict[str, Any], str]:
    """The columns t, x, y and p of `x`, and the name of the first."""
    names = _names_in(x)
    if names is not None:
        if columns is not None:
            raise FeastError(f"{where}: has names for its columns ({listed(names)}): leave out columns=")
        places = find_places(names, where)
        keys = range(len(names)) if isinstance(x, tuple) else names
        return {column: x[keys[place]] for column, place in places.items()}, str(names[places["t"]])
    if _is_four_columns(x):
        return _chosen(list(x), columns or ORDER, where)
    if isinstance(x, str | bytes | os.PathLike):
        raise FeastError(f"{where}: got the text {str(x)[:60]!r}: open files with open_recordings")
    if hasattr(x, "__array__"):
        array = to_array(x, "events", where)
        if array.ndim != 2 or array.dtype.names:
            raise FeastError(
                f"{where}: got an array of shape {array.shape} of {array.dtype}, expected (n, 4) with "
                f"columns='txyp' or the like, or names for {LOOKED_FOR}"
            )
        if columns is None:
            raise FeastError(
                f"{where}: got an array of shape {array.shape}: say what its columns are, e.g. columns='txyp'"
            )
        return _chosen(list(array.T), columns, where)
    if isinstance(x, Iterable):
        return _transposed(list(x), columns, where)
    raise FeastError(f"{where}: got {type(x).__name__}, expected columns with names for {LOOKED_FOR}")


def _names_in(x: Any) -> list[Any] | None:
    """Names of the columns of `x`, of any kind; None for what has none."""
    if isinstance(x, np.ndarray):
        return list(x.dtype.names) if x.dtype.names and x.ndim == 1 else None
    if isinstance(x, Mapping):
        return list(x)
    if isinstance(x, tuple):
        fields = getattr(x, "_fields", None)
        return list(fields) if fields and all(map(_is_column, x)) else None
    if hasattr(x, "columns") and hasattr(x, "__getitem__"):  # a DataFrame of any library
        return list(x.columns)
    return None


def _is_four_columns(x: Any) -> bool:
    return isinstance(x, tuple) and len(x) == len(ORDER) and all(map(_is_column, x))


def _is_column(values: Any) -> bool:
    """Whether these are numbers side by side, rather than a number, an event or a recording."""
    if isinstance(values, list):
        return not values or isinstance(values[0], Number | np.bool_)
    named = getattr(getattr(values, "dtype", None), "names", None)
    return getattr(values, "ndim", None) == 1 and named is None


def _is_event(x: Any) -> bool:
    if isinstance(x, np.void):
        return True
    numbers = isinstance(x, tuple | list) and all(isinstance(value, Number | np.bool_) for value in x)
    return numbers and len(x) == len(ORDER)


def _transposed(rows: list[Any], columns: Columns | None, where: str) -> tuple[dict[str, Any], str]:
    """The columns of events that come one by one."""
    if not rows:
        return dict.fromkeys(ORDER, ()), "t"
    if isinstance(rows[0], np.void) and rows[0].dtype.names:
        try:
            return _columns_of(np.array(rows, rows[0].dtype), columns, where)
        except (TypeError, ValueError) as error:
            raise FeastError(f"{where}: not all events are of {rows[0].dtype}: {error}") from None
    names = split_names(columns or getattr(rows[0], "_fields", None) or ORDER)
    for index, row in enumerate(rows):
        sized = isinstance(row, tuple | list | np.ndarray)
        if not sized or len(row) != len(names):
            got = f"{len(row)} values" if sized else type(row).__name__
            raise FeastError(
                f"{where}: event {index}: got {got}, expected ({', '.join(names)}); columns are given as "
                "a tuple of four arrays, or with names"
            )
    return _chosen([list(column) for column in zip(*rows, strict=True)], names, where)


def _chosen(values: list[Any], columns: Columns, where: str) -> tuple[dict[str, Any], str]:
    """Those of columns side by side that `columns` says are t, x, y and p."""
    names = split_names(columns)
    if len(names) != len(values):
        raise FeastError(f"{where}: has {len(values)} columns, but columns={columns!r} names {len(names)}")
    places = find_places(names, where)
    return {column: values[place] for column, place in places.items()}, names[places["t"]]
