"""Prophesee's RAW files (EVT 2, 2.1 and 3) and DAT files.

Both begin with lines of ``% name value``. x grows to the right and y downwards from the upper left corner,
times are in microseconds.
https://docs.prophesee.ai/stable/data/file_formats/index.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import evt_words
from feast_codegen.host.recordings.readers.base import (
    Recording,
    Unwrapper,
    blocks,
    check_whole,
    fault,
    header_lines,
    make_events,
    opened,
)
from feast_codegen.host.recordings.reading import LeftOut, Reading

_FORMATS: Final[dict[str, tuple[str, Callable[..., int], int]]] = {
    "EVT2": ("<u4", evt_words.decode_evt2, 1),
    "EVT21": ("<u8", evt_words.decode_evt21, 32),
    "EVT3": ("<u2", evt_words.decode_evt3, 12),
}
"""By name: the word, its decoder, the most events a word gives."""
_VERSIONS: Final = {"2.0": "EVT2", "2.1": "EVT21", "3.0": "EVT3"}
_WORDS: Final = 1 << 16
_SAPHIR: Final = 0x37
_SYSTEMS: Final = {
    Sensor(640, 480): (0x15, 0x17, 0x19, 0x1C, 0x1D, 0x21, 0x22, 0x23, 0x28, 0x29),
    Sensor(1280, 720): (0x1A, 0x1E, 0x1F, 0x20, 0x27, 0x2E, 0x30, 0x31, 0x32, 0x35, 0x3A, 0x42),
    Sensor(320, 320): (0x37, 0x3B, 0x40),
}
"""Sensors of camera systems by number (``system_ID``), for headers that say no size."""
_DAT_BYTES: Final = 8
_DAT_KINDS: Final = (0, 12)
"""Event types of change detection: the old one and ``EventCD``."""


def open_raw(path: Path, reading: Reading = Reading(), left_out: LeftOut | None = None) -> Recording:
    """Open a RAW file. Raises FeastError if it has no header that names a known format, or is truncated."""
    said = left_out or LeftOut()
    fields, start = _header(path)
    name, options = _format(path, fields)
    word, decode, most = _FORMATS[name]
    dtype = np.dtype(word)
    check_whole(path, start, dtype.itemsize, f"{name} word", reading, said)
    swapped = name == "EVT21" and _is_legacy(fields, options)

    def chunks() -> Iterator[Events]:
        state = evt_words.new_state()
        for _, data in blocks(path, start, dtype.itemsize):
            words = np.frombuffer(data, dtype)
            if swapped:  # each half in its own order, the upper half first
                words = words << np.uint64(32) | words >> np.uint64(32)
            for first in range(0, words.size, _WORDS):
                part = words[first : first + _WORDS]
                columns = _columns(part.size * most)
                count = decode(part, state, columns)
                if count:
                    yield make_events(*(column[:count] for column in columns))
        if unknown := int(state[evt_words.UNKNOWN]):
            said.add("words", f"of no type that {name} defines", unknown, str(path))

    return Recording(_size(path, fields, options), chunks)


def open_dat(path: Path, reading: Reading = Reading(), left_out: LeftOut | None = None) -> Recording:
    """Open a DAT file of change detection events. Raises FeastError for any other, or a truncated one."""
    fields, start = _header(path)
    with opened(path) as file:
        file.seek(start)
        kind = file.read(2)
    if len(kind) < 2 or kind[0] not in _DAT_KINDS or kind[1] != _DAT_BYTES:
        raise fault(path, start, f"event type and size {list(kind)}, expected [12, {_DAT_BYTES}]")
    check_whole(path, start + 2, _DAT_BYTES, "event", reading, left_out or LeftOut())

    def chunks() -> Iterator[Events]:
        unwrap = Unwrapper(32)
        for _, data in blocks(path, start + 2, _DAT_BYTES):
            words = np.frombuffer(data, "<u4").reshape(-1, 2)
            address = words[:, 1]
            yield make_events(
                unwrap(words[:, 0]), address & 0x3FFF, address >> 14 & 0x3FFF, address >> 28 & 1
            )

    return Recording(_size(path, fields, {}), chunks)


def _columns(most: int) -> tuple[npt.NDArray[Any], ...]:
    return (
        np.empty(most, np.int64),
        np.empty(most, np.uint16),
        np.empty(most, np.uint16),
        np.empty(most, np.uint8),
    )


def _header(path: Path) -> tuple[dict[str, str], int]:
    lines, start = header_lines(path, b"% ", (b"% end",))
    if not lines:
        raise fault(path, 0, "no header of '% name value' lines: not a file of Prophesee's")
    pairs = (line.partition(" ") for line in lines)
    return {name.lower(): value.strip() for name, _, value in pairs}, start


def _format(path: Path, fields: dict[str, str]) -> tuple[str, dict[str, str]]:
    name, *rest = fields.get("format", "").split(";")
    options = dict(part.split("=", 1) for part in rest if "=" in part)
    name = name.strip().upper().replace(".", "") or _VERSIONS.get(fields.get("evt", ""), "")
    if name not in _FORMATS:
        got = fields.get("format") or fields.get("evt") or "none"
        raise FeastError(f"{path}: format {got!r} in its header; supported: EVT2, EVT21, EVT3")
    return name, options


def _system(fields: dict[str, str]) -> int:
    """The number of the camera's system, 0 if the header does not say or another maker wrote it."""
    makers = ("camera_integrator_name", "plugin_integrator_name", "integrator_name")
    number = fields.get("system_id", "")
    if any(fields.get(maker, "Prophesee").lower() != "prophesee" for maker in makers):
        return 0
    return int(number) if re.fullmatch(r"[0-9]{1,6}", number) else 0


def _is_legacy(fields: dict[str, str], options: dict[str, str]) -> bool:
    """Whether the halves of EVT 2.1 words are swapped; systems before Saphir did not say so."""
    said = options.get("endianness") or fields.get("endianness")
    return said == "legacy" if said else 0 < _system(fields) < _SAPHIR


def _size_of_system(fields: dict[str, str]) -> Sensor | None:
    return next((size for size, systems in _SYSTEMS.items() if _system(fields) in systems), None)


def _size(path: Path, fields: dict[str, str], options: dict[str, str]) -> Sensor | None:
    geometry = re.fullmatch(r"(\d{1,4})x(\d{1,4})", fields.get("geometry", ""))
    sides = geometry.groups() if geometry else None
    for source in (options, fields):
        if sides is None and "width" in source and "height" in source:
            sides = (source["width"], source["height"])
    if sides is None:
        return _size_of_system(fields)
    try:
        return Sensor.parse("x".join(sides))
    except FeastError as error:
        raise FeastError(f"{path}: header: {error}") from None
