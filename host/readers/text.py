"""Text files of events, one a line: numbers between commas, semicolons, tabs or spaces.

A first line of names says which column is which (``t,x,y,p`` and their like); without one they are t, x, y,
polarity. Times without a fraction are microseconds, others seconds. Lines that begin with ``#`` or ``%`` say
nothing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from codegen.errors import FeastError
from codegen.records import EVENT_DTYPE, Events
from host.readers.base import BLOCK_BYTES, Recording, checked_columns, fault, opened, size_of
from host.readers.hdf5 import find_columns, microseconds

_ORDER: Final = {"t": 0, "x": 1, "y": 2, "p": 3}
_WORDS: Final = re.compile(rb"\b(true|false)\b", re.IGNORECASE)
_SEPARATORS: Final = bytes.maketrans(b",;\t", b"   ")


def open_text(path: Path) -> Recording:
    """Open a file. Raises FeastError if it is empty or its first line is neither names nor an event."""
    with opened(path) as file:
        start, places, line = 0, None, b""
        while (line := file.readline(4096)) and _is_remark(line):
            start = file.tell()
        if not line:
            raise fault(path, size_of(path), "the file ends before the first event")
        if b"\0" in line:
            raise fault(path, start, "not a text file")
        if re.search(rb"[A-Za-z_]{1,}", _WORDS.sub(b"1", line)) and not re.match(rb"\s*[-+\d.]", line):
            names = line.translate(_SEPARATORS).decode("utf-8", "replace").replace('"', "").split()
            found = find_columns(names)
            if found is None:
                raise fault(
                    path, start, f"columns {' '.join(names)[:80]!r}, expected names for t, x, y and p"
                )
            places = {column: names.index(name) for column, name in found.items()}
            start, line = file.tell(), file.readline(4096)
    at = (places or _ORDER)["t"]
    in_seconds = any(b"." in field for field in line.translate(_SEPARATORS).split()[at : at + 1])

    def chunks() -> Iterator[Events]:
        for at, data in _line_blocks(path, start):
            yield _parse(path, at, data, places or _ORDER, in_seconds)

    return Recording(None, chunks)


def _is_remark(line: bytes) -> bool:
    return line[:1] in (b"#", b"%") or not line.decode("latin-1").strip()  # as numpy reads it


def _line_blocks(path: Path, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) of whole lines; the last one may lack its end."""
    with opened(path) as file:
        file.seek(start)
        while data := file.read(BLOCK_BYTES):
            data += file.readline()
            if data.strip():
                yield start, data
            start += len(data)


def _parse(path: Path, at: int, data: bytes, places: dict[str, int], in_seconds: bool) -> Events:
    lines = [line for line in data.splitlines(keepends=True) if not _is_remark(line)]
    text = b"".join(lines).translate(_SEPARATORS)
    if _WORDS.search(text):
        text = _WORDS.sub(lambda match: b"1" if match[1].lower() == b"true" else b"0", text)
    columns = list(places.values())
    if not text.strip():
        return np.zeros(0, EVENT_DTYPE)
    try:
        dtype: Any = np.float64 if in_seconds else np.int64
        rows: npt.NDArray[Any] = np.loadtxt(io.BytesIO(text), dtype, ndmin=2, usecols=columns, comments=None)
    except (ValueError, IndexError, OverflowError):
        raise _first_bad_line(path, at, data, columns, in_seconds) from None
    t, x, y, p = rows.T
    return checked_columns(
        lambda row: _bad_line(path, at, data, lines[row]),
        microseconds(t),
        x,
        y,
        p,
    )


def _first_bad_line(path: Path, at: int, data: bytes, columns: list[int], in_seconds: bool) -> FeastError:
    number = float if in_seconds else int
    for line in data.splitlines(keepends=True):
        if _is_remark(line):
            continue
        try:
            fields = _WORDS.sub(b"1", line).translate(_SEPARATORS).split()
            for column in columns:
                number(fields[column])
        except (ValueError, IndexError):
            return _bad_line(path, at, data, line)
    return fault(path, at, "lines that are no events")


def _bad_line(path: Path, at: int, data: bytes, line: bytes) -> FeastError:
    text = line.strip()[:60].decode("utf-8", "replace")
    return fault(path, at + data.index(line), f"line {text!r} is no event: expected t, x, y and polarity")
