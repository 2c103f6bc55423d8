"""How recordings are read: everything that a user may have to say about files, as one value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.sensor import Sensor

TimeUnit = Literal["auto", "s", "ms", "us", "ns"]
OnClockReset = Literal["error", "split", "continue"]


@dataclass(frozen=True)
class Tolerance:
    """What is done about events that are bad or out of order; the defaults refuse a recording with one."""

    skip_bad_events: bool = False
    on_clock_reset: OnClockReset = "error"
    sort_within_us: int = 0
    max_bad_share: float = 0.05

    @property
    def is_strict(self) -> bool:
        """Whether every event must be good and in order."""
        return not (self.skip_bad_events or self.sort_within_us) and self.on_clock_reset == "error"


STRICT: Final = Tolerance()
LONGEST_SORT_US: Final = 1_000_000
"""Events of this time are held in memory to be sorted."""


@dataclass(frozen=True)
class Reading:
    """What a user says about recordings; the defaults read what says everything about itself."""

    sensor: Sensor | None = None
    """Size of the sensor, for formats that do not carry it."""
    time_unit: TimeUnit = "auto"
    """Unit of times in text, NumPy and HDF5 files; auto: by the file, refused where that is implausible."""
    columns: str | None = None
    """Order of the columns t, x, y, p of files without names, e.g. ``xypt``."""
    stream: str | None = None
    """Which of several cameras, groups or sources of a file to read."""
    accept_truncated: bool = False
    """Read a file that ends in the middle of a record up to there."""
    skip_bad_events: bool = False
    """Leave out events off the sensor, of an odd polarity or out of order, and count them."""
    files: tuple[str, ...] = ()
    """Of a folder only the files that one of these patterns matches, e.g. ``*.dat``; empty: all."""
    exclude: tuple[str, ...] = ()
    """Not the files of a folder that one of these patterns matches, e.g. ``old/*``."""
    labels: str | None = None
    """Path of a table of labels, which may cut recordings into segments; see recordings.label_tables."""
    split_every_ms: int | None = None
    """Cut recordings into pieces of this length, milliseconds."""
    groups: str = "auto"
    """What cross-validations keep together: auto, file, or a regular expression; see recordings.groups."""
    on_clock_reset: OnClockReset = "error"
    """Where a clock starts again: refuse the recording, make one of each stretch, or let time go on."""
    sort_within_us: int = 0
    """Sort events that are at most this many microseconds late; 0 to 1,000,000."""
    max_bad_share: float = 0.05
    """Share of the events of a recording that may be left out as bad, 0 to 1."""

    @property
    def tolerance(self) -> Tolerance:
        """What is done about bad events. Raises FeastError for a value out of range."""
        if not 0 <= self.sort_within_us <= LONGEST_SORT_US:
            raise FeastError(
                f"--sort-within {self.sort_within_us}: expected 0 to {LONGEST_SORT_US} microseconds"
            )
        if not 0 <= self.max_bad_share <= 1:
            raise FeastError(f"--max-bad-share {self.max_bad_share:g}: expected a share from 0 to 1")
        return Tolerance(self.skip_bad_events, self.on_clock_reset, self.sort_within_us, self.max_bad_share)


@dataclass
class LeftOut:
    """What of a source was not read, and what was chosen for the user, for one line each.

    What is said about the same place twice, as each reading of a recording does, counts once.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many, by what and why."""
    remarks: Counter[str] = field(default_factory=Counter)
    """In how many recordings something was chosen, by the text that says what."""
    _places: dict[tuple[str, str, str], int] = field(default_factory=dict, repr=False)

    def add(self, what: str, why: str, count: int = 1, where: str = "") -> None:
        """Count something that is not read, e.g. ``add("files", "known side files")``.

        With `where`, e.g. a path, `count` replaces what was said about that place before.
        """
        before = self._places.get((what, why, where), 0) if where else 0
        if count != before:
            self.counts[what, why] += count - before
        if where:
            self._places[what, why, where] = count

    def say(self, remark: str, where: str = "") -> None:
        """Note something that was chosen for the user, e.g. which of two cameras is read."""
        if where and ("", remark, where) in self._places:
            return
        self._places["", remark, where] = 1
        self.remarks[remark] += 1

    def lines(self) -> list[str]:
        """One line for each kind, e.g. ``12 files left out: known side files``."""
        counts, remarks = sorted(self.counts.items()), sorted(self.remarks.items())
        return [
            *(f"{count} {what} left out: {why}" for (what, why), count in counts if count),
            *(f"{remark} (in {count} recordings)" if count > 1 else remark for remark, count in remarks),
        ]

    def values(self) -> list[dict[str, object]]:
        """For ``--json``: objects with what, why and count; `what` of a remark is ``remark``."""
        return [
            *(
                {"what": what, "why": why, "count": count}
                for (what, why), count in sorted(self.counts.items())
                if count
            ),
            *(
                {"what": "remark", "why": remark, "count": count}
                for remark, count in sorted(self.remarks.items())
            ),
        ]
