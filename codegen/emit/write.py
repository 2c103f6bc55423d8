"""The only module that writes emitted files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.temporary import folder_lock
from feast_codegen.codegen.emit.render import MANIFEST


@dataclass(frozen=True)
class Emission:
    """What `write` did, paths relative to the folder."""

    folder: Path
    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]


def write(files: dict[str, str], folder: Path) -> Emission:
    """Make `folder` hold exactly `files`, leaving unchanged ones untouched.

    Files of an earlier emission that are no longer part of it are removed, by its manifest. A folder
    that holds anything else is refused, so that a mistyped -o cannot mix the library into other
    sources. All new texts are written beside their targets first, then moved into place.

    Raises FeastError if the folder is foreign or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise FeastError(f"{folder}: is a file, expected a folder for the library")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with folder_lock(folder):
            return _write(files, folder)
    except OSError as error:
        raise FeastError(f"{folder}: cannot write the library: {error.strerror or error}") from None


def _write(files: dict[str, str], folder: Path) -> Emission:
    earlier = _earlier(folder)
    stale = sorted(earlier - set(files))
    changed = [path for path, text in files.items() if _text(folder / path) != text]
    partials = {path: folder / (path + ".partial") for path in changed}
    try:
        for path, partial in partials.items():
            partial.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(files[path], encoding="utf-8", newline="\n")
        # The manifest goes last: until then the folder still names what it holds.
        for path in sorted(changed, key=lambda name: name == MANIFEST):
            partials[path].replace(folder / path)
        for path in stale:
            (folder / path).unlink(missing_ok=True)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
    unchanged = tuple(path for path in files if path not in partials)
    return Emission(folder, tuple(changed), unchanged, tuple(stale))


def _foreign(path: Path) -> bool:
    """Whether `path` cannot be what an interrupted emission left."""
    return not path.is_dir() and path.suffix != ".partial"


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _earlier(folder: Path) -> set[str]:
    """Files that the manifest in `folder` names; empty for a new or empty folder."""
    text = _text(folder / MANIFEST)
    if text is None:
        if folder.is_dir() and any(_foreign(path) for path in folder.rglob("*")):
            raise FeastError(f"{folder}: not empty and not an emitted library: choose another folder with -o")
        return set()
    try:
        names = set(json.loads(text)["files"]) | {MANIFEST}
    except (ValueError, KeyError, TypeError):
        raise FeastError(f"{folder / MANIFEST}: not a manifest of an emitted library") from None
    inside = folder.resolve()
    if not all(isinstance(n, str) and (inside / n).resolve().is_relative_to(inside) for n in names):
        raise FeastError(f"{folder / MANIFEST}: names files outside its folder")
    return names
