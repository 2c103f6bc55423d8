"""Event files of every supported format, chosen by the end of their names.

One convention for all: ``x`` grows to the right and ``y`` downwards, both from 0 in the upper left
corner; times are microseconds of the recording's own clock; polarity is 1 for brighter and 0 for darker.
See docs/use/recordings.md.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import aedat, arrays, event_stream, nmnist, packed, prophesee, text
from feast_codegen.host.recordings.readers.base import Recording, blocks
from feast_codegen.host.recordings.readers.isolated_decoder import opened_apart
from feast_codegen.host.recordings.reading import LeftOut, Reading

__all__ = ["SUFFIXES", "Recording", "open_recording"]

BIN_SENSOR: Final = Sensor(34, 34)
"""Sensor of a ``.bin`` file unless the user names another: N-MNIST's."""


def _open_bin(path: Path, reading: Reading, left_out: LeftOut) -> Recording:
    nmnist.check_size(path, reading, left_out)

    def chunks() -> Iterator[Events]:
        return (nmnist.decode(data) for _, data in blocks(path, 0, nmnist.RECORD_BYTES) if data)

    return Recording(BIN_SENSOR, chunks)


_Opener = Callable[[Path, Reading, LeftOut], Recording]
_OPENERS: Final[dict[str, _Opener]] = {
    ".bin": _open_bin,
    ".raw": prophesee.open_raw,
    ".dat": prophesee.open_dat,
    ".aedat": aedat.open_aedat,
    ".aedat4": opened_apart("aedat4"),
    ".es": event_stream.open_es,
    ".h5": opened_apart("hdf5"),
    ".hdf5": opened_apart("hdf5"),
    ".csv": text.open_text,
    ".txt": text.open_text,
    ".npy": arrays.open_npy,
    ".npz": arrays.open_npz,
    ".mat": opened_apart("mat"),
    ".bag": opened_apart("rosbag"),
    ".mcap": opened_apart("rosbag"),
    ".db3": opened_apart("rosbag"),
}
_PLAIN: Final = tuple(_OPENERS)
"""What may be inside packed files."""
_TABLES: Final = (".csv", ".txt", ".npy", ".npz", ".h5", ".hdf5", ".mat")
_STREAMS: Final = (".aedat", ".aedat4", ".npz", ".h5", ".hdf5", ".mat", ".bag", ".mcap", ".db3", ".zip")
_LARGE_BYTES: Final = 1 << 26
_LEAST_SHARE: Final = 0.01
"""Of a large file that must have been written: less, and it is a hole."""


def _open_inside(path: Path, reading: Reading, left_out: LeftOut) -> Recording:
    """A recording that was unpacked; its size is checked by the caller."""
    suffix = path.suffix.lower()
    _check_options(path, suffix, reading)
    opened = _OPENERS[suffix](path, reading, left_out)
    return Recording(reading.sensor, opened.chunks) if suffix == ".bin" and reading.sensor else opened


_OPENERS[".gz"] = lambda path, reading, left_out: packed.open_gz(
    path, reading, left_out, _PLAIN, _open_inside
)
_OPENERS[".zip"] = lambda path, reading, left_out: packed.open_zip(
    path, reading, left_out, _PLAIN, _open_inside
)
SUFFIXES: Final = tuple(suffix for suffix in _OPENERS if suffix != ".zip")
"""Ends of the names of files of a folder that are recordings, in lower case; archives are named alone."""


def open_recording(
    path: Path,
    sensor: Sensor | None = None,
    *,
    reading: Reading = Reading(),
    left_out: LeftOut | None = None,
    may_be_smaller: bool = False,
) -> Recording:
    """Open an event file as `reading` says, `sensor` before its own; `left_out` counts what is not read.

    Raises FeastError for an unknown format, a damaged or foreign file, if no size is known, if the file's
    differs from that of `reading` (with `may_be_smaller`: is larger), or if `reading` says what the format
    leaves nobody to say.
    """
    suffix, sensor = path.suffix.lower(), sensor or reading.sensor
    if suffix not in _OPENERS:
        raise FeastError(f"{path}: unknown format {path.suffix!r}; supported: {' '.join(_OPENERS)}")
    if suffix not in (".gz", ".zip"):
        _check_options(path, suffix, reading)
    _check_kind(path)
    if sensor is not reading.sensor:
        reading = replace(reading, sensor=sensor)
    opened = _OPENERS[suffix](path, reading, left_out or LeftOut())
    if suffix == ".bin" and sensor is not None:
        return Recording(sensor, opened.chunks)
    if opened.sensor is None:
        if sensor is None:
            raise FeastError(f"{path}: the file does not say how large the sensor is; give --sensor WxH")
        return Recording(sensor, opened.chunks)
    is_smaller = sensor is not None and sensor.holds(opened.sensor)
    if sensor not in (None, opened.sensor) and not (may_be_smaller and is_smaller):
        raise FeastError(f"{path}: has a {opened.sensor} sensor, not {sensor}")
    return opened


def _check_kind(path: Path) -> None:
    """Raise FeastError for what is no regular file, and for a large one that is next to empty."""
    try:
        found = path.stat()
    except OSError as error:
        raise FeastError(f"{path}: cannot read: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise FeastError(f"{path}: not a regular file; recordings are read more than once")
    written = getattr(found, "st_blocks", found.st_size) * 512
    if found.st_size > _LARGE_BYTES and written < _LEAST_SHARE * found.st_size:
        raise FeastError(
            f"{path}: a sparse file: of its {found.st_size} bytes only {written} have been written"
        )


def _check_options(path: Path, suffix: str, reading: Reading) -> None:
    """Raise FeastError for an option that could not change how the file is read."""
    for option, is_given, suffixes in (
        ("--time-unit", reading.time_unit != "auto", _TABLES),
        ("--columns", reading.columns is not None, _TABLES),
        ("--stream", reading.stream is not None, _STREAMS),
    ):
        if is_given and suffix not in suffixes:
            raise FeastError(f"{path}: {option} is for {' '.join(suffixes)}, not for {suffix} files")
