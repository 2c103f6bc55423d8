"""What the beginning of a text file of events says: separator, columns, unit of time, sensor."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers.base import fault, opened, size_of
from feast_codegen.host.recordings.readers.columns import (
    DEFAULT_ORDER,
    ORDER_ADVICE,
    find_columns,
    named_unit,
    parse_order,
)
from feast_codegen.host.recordings.reading import Reading, TimeUnit

LONGEST_LINE: Final = 1 << 16
"""Bytes. What has no line end for longer than this is no text of events."""
PLAIN: Final = b"0123456789+-.eE \t,;\r\n"
"""Bytes of lines that hold numbers and nothing else: no names, quotes or remarks."""
_SAMPLE_BYTES: Final = 1 << 16
_MARK: Final = b"\xef\xbb\xbf"
_WHOLE: Final = b"0123456789+- \t,;\r\n"
_TRUE: Final = (b"true", b"on")
_WORDS: Final = re.compile(rb"(?<![\w.])(?:true|false|on|off)(?![\w.])", re.IGNORECASE)
_SIZE: Final = re.compile(rb"\s*(\d{1,5})[\s,;]+(\d{1,5})\s*")
_GEOMETRY: Final = re.compile(rb"[#%\s]*geometry\s*[:=]?\s*(\d{1,5})\s*[,xX ]\s*(\d{1,5})\b", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How the lines of a file are read."""

    start: int
    """Byte where the first event's line begins."""
    separator: str | None
    """Between fields; None: any white space."""
    places: dict[str, int]
    """Of t, x, y and p among the fields."""
    is_named: bool
    """Whether the file or the user says the places."""
    unit: TimeUnit | None
    """Of the times, as the name of their column says it."""
    fractions: tuple[bool, bool]
    """Whether times, and whether x, y and polarity, are written with a point at the beginning."""
    sensor: Sensor | None


def find_layout(path: Path, reading: Reading) -> Layout:
    """Read the beginning. Raises FeastError if it is no text of events."""
    order, sensor = parse_order(reading.columns), None
    names: list[str] | None = None
    with opened(path) as file:
        start = len(_MARK) if file.read(len(_MARK)) == _MARK else 0
        file.seek(start)
        while line := read_line(path, file):
            if is_remark(line):
                sensor = _geometry(path, line) or sensor
                remark = _names(line.lstrip(b"#% \t"))
                names = remark if find_columns(remark) else names
            elif sensor is None and (size := _SIZE.fullmatch(line)):
                sensor = _sensor(path, size)
            else:
                break
            start = file.tell()
        if not line:
            raise fault(path, size_of(path), "the file ends before the first event")
        if b"\0" in line:
            raise fault(path, start, "not a text file")
        if _is_header(line):
            names = _names(line)
            if order is None and find_columns(names) is None:
                text = " ".join(names)[:80]
                raise fault(
                    path, start, f"columns {text!r}, expected names for t, x, y and p; else {ORDER_ADVICE}"
                )
            start = file.tell()
            line = read_line(path, file)
        sample = line + file.read(_SAMPLE_BYTES)
        lines = sample.splitlines()[: -1 if file.read(1) else None]
    lines = [each for each in lines if not is_remark(each)]
    unit = None
    if names and order is None and (found := find_columns(names)):
        order, unit = {column: names.index(name) for column, name in found.items()}, named_unit(found["t"])
    places = order or dict(DEFAULT_ORDER)
    separator = _separator(lines[0]) if lines else None
    fractions = _fractions(sample, lines, separator, places)
    return Layout(start, separator, places, order is not None, unit, fractions, sensor)


def read_line(path: Path, file: BinaryIO) -> bytes:
    """The next line, or the rest of one. Raises FeastError if it does not end within LONGEST_LINE bytes."""
    line = file.readline(LONGEST_LINE + 1)
    if len(line) > LONGEST_LINE:
        at = file.tell() - len(line)
        raise fault(path, at, f"no line end in {LONGEST_LINE} bytes, so it is not a text of events")
    return line


def is_remark(line: bytes) -> bool:
    """Whether a line says nothing of an event."""
    return line[:1] in (b"#", b"%") or not line.decode("latin-1").strip()  # as numpy reads it


def words_as_numbers(text: bytes) -> bytes:
    """Text with ``true`` and ``on`` as 1, ``false`` and ``off`` as 0."""
    if not _WORDS.search(text):
        return text
    return _WORDS.sub(lambda match: b"1" if match[0].lower() in _TRUE else b"0", text)


def fields_of(line: bytes, separator: str | None) -> list[bytes]:
    """Fields of a line, without white space and quotes."""
    parts = line.split(separator.encode() if separator else None)
    return [part.strip().strip(b"\"'") for part in parts]


def _separator(line: bytes) -> str | None:
    return next((each for each in (";", ",", "\t") if each.encode() in line), None)


def _is_header(line: bytes) -> bool:
    """Whether the first line is one of names: letters, no number first, and no word that is a value."""
    text = words_as_numbers(line).replace(b'"', b"").replace(b"'", b"")
    return re.search(rb"[A-Za-z_]", text) is not None and not re.match(rb"\s*[-+\d.]", text)


def _names(line: bytes) -> list[str]:
    text = line.decode("utf-8", "replace").strip()
    separator = _separator(line)
    if separator is None:
        return re.sub(r"\s+([\[(])", r"\1", text).replace('"', "").split()
    try:
        return [name.strip() for name in next(csv.reader([text], delimiter=separator), [])]
    except csv.Error:
        return []


def _geometry(path: Path, line: bytes) -> Sensor | None:
    match = _GEOMETRY.match(line)
    return _sensor(path, match) if match else None


def _sensor(path: Path, match: re.Match[bytes]) -> Sensor:
    try:
        return Sensor.parse(f"{int(match[1])}x{int(match[2])}")
    except FeastError as error:
        raise FeastError(f"{path}: {error}") from None


def _fractions(
    sample: bytes, lines: Sequence[bytes], separator: str | None, places: dict[str, int]
) -> tuple[bool, bool]:
    """Whether times, and other columns, of the first lines are written with a point or an exponent."""
    if not sample.translate(None, _WHOLE):
        return False, False
    times: list[bytes] = []
    others: list[bytes] = []
    for line in lines:
        fields = fields_of(line, separator)
        times += fields[places["t"] : places["t"] + 1]
        for column in "xyp":
            others += fields[places[column] : places[column] + 1]
    return _has_point(times), _has_point(others)


def _has_point(fields: list[bytes]) -> bool:
    text = b" ".join(fields)
    return b"." in text or re.search(rb"\d[eE]", text) is not None
