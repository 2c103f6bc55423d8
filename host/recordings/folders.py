"""Folders of recordings: files, class folders, splits of class folders. No file is opened for the list.

==============================  ==========================================================================
``folder/*``                    recordings without labels
``folder/<class>/*``            a labelled set: classes by number where all folders are numbers, else by name
``folder/<split>/<class>/*``    the same in parts; splits are called train, val, validation, test
==============================  ==========================================================================
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.readout import check_label
from feast_codegen.host.recordings.events import Label
from feast_codegen.host.recordings.file_choice import FileChoice
from feast_codegen.host.recordings.readers import SUFFIXES

SPLITS: Final = ("train", "val", "validation", "test")
_SPLIT_AT_END: Final = re.compile(rf".+[-_ ]({'|'.join(SPLITS)})")
_MOST_DIGITS: Final = 18
"""Of a class number: more do not fit into 64 bits."""
_EXPECTED: Final = f"expected event files, <class>/* or <{'|'.join(SPLITS)}>/<class>/*"


@dataclass(frozen=True)
class Listing:
    """Recordings of a folder, in the order of their classes and names."""

    paths: tuple[str, ...] = field(repr=False)
    """Below the folder, with ``/``."""
    names: tuple[str, ...] = field(repr=False)
    """The same, with the split in the place of its folder."""
    labels: tuple[Label | None, ...] = field(repr=False)
    splits: tuple[str, ...] = ()
    """Names that the names begin with, in the order of the recordings."""


def list_folder(root: Path, choice: FileChoice) -> Listing:
    """The recordings of a folder.

    Raises FeastError if there are none, if files lie beside class folders, or if a folder cannot be a class.
    """
    top = _Folder(root, "", choice)
    splits = _splits(root, top)
    if splits:
        if top.recordings:
            folders = ", ".join(splits.values())
            raise FeastError(
                f"{root / top.recordings[0]}: lies beside the folders {folders}; "
                f"move it, or --exclude {top.recordings[0]!r} leaves it out"
            )
        for name in set(top.folders) - set(splits.values()):
            choice.left_out.add("folders", f"beside the splits {', '.join(splits)}", where=str(root / name))
        parts = {split: _Part(root, f"{name}/", choice) for split, name in splits.items()}
    else:
        parts = {"": _Part(root, "", choice, top)}
    if not any(part.has_recordings for part in parts.values()):
        for part in parts.values():
            part.take_texts()
    found = {split: part.recordings() for split, part in parts.items() if part.has_recordings}
    choice.say_unused()
    if not found:
        raise FeastError(f"{root}: no recordings; {_seen(parts, choice)}{_EXPECTED}")
    for split in parts.keys() - found.keys():
        choice.left_out.add("folders", "splits without recordings", where=str(root / splits[split]))
    return _listing(root, splits, found)


def find_split(root: Path, split: str) -> str | None:
    """Name of the folder of a split in any case, e.g. ``Train``, as tonic spells it."""
    names = sorted(each.name for each in os.scandir(root) if each.is_dir()) if root.is_dir() else []
    return next((name for name in names if name.lower() == split), None)


class _Folder:
    """Files of one folder that may be recordings, and its folders."""

    def __init__(self, root: Path, inside: str, choice: FileChoice) -> None:
        self.inside = inside
        self.recordings: list[str] = []
        self.texts: list[str] = []
        self.others: Counter[str] = Counter()
        """Files of other formats by the end of their names."""
        self.folders: list[str] = []
        with os.scandir(root / inside) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            is_folder = entry.is_dir()
            if not choice.is_visible(entry.name, is_folder):
                continue
            path = inside + entry.name
            if is_folder:
                self.folders.append(entry.name)
            elif not entry.is_file():
                choice.left_out.add("files", "neither files nor folders (pipes, links that lead nowhere)")
            elif choice.takes(path):
                self._sort_in(path, entry, choice)

    def _sort_in(self, path: str, entry: os.DirEntry[str], choice: FileChoice) -> None:
        suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - a Path for each of many files costs
        if entry.stat().st_size == 0:
            choice.left_out.add("files", "empty")
        elif suffix == ".txt" and not choice.names_text:
            self.texts.append(path)
        elif suffix in SUFFIXES:
            self.recordings.append(path)
        else:
            self.others[suffix or "without an end"] += 1

    @property
    def is_empty(self) -> bool:
        return not (self.recordings or self.texts or self.others or self.folders)


class _Part:
    """A folder of recordings or of class folders: the whole, or one split."""

    def __init__(self, root: Path, inside: str, choice: FileChoice, top: _Folder | None = None) -> None:
        self._root, self._choice = root, choice
        self.top = top or _Folder(root, inside, choice)
        self.classes = [_Folder(root, f"{inside}{name}/", choice) for name in self.top.folders]

    @property
    def folders(self) -> list[_Folder]:
        return [self.top, *self.classes]

    @property
    def has_recordings(self) -> bool:
        return any(folder.recordings for folder in self.folders)

    def take_texts(self) -> None:
        """Text files are recordings where there are no others."""
        for folder in self.folders:
            folder.recordings, folder.texts = folder.texts, []

    def recordings(self) -> list[list[str]]:
        """Paths by class folder, or one list of the folder's own. Raises FeastError where they are mixed."""
        classes = [folder for folder in self.classes if folder.recordings]
        self._check(classes)
        for folder in self.folders:
            for suffix, count in folder.others.items():
                self._choice.left_out.add(
                    "files", f"no recordings by the end of their names ({suffix})", count
                )
            if folder.texts:
                self._choice.left_out.add(
                    "files", ".txt beside recordings of other formats (--files '*.txt')", len(folder.texts)
                )
        for folder in classes:
            if folder.folders:
                self._choice.left_out.add("folders", "inside class folders", len(folder.folders))
        return [folder.recordings for folder in classes] if classes else [self.top.recordings]

    def _check(self, classes: Sequence[_Folder]) -> None:
        loose = self.top.recordings
        if loose and classes:
            more = f" and {len(loose) - 1} more" if len(loose) > 1 else ""
            raise FeastError(
                f"{self._root / loose[0]}{more}: beside class folders ({_listed(classes)}); move it, "
                f"or leave it out with --exclude {loose[0]!r}"
            )
        for folder in self.classes:
            if folder.recordings or folder.is_empty:
                continue
            if not classes:
                self._choice.left_out.add("folders", "without recordings", where=folder.inside)
                continue
            raise FeastError(
                f"{self._root / folder.inside}: a folder without recordings among class folders: "
                f"{_contents(folder)}; leave it out with --exclude '{folder.inside}*', supported: "
                f"{' '.join(SUFFIXES)}"
            )


def _splits(root: Path, top: _Folder) -> dict[str, str]:
    """Folders of splits by the split's name: called so in any case, or all ending so (n-cars_train).

    Folders that end so and hold recordings themselves are classes.
    """
    found: dict[str, str] = {}
    exact = [(name.lower(), name) for name in top.folders if name.lower() in SPLITS]
    ends = [(match[1], name) for name in top.folders if (match := _SPLIT_AT_END.fullmatch(name.lower()))]
    if not exact and len(ends) == len(top.folders) > 1 and not top.recordings:
        exact = [] if any(_holds_recordings(root / name) for name in top.folders) else ends
    for split, name in sorted(exact, key=lambda each: SPLITS.index(each[0])):
        if split in found:
            raise FeastError(f"two folders for the split {split}: {found[split]}, {name}; leave one out")
        found[split] = name
    return found


def _holds_recordings(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.name.lower().endswith(SUFFIXES) and entry.is_file() for entry in entries)


def _listing(root: Path, splits: Mapping[str, str], found: Mapping[str, list[list[str]]]) -> Listing:
    """All recordings by split, class and name, with labels of one kind."""
    by_class = [
        (split, _class_name(root, f"{splits[split]}/" if split else "", files), files)
        for split, part in found.items()
        for files in part
    ]
    numbered = are_numbers(name for _, name, _ in by_class if name is not None)
    order = list(found)
    paths, names, labels = list[str](), list[str](), list[Label | None]()
    for split, name, files in sorted(
        by_class,
        key=lambda each: (order.index(each[0]), len(each[1] or "") if numbered else 0, each[1] or ""),
    ):
        folder = splits.get(split, split)
        paths += files
        names += files if folder == split else [split + each[len(folder) :] for each in files]
        labels += [int(name) if numbered and name is not None else name] * len(files)
    return Listing(tuple(paths), tuple(names), tuple(labels), tuple(split for split in found if split))


def _class_name(root: Path, inside: str, files: Sequence[str]) -> str | None:
    """What a class is called by its folder: composed, as file systems differ in how they keep accents."""
    folder = files[0].rpartition("/")[0]
    if len(folder) < len(inside):
        return None
    name = unicodedata.normalize("NFC", folder[len(inside) :])
    return check_label(name, f"{root / folder}: the name of its folder") if name else None


def are_numbers(names: Iterable[str]) -> bool:
    """Whether all classes are called by numbers, which they then keep as labels."""
    return all(name.isascii() and name.isdigit() and len(name) <= _MOST_DIGITS for name in names)


def _listed(folders: Sequence[_Folder], most: int = 3) -> str:
    names = [folder.inside.rstrip("/") for folder in folders]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _contents(folder: _Folder) -> str:
    others = folder.others + Counter({".txt": len(folder.texts)} if folder.texts else {})
    files = [f"{count} files {suffix}" for suffix, count in sorted(others.items())]
    folders = [f"{len(folder.folders)} folders"] if folder.folders else []
    return "it holds " + ", ".join([*files, *folders])


def _seen(parts: Mapping[str, _Part], choice: FileChoice) -> str:
    """What there is instead of recordings, for the error."""
    inner = [folder for part in parts.values() for folder in part.classes]
    top = [part.top for part in parts.values() if part.top.others]
    folders = [folder for folder in [*top, *inner] if not folder.is_empty]
    seen = [f"{folder.inside or '.'}: {_contents(folder)}" for folder in folders[:2]]
    lines = [*seen, *choice.left_out.lines()]
    return "".join(f"{line}; " for line in lines)
