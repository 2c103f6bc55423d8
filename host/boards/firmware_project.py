"""The firmware project beside the user's models: laid out, brought up to date, never mixed with another."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.resources import resource

PROJECT: Final = Path("firmware")
"""The firmware project, relative to the current folder: a checkout has it, elsewhere it is laid out."""

_SHIPPED: Final = ("src", "platforms", "platformio.ini")
"""platformio.ini is written last: it marks the project as complete."""
_RECORD: Final = ".codegen.json"
"""In a project that was laid out: the sha256 of each file as it was shipped."""
_PLATFORM: Final = "platforms/feastcortex"
"""What a platformio.ini of ours names."""


def prepare_project(project_dir: Path) -> None:
    """Lay out the firmware project that ships with codegen, or bring one laid out earlier up to date.

    Files that were not touched since are replaced or removed; a project that codegen did not lay out, such as
    that of a checkout, is left as it is. Raises FeastError if the folder holds another project, if a file
    that would be written is neither absent nor as codegen left it, or if the folder cannot be written.
    """
    if check_project(project_dir):
        return
    recorded = _recorded(project_dir)
    shipped = _shipped()
    try:
        _update(project_dir, shipped, recorded or {})
    except OSError as error:
        raise FeastError(f"{project_dir}: cannot lay out the firmware: {error.strerror or error}") from None


def _shipped() -> dict[str, bytes]:
    """Content of each file that ships, by its path in the project."""
    root = resource("firmware")
    paths = [path for name in _SHIPPED for path in (root / name, *sorted((root / name).rglob("*")))]
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }


def _update(project_dir: Path, shipped: dict[str, bytes], recorded: dict[str, str]) -> None:
    record = {name: _digest(content) for name, content in shipped.items()}
    stale = {name for name in recorded.keys() | record.keys() if recorded.get(name) != record.get(name)}
    for name in sorted(stale):
        held = _held(project_dir / name)
        if held not in (None, recorded.get(name), record.get(name)):
            raise FeastError(
                f"{project_dir / name}: not as codegen laid it out, and this version would replace it: "
                f"move {project_dir} away, then carry your change over"
            )
    for name in (name for name in shipped if name in stale):  # in their order: platformio.ini last
        target = project_dir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        partial.write_bytes(shipped[name])
        partial.replace(target)  # whole or not at all: a change is not mistaken for an interrupted write
    for name in stale - shipped.keys():
        (project_dir / name).unlink(missing_ok=True)
    if stale:
        (project_dir / _RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _recorded(project_dir: Path) -> dict[str, str] | None:
    """What was laid out, None where nothing was. Raises FeastError if the record cannot be read."""
    path = project_dir / _RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in record.items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError):
        raise FeastError(f"{path}: damaged: move {project_dir} away, codegen creates it again") from None


def check_project(project_dir: Path) -> bool:
    """Whether the folder holds our project and codegen did not lay it out, as in a checkout.

    Raises FeastError if it holds another PlatformIO project. Nothing is written.
    """
    path = project_dir / "platformio.ini"
    if _recorded(project_dir) is not None or not path.is_file():
        return False
    if _PLATFORM not in path.read_text(encoding="utf-8", errors="replace"):
        raise FeastError(
            f"{path}: another PlatformIO project: run codegen in a folder without {project_dir}, "
            f"and take the emitted library into yours (codegen emit -o)"
        )
    return True


def _held(path: Path) -> str | None:
    return _digest(path.read_bytes()) if path.is_file() else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
