"""Units of times in files that do not name one: conversion to microseconds, and what is not plausible.

Whole numbers are taken for microseconds and numbers with a fraction for seconds, unless the user or the name
of a column says the unit. What was taken so must be plausible as an event camera's recording: nanoseconds
read as microseconds give a model whose time constant is 1,000 times off, and no other sign of it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.recordings.reading import TimeUnit

FARTHEST_US: Final = 1 << 62
"""Of a time or an offset: the sum of two then is one of 64 bits."""
NO_TIME: Final = -(1 << 63)
"""What stands for a whole number that is no time; NaN stands for a fraction."""
ADVICE: Final = "; --time-unit s, ms, us or ns says the unit"
_PER_UNIT: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}
_NAMES: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("us", "µs", "μs", "usec", "microsecond", "microseconds"), "us"),
    **dict.fromkeys(("ns", "nsec", "nanosecond", "nanoseconds"), "ns"),
}
_YEAR_2100_US: Final = 4_102_444_800_000_000
_FEWEST: Final = 100
"""Events from which on a rate says something."""
_LOWEST_RATE, _HIGHEST_RATE = 10.0, 1e8
_TRIMMED: Final = 0.05
"""Share of the longest steps that a low rate is judged without: one event ahead of time is no unit."""

Times = npt.NDArray[Any]


def unit_named(text: str) -> TimeUnit | None:
    """The unit called so, e.g. ``usec``; None if it is none."""
    return _NAMES.get(text.strip().lower())  # type: ignore[return-value]


def unit_of_name(name: str) -> tuple[str, TimeUnit | None]:
    """A column's name without its unit, in lower case, and the unit if it is one of time.

    >>> unit_of_name("Timestamp [us]"), unit_of_name("t_ns"), unit_of_name("x (px)")
    (('timestamp', 'us'), ('t', 'ns'), ('x', None))
    """
    text = name.strip().strip("\"'").strip().lower()
    match = re.fullmatch(r"(\w+?)(?:\s*[\[(]\s*([^\W\d_]+)\s*[\])]|[ _./-]+([^\W\d_]+))", text)
    if match:
        unit = match[2] or match[3]
        if unit in _NAMES or unit in ("px", "pix", "pixel", "pixels"):
            return match[1], unit_named(unit)
    return text, None


def microseconds(times: Times, offset_us: int = 0, unit: TimeUnit = "auto") -> Times:
    """Times in `unit` as microseconds, rounded, from `offset_us` on; auto: whole numbers are microseconds,
    others seconds.

    What a sum in 64 bits could not hold comes out as NO_TIME or NaN.
    """
    if times.dtype.kind == "f":
        seconds = times.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = seconds / 1000 if unit == "ns" else seconds * _PER_UNIT["s" if unit == "auto" else unit]
            return np.where(np.abs(scaled) < FARTHEST_US, np.rint(scaled) + offset_us, np.nan)
    if times.dtype.kind not in "iu" or (offset_us == 0 and unit in ("auto", "us")):
        return times
    factor = 1 if unit in ("auto", "ns") else _PER_UNIT[unit]
    limit = FARTHEST_US // factor
    fits = (times < limit) & (times > -limit)
    whole = np.where(fits, times, 0).astype(np.int64)
    whole = (whole + 500) // 1000 if unit == "ns" else whole * factor
    return np.where(fits, whole + offset_us, NO_TIME)


class TimeCheck:
    """Whether times of a unit that nobody named can be those of a recording; holds its place in it.

    Raises FeastError, which names the option, as soon as it is plain that they cannot.
    """

    def __init__(self, path: Path, in_seconds: bool) -> None:
        self._path, self._in_seconds = path, in_seconds
        self._count = self._zero_steps = 0
        self._last: int | None = None
        self._long_us = self._trimmed_us = 0
        self._coarse = True
        """All times are multiples of 1,000, or whole seconds."""
        self._values: set[int] = set()

    def add(self, t_us: npt.NDArray[np.uint64]) -> None:
        """Look at the next events' times, microseconds."""
        if not t_us.size:
            return
        times = t_us.view(np.int64)
        if min(int(times[0]), int(times[-1])) > _YEAR_2100_US:
            raise self._refusal(f"time {int(times[0])} us would be after the year 2100")
        if self._coarse:
            self._coarse = not (times % (1_000_000 if self._in_seconds else 1000)).any()
        if len(self._values) < 3:
            self._values |= {int(value) for value in np.unique(times)[:3]}
        steps = np.diff(times, prepend=times[0] if self._last is None else self._last)
        np.maximum(steps, 0, out=steps)  # what lies before the event before it is not for this check
        total = int(steps.sum())
        self._zero_steps += int(np.count_nonzero(steps == 0))
        self._long_us += total
        if total * _LOWEST_RATE > times.size * 1e6:
            kept = max(1, int(times.size * (1 - _TRIMMED)))
            total = int(np.partition(steps, kept - 1)[:kept].sum())
        self._trimmed_us += total
        self._count, self._last = self._count + times.size, int(times[-1])

    def end(self) -> None:
        """Judge the recording as a whole."""
        count = self._count
        if count < _FEWEST:
            return
        if len(self._values) < 3 and self._zero_steps * 2 > count:
            few = "one value" if len(self._values) == 1 else "two values"
            raise self._refusal(f"the times of {count} events have {few} only")
        if self._trimmed_us * _LOWEST_RATE > count * 1e6:
            raise self._refusal(f"{self._rate()}, less than {_LOWEST_RATE:g}")
        if count > _HIGHEST_RATE / 1e6 * self._long_us:
            raise self._refusal(f"{self._rate()}, more than {_HIGHEST_RATE:g}")
        if self._coarse:
            each = "whole seconds" if self._in_seconds else "multiples of 1,000"
            raise self._refusal(f"all {count} times are {each}")

    def _rate(self) -> str:
        seconds = self._long_us / 1e6
        rate = self._count / seconds if seconds else float("inf")
        return f"{self._count} events in {seconds:.4g} s are {rate:.3g} events/s"

    def _refusal(self, problem: str) -> FeastError:
        taken = "seconds, as they have a point" if self._in_seconds else "microseconds, as they have no point"
        return FeastError(f"{self._path}: times were taken for {taken}, but {problem}{ADVICE}")
