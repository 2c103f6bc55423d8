"""What HDF5 files say beside their events: the sensor, the unit of time, single numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers.base import size_of
from feast_codegen.host.recordings.reading import TimeUnit
from feast_codegen.host.recordings.time_units import unit_named


def sensor_of(path: Path, file: Any, place: str, is_cut: bool) -> Sensor | None:
    """From attributes ``width`` and ``height``, ``sensor_resolution`` (height, width) or ``geometry``."""
    for item in (file, file[place]):
        attributes = attributes_of(item, is_cut)
        if "width" in attributes and "height" in attributes:
            size = f"{int(attributes['width'])}x{int(attributes['height'])}"
        elif "sensor_resolution" in attributes:
            height, width = (int(side) for side in attributes["sensor_resolution"][:2])
            size = f"{width}x{height}"
        elif "geometry" in attributes:
            value = attributes["geometry"]
            size = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        else:
            continue
        try:
            return Sensor.parse(size)
        except FeastError as error:
            raise FeastError(f"{path}: {error}") from None
    return None


def unit_of(column: Any, is_cut: bool) -> TimeUnit | None:
    """The unit in an attribute ``unit`` or ``units`` of a column."""
    for name in ("unit", "units"):
        value = attributes_of(column, is_cut).get(name)
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if isinstance(text, str) and (unit := unit_named(text)):
            return unit
    return None


def scalar(path: Path, dataset: Any) -> Any:
    """A number of its own. Raises FeastError if the file ends before it."""
    offset = dataset.id.get_offset()
    if dataset.dtype.kind not in "iuf":
        raise FeastError(f"{path}: {dataset.name}: {dataset.dtype}, expected a number")
    if offset is not None and offset + dataset.dtype.itemsize > size_of(path):
        raise FeastError(f"{path}: {dataset.name} lies beyond the end of the file, so times are not known")
    return dataset[()]


def attributes_of(item: Any, is_cut: bool) -> dict[str, Any]:
    """Those that tell of the sensor or the unit.

    Of a file that is cut off, no text of any length: HDF5 keeps these in a heap, and in one that is cut
    off it searches forever.
    """
    return {
        name: item.attrs[name]
        for name in ("width", "height", "sensor_resolution", "geometry", "unit", "units")
        if name in item.attrs and not (is_cut and item.attrs.get_id(name).dtype.kind == "O")
    }
