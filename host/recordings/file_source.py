"""A source over event files: opened once to be checked, read when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.events import Label
from feast_codegen.host.recordings.readers import Recording, open_recording
from feast_codegen.host.recordings.reading import LeftOut, Reading
from feast_codegen.host.recordings.source import Source


def file_source(
    spec: str,
    root: Path,
    paths: Sequence[str],
    names: Sequence[str],
    labels: Sequence[Label | None],
    reading: Reading,
    left_out: LeftOut,
) -> Source:
    """The files with these paths below `root`, each with its name and label.

    Reads the headers of all, so a foreign or truncated file is refused before any is read. Files of different
    sizes get the sensor of `reading`, or the smallest that holds them all, which is noted.
    Raises FeastError for a file that cannot be read, or that is larger than the sensor of `reading`.
    """

    def opened(index: int) -> Recording:
        return open_recording(root / paths[index], reading=reading, left_out=left_out, may_be_smaller=True)

    sizes = tuple(opened(index).sensor or Sensor(1, 1) for index in range(len(paths)))
    different = set(sizes)
    sensor = reading.sensor or Sensor(
        max(size.width for size in different), max(size.height for size in different)
    )
    if different != {sensor}:
        left_out.say(_padded(different, sensor))
    return Source(
        spec=spec,
        left_out=left_out,
        sensor=sensor,
        names=tuple(names),
        labels=tuple(labels),
        read=lambda index: opened(index).read(),
        where=lambda index: str(root / paths[index]),
        read_chunks=lambda index: opened(index).chunks(),
        sizes=sizes if different != {sensor} else (),
    )


def _padded(sizes: set[Sensor], sensor: Sensor) -> str:
    ordered = sorted(sizes, key=lambda size: (size.width * size.height, size.width))
    if len(ordered) == 1:
        return f"recordings of {ordered[0]} pixels are padded to {sensor}"
    return (
        f"recordings of {len(ordered)} sizes, {ordered[0]} to {ordered[-1]} pixels, are padded to {sensor} "
        "at the right and below"
    )
