"""Event files of every supported format, chosen by the end of their names.

One convention for all: ``x`` grows to the right and ``y`` downwards, both from 0 in the upper left
corner; times are microseconds of the recording's own clock; polarity is 1 for brighter and 0 for darker.
See docs/use/recordings.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import aedat, arrays, event_stream, nmnist, prophesee, text
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
}
SUFFIXES: Final = tuple(_OPENERS)
"""Ends of the names of files that can be read, in lower case."""
_TABLES: Final = (".csv", ".txt", ".npy", ".npz", ".h5", ".hdf5")
_STREAMS: Final = (".aedat", ".aedat4", ".npz", ".h5", ".hdf5")


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
        raise FeastError(f"{path}: unknown format {path.suffix!r}; supported: {' '.join(SUFFIXES)}")
    _check_options(path, suffix, reading)
    opened = _OPENERS[suffix](path, replace(reading, sensor=sensor), left_out or LeftOut())
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


def _check_options(path: Path, suffix: str, reading: Reading) -> None:
    """Raise FeastError for an option that could not change how the file is read."""
    for option, is_given, suffixes in (
        ("--time-unit", reading.time_unit != "auto", _TABLES),
        ("--columns", reading.columns is not None, _TABLES),
        ("--stream", reading.stream is not None, _STREAMS),
    ):
        if is_given and suffix not in suffixes:
            raise FeastError(f"{path}: {option} is for {' '.join(suffixes)}, not for {suffix} files")
