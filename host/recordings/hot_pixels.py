"""Pixels that fire independently of the scene: found in recordings by their rate, kept in a text file.

A pixel is hot if it fires far more often than the pixels around it. What moves through the picture raises
whole neighbourhoods; a hot pixel stands alone, or with few others. So its count is compared with the median
of the 5x5 pixels around, and with the mean over the sensor where hardly anything fires around it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.base.temporary import replacing
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.recordings.source import Source

RATIO: Final = 5.0
"""A hot pixel fires so many times as often as its surroundings, and as the pixels do on average."""
FEWEST: Final = 20
"""Events without which no pixel is called hot: chance alone makes five of one."""
_REACH: Final = 2
_DIGITS: Final = 5
"""Of a coordinate at most: sensors have fewer than 65,536 columns and rows."""
Pixels = tuple[tuple[int, int], ...]


def count_events(source: Source, progress: Progress = silent) -> npt.NDArray[np.int64]:
    """(height, width): events of each pixel over all recordings of `source`, read piece by piece."""
    counts = np.zeros(source.sensor.width * source.sensor.height, np.int64)
    for index in range(len(source)):
        for piece in source.load_chunks(index):
            counts += _counts(piece)
        progress(index + 1, len(source))
    return counts.reshape(source.sensor.height, source.sensor.width)


def _counts(piece: EventStream) -> npt.NDArray[np.int64]:
    width = piece.sensor.width
    place = piece.events["y"].astype(np.int64) * width + piece.events["x"]
    return np.bincount(place, minlength=width * piece.sensor.height)


def find_hot_pixels(counts: npt.NDArray[np.int64], ratio: float = RATIO) -> Pixels:
    """Pixels (x, y) whose count stands out, in the order of rows. `counts`: (height, width).

    >>> counts = np.full((8, 8), 10)
    >>> counts[2, 5] = 400
    >>> find_hot_pixels(counts)
    ((5, 2),)
    """
    padded = np.pad(counts.astype(np.float64), _REACH, constant_values=np.nan)
    side = 2 * _REACH + 1
    around = np.lib.stride_tricks.sliding_window_view(padded, (side, side)).reshape(*counts.shape, side**2)
    others = np.delete(around, side**2 // 2, axis=2)
    known = np.isfinite(others).any(axis=2)
    usual = np.zeros(counts.shape)
    usual[known] = np.nanmedian(others[known], axis=1)
    # The mean of all but the loudest pixels: a few hot ones may fire more than all the others together.
    quiet = np.sort(counts, axis=None)[: max(1, counts.size - counts.size // 20)].mean()
    hot = counts > np.maximum(ratio * np.maximum(usual, quiet), FEWEST)
    rows, columns = np.nonzero(hot)
    return tuple(zip(columns.tolist(), rows.tolist(), strict=True))


def read_hot_pixels(path: Path, camera: Sensor) -> Pixels:
    """Pixels of a text file: ``x y`` or ``x,y`` a line, ``#`` begins a comment.

    Raises FeastError naming the line that is no pixel of the `camera`.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise FeastError(f"{path}: cannot read hot pixels: {reason}") from None
    pixels = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        if len(words) != 2 or not all(map(_is_coordinate, words)):
            raise FeastError(f"{path}: line {number}: {line.strip()[:40]!r}: expected a pixel as x y")
        x, y = int(words[0]), int(words[1])
        if x >= camera.width or y >= camera.height:
            raise FeastError(f"{path}: line {number}: x={x} y={y} lies outside the {camera} camera")
        pixels.append((x, y))
    return tuple(pixels)


def _is_coordinate(word: str) -> bool:
    return len(word) <= _DIGITS and word.isascii() and word.isdigit()


def write_hot_pixels(path: Path, pixels: Iterable[tuple[int, int]], camera: Sensor) -> None:
    """Write what `read_hot_pixels` reads. Raises FeastError if the file cannot be written."""
    text = f"# hot pixels of a {camera} camera: x y\n" + "".join(f"{x} {y}\n" for x, y in pixels)
    try:
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise FeastError(f"{path}: cannot write hot pixels: {error.strerror or error}") from None
