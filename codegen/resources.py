"""Finds the files that ship beside the code: templates, boards.yaml and the firmware project.

In a checkout they lie at the top level; in an installed wheel inside this package.
"""

from __future__ import annotations

from pathlib import Path

from codegen.errors import FeastError

_PACKAGE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """Path of a shipped file or folder, e.g. ``resource("boards.yaml")``.

    Raises FeastError if the installation lacks it.
    """
    for root in (_PACKAGE / "_resources", _PACKAGE.parent):
        candidate = root / name
        if candidate.exists():
            return candidate
    raise FeastError(f"{name} is missing from this installation of codegen: reinstall it")
