"""Columns of events in memory: found by their names, converted to whole microseconds, pixels and polarities.

Every function takes `where`, which begins its errors (FeastError).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.recordings.readers.columns import NAMES, find_columns
from feast_codegen.host.recordings.time_units import unit_of_name

Unit = Literal["ns", "us", "ms", "s"]
Array = npt.NDArray[Any]

NANOSECONDS: Final[Mapping[str, int]] = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
"""Of each unit."""
ORDER: Final = ("t", "x", "y", "p")
"""Of columns without names."""
LOOKED_FOR: Final = (
    "; ".join(f"{column} ({', '.join(names)})" for column, names in NAMES.items())
    + "; a time also with its unit, as in t_us"
)
END_PIXEL: Final = 1 << 16
_END_US: Final = 1 << 63


# Names


def split_names(columns: str | Sequence[str]) -> list[str]:
    """Names of columns, from ``"txyp"``, ``"t, x, y, p"`` and ``("t", "x", "y", "p")`` alike."""
    if isinstance(columns, str):
        return re.findall(r"[^\s,]+", columns) if re.search(r"[\s,]", columns.strip()) else list(columns)
    return [str(name) for name in columns]


def find_places(names: Sequence[Any], where: str) -> dict[str, int]:
    """Where t, x, y and p stand among `names`; the error lists the names it looked for."""
    plain = [split_unit(str(name))[0] for name in names]
    found = find_columns(plain)
    if found is None:
        raise FeastError(f"{where}: columns {listed(names)}: expected names for {LOOKED_FOR}")
    return {column: plain.index(name) for column, name in found.items()}


def split_unit(name: str) -> tuple[str, Unit | None]:
    """The name of a time without its unit, and the unit.

    >>> split_unit("Timestamp [ms]"), split_unit("t_us"), split_unit("ts")
    (('timestamp', 'ms'), ('t', 'us'), ('ts', None))
    """
    plain, unit = unit_of_name(name)
    return plain, unit if plain in NAMES["t"] else None  # type: ignore[return-value]


def listed(names: Iterable[Any]) -> str:
    """`names` for an error, shortened."""
    text = ", ".join(map(str, names))
    return text if len(text) <= 120 else text[:117] + "..."


# Numbers


def to_array(values: Any, what: str, where: str) -> Array:
    """`values` as NumPy makes an array of them; Python objects become numbers where they are some."""
    try:
        array = np.asarray(values)
        return np.array(array.tolist()) if array.dtype.kind == "O" else array
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:  # ragged, or a tensor of a GPU
        reason = " ".join(str(error).split())[:120]
        kind = type(values).__name__
        raise FeastError(f"{where}: {what}: {kind} cannot become an array: {reason}") from None


def to_column(values: Any, column: str, where: str) -> Array:
    """(n,) numbers, bool, or for column t also timedelta64 and datetime64."""
    array = to_array(values, f"column {column}", where)
    if array.ndim != 1:
        raise FeastError(f"{where}: column {column} has shape {array.shape}, expected one dimension")
    if array.size == 0:
        return np.zeros(0, np.int64)
    if array.dtype.kind not in ("biufmM" if column == "t" else "biuf"):
        raise FeastError(f"{where}: column {column} holds {array.dtype} ({array[0]!r}), expected numbers")
    return array.astype(np.float64) if array.dtype == np.float16 else array


def to_microseconds(times: Array, unit: Unit | None, name: str, where: str) -> npt.NDArray[np.uint64]:
    """uint64 (n,), rounded to the nearest; `name` and dtype may carry the unit.

    Without any unit, integers are microseconds and floating-point times are refused.
    """
    named = split_unit(name)[1]
    check_unit(unit, named, f"column {name}", where)
    chosen: str | None = named or unit
    if times.dtype.kind in "mM":
        step, count = np.datetime_data(times.dtype)
        if count != 1 or step not in NANOSECONDS:
            raise FeastError(f"{where}: times of {times.dtype}, expected one of {', '.join(NANOSECONDS)}")
        check_unit(chosen, step, f"column {name} of {times.dtype}", where)
        times, chosen = times.view(np.int64), step
    if times.dtype.kind == "b":
        raise FeastError(f"{where}: column {name} is bool, expected times")
    if times.dtype.kind == "f" and chosen is None:
        raise FeastError(
            f"{where}: times are floating-point numbers without a unit: give unit='s', 'ms', 'us' or 'ns'"
        )
    ns = NANOSECONDS[chosen or "us"]
    bad = ~((times >= 0) & (times < min(_END_US * 1000 // ns, _END_US)))
    if bad.any():
        at = int(np.argmax(bad))
        raise FeastError(
            f"{where}: event {at}: {name}={times[at]} {chosen or 'us'}: expected 0 or later, below 2^63 us"
        )
    if times.dtype.kind == "f":
        return np.asarray(np.rint(times.astype(np.float64) * (ns / 1000)).astype(np.uint64))
    whole = times.astype(np.uint64)
    return np.asarray(
        (whole + np.uint64(500)) // np.uint64(1000) if ns == 1 else whole * np.uint64(ns // 1000)
    )


def check_unit(unit: str | None, carried: str | None, what: str, where: str) -> None:
    """Raise FeastError if `unit` is given and `what` carries another."""
    if unit is not None and unit not in NANOSECONDS:
        raise FeastError(f"{where}: unit {unit!r}: expected one of {', '.join(NANOSECONDS)}")
    if carried is not None and unit not in (None, carried):
        raise FeastError(f"{where}: {what} is in {carried}, not in {unit}")


def to_pixels(values: Array, name: str, where: str) -> Array:
    """Whole numbers from 0 to 65535, of any dtype."""
    if values.dtype.kind == "b":
        raise FeastError(f"{where}: column {name} is bool, expected pixels")
    bad = ~((values >= 0) & (values < END_PIXEL) & (values == np.trunc(values)))
    if bad.any():
        at = int(np.argmax(bad))
        raise FeastError(
            f"{where}: event {at}: {name}={values[at]}: expected a whole number from 0 to {END_PIXEL - 1}"
        )
    return values


def to_polarities(values: Array, where: str) -> npt.NDArray[np.bool_]:
    """True for brighter, from 0 and 1, -1 and 1, or bool."""
    odd = ~((values == 1) | (values == 0) | (values == -1))
    if odd.any():
        at = int(np.argmax(odd))
        raise FeastError(f"{where}: event {at}: polarity {values[at]}, expected 0 or 1, -1 or 1, or bool")
    if (values == 0).any() and (values == -1).any():
        raise FeastError(f"{where}: polarities are -1, 0 and 1, expected 0 and 1, or -1 and 1")
    return np.asarray(values == 1)
