"""Event files of every supported format, told apart by the end of their names.

One convention for all: ``x`` grows to the right and ``y`` downwards, both from 0 in the upper left
corner; times are microseconds of the recording's own clock; polarity is 1 for brighter and 0 for darker.
See docs/sources.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from codegen.errors import FeastError
from codegen.model import Sensor
from codegen.records import Events
from host import nmnist
from host.readers import aedat, arrays, event_stream, prophesee, text
from host.readers.apart import opened_apart
from host.readers.base import Recording, blocks

__all__ = ["SUFFIXES", "Recording", "open_recording"]

BIN_SENSOR: Final = Sensor(34, 34)
"""Sensor of a ``.bin`` file unless the user names another: N-MNIST's."""


def _open_bin(path: Path) -> Recording:
    nmnist.check_size(path)

    def chunks() -> Iterator[Events]:
        return (nmnist.decode(data) for _, data in blocks(path, 0, nmnist.RECORD_BYTES))

    return Recording(BIN_SENSOR, chunks)


_OPENERS: Final[dict[str, Callable[[Path], Recording]]] = {
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


def open_recording(path: Path, sensor: Sensor | None = None) -> Recording:
    """Open an event file; `sensor` is for files that do not say how large theirs is.

    Raises FeastError for an unknown format, a damaged or foreign file, if no size is known, or if the file's
    differs from `sensor`.
    """
    suffix = path.suffix.lower()
    if suffix not in _OPENERS:
        raise FeastError(f"{path}: unknown format {path.suffix!r}; supported: {' '.join(SUFFIXES)}")
    opened = aedat.open_aedat(path, sensor) if suffix == ".aedat" else _OPENERS[suffix](path)
    if suffix == ".bin" and sensor is not None:
        return Recording(sensor, opened.chunks)
    if opened.sensor is None:
        if sensor is None:
            raise FeastError(f"{path}: the file does not say how large the sensor is; give --sensor WxH")
        return Recording(sensor, opened.chunks)
    if sensor not in (None, opened.sensor):
        raise FeastError(f"{path}: has a {opened.sensor} sensor, not {sensor}")
    return opened
