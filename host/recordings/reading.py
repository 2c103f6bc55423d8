"""How recordings are read: everything that a user may have to say about files, as one value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from feast_codegen.codegen.base.sensor import Sensor

TimeUnit = Literal["auto", "s", "ms", "us", "ns"]


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
