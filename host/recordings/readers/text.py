"""Text files of events, one a line: numbers between commas, semicolons, tabs or spaces.

Where a line holds a comma, semicolon or tab, that separates its fields; a field may be empty. A first line
of names says which column is which (``t,x,y,p`` and their like, with units); without one they are t, x, y,
polarity, or as the user says. Lines that begin with ``#`` or ``%`` are remarks; one of names, or of the
sensor's size (``%geometry:640,480``), counts. See `text_layout` for what is read off the beginning.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.host.recordings.readers.base import BLOCK_BYTES, CUT, Recording, cut_off, fault, opened
from feast_codegen.host.recordings.readers.columns import ORDER_ADVICE, TableReader
from feast_codegen.host.recordings.readers.text_layout import (
    PLAIN,
    Layout,
    fields_of,
    find_layout,
    is_remark,
    read_line,
    words_as_numbers,
)
from feast_codegen.host.recordings.reading import LeftOut, Reading
from feast_codegen.host.recordings.time_units import ADVICE

Rows = tuple[npt.NDArray[Any], ...]


def open_text(path: Path, reading: Reading = Reading(), left_out: LeftOut | None = None) -> Recording:
    """Open a file. Raises FeastError if it is empty or its first line is neither names nor an event."""
    said = left_out or LeftOut()
    layout = find_layout(path, reading)

    def chunks() -> Iterator[Events]:
        text = _Text(path, layout, reading, said)
        for at, data, is_last in _line_blocks(path, layout.start):
            yield text.parse(at, data, is_last)
        text.table.end()

    return Recording(layout.sensor, chunks)


def _line_blocks(path: Path, start: int) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (offset, bytes, whether the file ends there without a line end) of whole lines."""
    with opened(path) as file:
        file.seek(start)
        while data := file.read(BLOCK_BYTES):
            data += read_line(path, file)
            if data.strip():
                yield start, data, not data.endswith(b"\n")
            start += len(data)


class _Text:
    """Reads blocks of lines as a layout says."""

    def __init__(self, path: Path, layout: Layout, reading: Reading, left_out: LeftOut) -> None:
        self._path, self._layout, self._reading, self._left_out = path, layout, reading, left_out
        self.table = TableReader(path, reading, left_out, layout.unit)
        self._unit_is_said = layout.unit is not None or reading.time_unit != "auto"

    def parse(self, at: int, data: bytes, is_last: bool) -> Events:
        """Events of a block at byte `at`; `is_last`: its last line lacks its end, and may be cut off."""
        try:
            return self._parse(at, data)
        except FeastError as error:
            if not is_last:
                raise
            end = data.rfind(b"\n") + 1
            if not end and at == self._layout.start:
                raise
            if not self._reading.accept_truncated:
                if self._rows(data[end:]) is None:
                    raise FeastError(f"{error}; if it is cut off, {CUT}") from None
                raise
            events = self._parse(at, data[:end]) if data[:end].strip() else np.zeros(0, EVENT_DTYPE)
            cut_off(self._path, self._left_out, len(data) - end)
            return events

    def _parse(self, at: int, data: bytes) -> Events:
        rows = self._rows(data)
        if rows is None:
            raise self._first_bad_line(at, data)
        if not len(rows[0]):
            return np.zeros(0, EVENT_DTYPE)
        t, x, y, p = rows
        return self.table(t, x, y, p, lambda row: self._bad_line(at, data, [*_event_lines(data)][row]))

    def _rows(self, data: bytes) -> Rows | None:
        """Columns t, x, y, p of a block; None if some line holds no such numbers."""
        fractions, plain = self._layout.fractions, not data.translate(None, PLAIN)
        if plain and (rows := self._load(data, fractions)) is not None:
            return rows
        lines = b"".join(_event_lines(data))
        if not lines.strip():
            return tuple(np.zeros(0, np.int64) for _ in "txyp")
        text = words_as_numbers(lines)
        rows = self._load(text, fractions)
        if rows is None and not fractions[1]:
            rows = self._load(text, (fractions[0], True))
        if rows is None and not fractions[0] and self._unit_is_said:
            rows = self._load(text, (True, True))
        return rows

    def _load(self, text: bytes, fractions: tuple[bool, bool]) -> Rows | None:
        layout = self._layout
        dtype: Any = np.int64
        if any(fractions):
            kinds = (np.float64 if fraction else np.int64 for fraction in (fractions[0], *[fractions[1]] * 3))
            dtype = [*zip("txyp", kinds, strict=True)]
        try:
            rows: npt.NDArray[Any] = np.loadtxt(
                io.BytesIO(text),
                dtype,
                ndmin=1 if any(fractions) else 2,
                usecols=[layout.places[column] for column in "txyp"],
                comments=None,
                delimiter=layout.separator,
                quotechar='"' if b'"' in text else None,
            )
        except (ValueError, IndexError, OverflowError):
            return None
        return tuple(rows[column] for column in "txyp") if any(fractions) else tuple(rows.T)

    def _first_bad_line(self, at: int, data: bytes) -> FeastError:
        for line in _event_lines(data):
            if self._rows(line) is None:
                return self._bad_line(at, data, line)
        return fault(self._path, at, "lines that are no events")

    def _bad_line(self, at: int, data: bytes, line: bytes) -> FeastError:
        """The error for a line, with what to do where that is known."""
        text = line.strip()[:60].decode("utf-8", "replace")
        fields, places = fields_of(words_as_numbers(line), self._layout.separator), self._layout.places
        advice = ""
        if len(fields) > max(places.values()):
            t, *xy = (fields[places[column]] for column in "txy")
            if any(b"." in field for field in xy):
                advice = "; x and y are pixels and must be whole: round them first"
            elif not self._layout.fractions[0] and (b"." in t or b"e" in t.lower()):
                advice = f"; its time has a fraction, those before have none{ADVICE}"
            elif not self._layout.is_named:
                advice = f"; in another order, {ORDER_ADVICE}"
        return fault(
            self._path,
            at + data.index(line),
            f"line {text!r} is no event: expected t, x, y and polarity{advice}",
        )


def _event_lines(data: bytes) -> Iterator[bytes]:
    return (line for line in data.splitlines(keepends=True) if not is_remark(line))
