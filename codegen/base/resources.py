"""Finds the files that ship beside the code: templates, boards.yaml and the firmware project.

In a checkout they lie at the top level; in an installed wheel in feast_codegen/_resources.
"""

from __future__ import annotations

from pathlib import Path

from feast_codegen.codegen.base.errors import FeastError

_HOME = Path(__file__).resolve().parents[2]


def resource(name: str) -> Path:
    """Path of a shipped file or folder, e.g. ``resource("boards.yaml")``.

    Raises FeastError if the installation lacks it.
    """
    for root in (_HOME / "_resources", _HOME):
        candidate = root / name
        if candidate.exists():
            return candidate
    raise FeastError(f"{name} is missing from this installation of codegen: reinstall it")
