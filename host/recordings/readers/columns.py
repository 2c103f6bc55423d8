"""Columns of events in tables of any kind: which is which, and what their numbers mean.

Text, NumPy and HDF5 files share it. A column is found by its name, or by its place as the user says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.host.recordings.readers.base import checked_columns
from feast_codegen.host.recordings.reading import LeftOut, Reading, TimeUnit
from feast_codegen.host.recordings.time_units import FARTHEST_US, TimeCheck, microseconds, unit_of_name

NAMES: Final = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs", "x_coordinates"),
    "y": ("y", "ys", "y_coordinates"),
    "p": ("p", "ps", "pol", "pols", "polarity", "polarities", "on"),
}
"""How columns are called, in lower case and without a unit."""
DEFAULT_ORDER: Final = {"t": 0, "x": 1, "y": 2, "p": 3}
ORDER_ADVICE: Final = "--columns says their order, e.g. txyp or xypt"
_MOST_COLUMNS: Final = 64


def find_columns(names: Sequence[str]) -> dict[str, str] | None:
    """The name among `names` for each of t, x, y and p; None unless all are there.

    A name may carry a unit; one that carries none goes first.

    >>> find_columns(["x", "y", "Timestamp [us]", "on", "id"])
    {'t': 'Timestamp [us]', 'x': 'x', 'y': 'y', 'p': 'on'}
    """
    bases: dict[str, str] = {}
    for name in names:
        bases.setdefault(unit_of_name(name)[0], name)
    bases |= {name.strip().lower(): name for name in names}
    found = {
        column: bases[known]
        for column, options in NAMES.items()
        for known in reversed(options)
        if known in bases
    }
    return found if len(found) == len(NAMES) else None


def named_unit(name: str) -> TimeUnit | None:
    """The unit that the name of a column of times carries, None without one."""
    return None if name.strip().lower() in NAMES["t"] else unit_of_name(name)[1]


def parse_order(columns: str | None) -> dict[str, int] | None:
    """Places of t, x, y and p from ``xypt`` and the like; ``_`` or ``-`` stands for a column not read.

    None for None. Raises FeastError unless each of the four is there once.
    """
    if columns is None:
        return None
    text = columns.lower().replace(",", "").replace(" ", "").replace("-", "_")
    if len(text) > _MOST_COLUMNS or sorted(text.replace("_", "")) != sorted("txyp"):
        raise FeastError(
            f"--columns {columns!r}: expected each of t, x, y and p once, and _ for a column that is "
            f"not read, e.g. xypt"
        )
    return {column: text.index(column) for column in "txyp"}


def not_whole(rows: Mapping[str, Any], row: int) -> str:
    """What an error adds where x or y of a row is no whole number."""
    for column in "xy":
        values = np.asarray(rows[column])
        if values.dtype.kind == "f" and values.ndim == 1 and values[row] != np.floor(values[row]):
            return f": {column} is {values[row]:g}, but pixels are whole: round x and y first"
    return ""


class TableReader:
    """Makes events from the columns of a table, chunk by chunk: units, offsets and codes of polarity."""

    def __init__(
        self,
        path: Path,
        reading: Reading,
        left_out: LeftOut,
        unit: TimeUnit | None = None,
        offset_us: int = 0,
    ) -> None:
        """`unit`: what the file itself says; what the user says goes before it."""
        self._path, self._left_out, self._offset_us = path, left_out, offset_us
        self._unit: TimeUnit = reading.time_unit if reading.time_unit != "auto" else unit or "auto"
        self._check: TimeCheck | None = None
        self._shift_us: int | None = None
        self._one_two: bool | None = None

    def __call__(
        self, t: npt.NDArray[Any], x: Any, y: Any, p: Any, where: Callable[[int], FeastError]
    ) -> Events:
        """Events, EVENT_DTYPE, from columns of one length.

        Raises ``where(row)`` for the first row that is no event.
        """
        times = np.asarray(t)
        if times.dtype.kind not in "iuf" or times.ndim != 1:
            raise where(0)
        if self._unit == "auto" and self._check is None:
            self._check = TimeCheck(self._path, times.dtype.kind == "f")
        events = checked_columns(
            where, self._moved(microseconds(times, self._offset_us, self._unit)), x, y, self._polarity(p)
        )
        if self._check:
            self._check.add(events["t_us"])
        return events

    def end(self) -> None:
        """Check what only the whole recording shows. Raises FeastError where its times are not plausible."""
        if self._check:
            self._check.end()

    def _moved(self, t_us: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Times from 0 on if the recording begins below it, as one cut around a trigger does."""
        if self._shift_us is None and t_us.size:
            lowest = t_us.min() if -FARTHEST_US < t_us[0] < 0 else 0
            self._shift_us = -int(lowest) if -FARTHEST_US < lowest < 0 else 0
            if self._shift_us:
                self._left_out.say("times begin below 0 and are moved to begin at 0", str(self._path))
        if not self._shift_us:
            return t_us
        return t_us + (np.float64(self._shift_us) if t_us.dtype.kind == "f" else np.int64(self._shift_us))

    def _polarity(self, p: Any) -> Any:
        """0 and 1 for the codes 1 and 2, which the first chunk shows."""
        polarity = np.asarray(p)
        if polarity.dtype.kind not in "iuf":
            return polarity
        if self._one_two is None and polarity.size:
            self._one_two = bool((polarity == 2).any() and (polarity >= 1).all())
            if self._one_two:
                self._left_out.say("polarities 1 and 2 are read as 0 and 1", str(self._path))
        if not self._one_two:
            return polarity
        return np.where((polarity == 1) | (polarity == 2), polarity == 2, 9)
