"""Tables that label recordings, or segments of them.

* ``file,class,start_us,end_us``: one line a segment. Without the last two, or with both empty, whole files;
  without `file`, segments of the one recording of the source.
* DVS128 Gesture as distributed: ``class,startTime_usec,endTime_usec`` in ``NAME_labels.csv`` beside the
  recording NAME, and names of the classes in ``gesture_mapping.csv`` (``action,label``).

Times may also be ``start_ms`` and ``end_ms``, or ``start_s`` and ``end_s``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.readout import check_label

MOST_BYTES: Final = 1 << 26
"""Of a table."""
MAPPING: Final = "gesture_mapping.csv"
SUFFIX: Final = "_labels.csv"
"""Of the table of one recording, after its name without the end."""
_FILE: Final = ("file", "filename", "path", "recording")
_CLASS: Final = ("class", "label")
_TIMES: Final = {
    ("start_us", "end_us"): 1,
    ("starttime_usec", "endtime_usec"): 1,
    ("start_ms", "end_ms"): 1_000,
    ("start_s", "end_s"): 1_000_000,
}
"""Names of the columns of times, and microseconds in their unit."""
_EXPECTED: Final = "expected columns file, class, start_us, end_us (or _ms, _s), the last two for segments"


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    where: str
    """The table and the line, for errors."""
    file: str | None
    name: str
    """Of the class."""
    start_us: int = 0
    end_us: int | None = None


def read_table(path: Path) -> list[Row]:
    """The lines of a table. Raises FeastError for anything else, naming the line."""
    lines = _lines(path)
    head = next(lines)[1]
    file = _find(head, _FILE)
    label = _find(head, _CLASS)
    times = [(start, end, scale) for (start, end), scale in _TIMES.items() if start in head and end in head]
    if label is None or len(times) > 1 or (file is None and not times):
        raise FeastError(f"{path}: line 1: the columns are {', '.join(head)[:200]}; {_EXPECTED}")
    rows = []
    for where, values in lines:
        line = dict(zip(head, values, strict=True))
        name = check_label(line[label], f"{where}: column {label}")
        start_us, end_us = 0, None
        for start, end, scale in times:
            if line[start] or line[end]:
                start_us = _microseconds(line[start], scale, where) if line[start] else 0
                end_us = _microseconds(line[end], scale, where) if line[end] else None
                if end_us is not None and start_us >= end_us:
                    raise FeastError(f"{where}: a segment from {line[start]} to {line[end]} holds nothing")
        if file is not None and not line[file]:
            raise FeastError(f"{where}: no file")
        rows.append(Row(where, line[file].replace("\\", "/") if file else None, name, start_us, end_us))
    if not rows:
        raise FeastError(f"{path}: no line below the names of the columns; {_EXPECTED}")
    return rows


def read_mapping(path: Path) -> dict[str, str]:
    """Names of classes by their numbers, from ``action,label``. Raises FeastError for anything else."""
    lines = _lines(path)
    head = next(lines)[1]
    if head != ["action", "label"]:
        raise FeastError(f"{path}: line 1: the columns are {', '.join(head)[:200]}; expected action, label")
    return {number: check_label(name, where) for where, (name, number) in lines}


def read_names(path: Path) -> set[str]:
    """The lines of a list of files. Raises FeastError if it cannot be read."""
    return {line.strip() for line in _text(path).splitlines() if line.strip()}


def is_mapping(path: Path) -> bool:
    """Whether a table gives names to the numbers of classes."""
    return next(_lines(path))[1] == ["action", "label"]


def is_gesture_table(path: Path) -> bool:
    """Whether a file has the columns of DVS128 Gesture. Never an error: other files end in its name, too."""
    try:
        return next(_lines(path))[1] == ["class", "starttime_usec", "endtime_usec"]
    except FeastError:
        return False


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FeastError(f"{path}: cannot read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise FeastError(f"{path}: larger than {MOST_BYTES} bytes: expected a table of labels")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FeastError(f"{path}: byte {error.start}: not UTF-8: expected a table of labels") from None


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Place and fields of the lines that hold something; those of the first in lower case."""
    count = 0
    reader = csv.reader(_text(path).splitlines(), skipinitialspace=True)
    try:
        for values in reader:
            fields = [value.strip() for value in values]
            if not any(fields):
                continue
            where = f"{path}: line {reader.line_num}"
            if not count:
                fields = [field.lower() for field in fields]
                if len(set(fields)) < len(fields):
                    raise FeastError(f"{where}: two columns have the same name; {_EXPECTED}")
                count = len(fields)
            if len(fields) != count:
                raise FeastError(f"{where}: {len(fields)} fields, expected {count}")
            yield where, fields
    except csv.Error as error:
        raise FeastError(f"{path}: line {reader.line_num}: {error}") from None
    if not count:
        raise FeastError(f"{path}: empty; {_EXPECTED}")


def _find(head: list[str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in head), None)


def _microseconds(text: str, scale: int, where: str) -> int:
    if len(text) <= 40 and text.isascii() and text.replace(".", "", 1).isdigit():
        value = Fraction(text) * scale
        if value.denominator == 1 and value < 2**63:
            return int(value)
    raise FeastError(f"{where}: time {text[:40]!r}: expected a number from 0, in whole microseconds")
