"""Which files of a folder are recordings: what the user says, and what is known to be something else.

What is not taken is counted, by the reason.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from feast_codegen.host.recordings.label_tables import MAPPING, SUFFIX
from feast_codegen.host.recordings.reading import LeftOut

SIDE_FILES: Final = (
    "*_bbox.npy",  # Prophesee's detection sets
    "rectify_map.h5",  # DSEC
    "*_gt.hdf5",  # MVSEC
    "images.txt",  # the sets of the Robotics and Perception Group, Zurich
    "imu.txt",
    "groundtruth.txt",
    "calib.txt",
    "timestamps.txt",
    "labels.csv",
    "readme*",
    "licen[cs]e*",
    "thumbs.db",
    "desktop.ini",
)
"""Files that data sets keep beside their recordings; lower case."""
TABLES: Final = (f"*{SUFFIX}", MAPPING, "trials_to_*.txt")
"""Files that label the recordings of DVS128 Gesture; side files where they do not."""
_HIDDEN: Final = "__macosx"


def matches(path: str, pattern: str) -> bool:
    """Whether a pattern with ``*``, ``?`` and ``[...]`` is that of a path within SOURCE or of one part of it.

    >>> matches("train/0/a.bin", "*.bin"), matches("train/0/a.bin", "train/*"), matches("train/0/a.bin", "0")
    (True, True, True)
    >>> matches("train/0/a.bin", "a"), matches("train/0/a.bin", "test/*")
    (False, False)
    """
    return fnmatchcase(path, pattern) or any(fnmatchcase(part, pattern) for part in path.split("/"))


@dataclass
class FileChoice:
    """Takes or leaves files by their names and counts those that it leaves."""

    left_out: LeftOut
    files: tuple[str, ...] = ()
    """Only what one of these patterns matches; empty: all."""
    exclude: tuple[str, ...] = ()
    table: str = ""
    """Path within SOURCE of the table that labels the recordings."""
    used: set[str] = field(default_factory=set)
    """Patterns of `exclude` that have matched."""
    tables: Counter[str] = field(default_factory=Counter)
    """Files that may label the recordings beside them, by pattern."""

    def is_visible(self, name: str, is_folder: bool) -> bool:
        """Whether a file or folder of this name is one that the user can see."""
        if name.startswith(".") or name.lower() == _HIDDEN:
            self.left_out.add("folders" if is_folder else "files", "hidden (._*, .DS_Store, __MACOSX)")
            return False
        return True

    def takes(self, path: str) -> bool:
        """Whether the file with this path within SOURCE is chosen and no known side file."""
        for pattern in self.exclude:
            if matches(path, pattern):
                self.used.add(pattern)
                self.left_out.add("files", f"--exclude {pattern}")
                return False
        if self.files and not any(matches(path, pattern) for pattern in self.files):
            self.left_out.add("files", f"not of --files {' '.join(self.files)}")
            return False
        if path == self.table:
            return False
        name = path.rpartition("/")[2].lower()
        for pattern in TABLES:
            if fnmatchcase(name, pattern):
                self.tables[pattern] += 1
                return False
        for pattern in SIDE_FILES:
            if fnmatchcase(name, pattern):
                self.left_out.add("files", f"{pattern}, known side files")
                return False
        return True

    @property
    def names_text(self) -> bool:
        """Whether the user has named text files, which else count only where there is nothing else."""
        return any(pattern.lower().endswith(".txt") for pattern in self.files)

    def leave_tables(self) -> None:
        """Count the files that might have labelled recordings and have not."""
        for pattern, count in self.tables.items():
            self.left_out.add("files", f"{pattern}, known side files", count)

    def say_unused(self) -> None:
        """Note the patterns of `exclude` that matched nothing: they may be misspelt."""
        for pattern in self.exclude:
            if pattern not in self.used:
                self.left_out.say(f"--exclude {pattern} matches no file")
