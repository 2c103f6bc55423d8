"""docs/develop/licences.md names every locked package, under the licence that the package itself states."""

from __future__ import annotations

import re
from importlib import metadata

import pytest

from tests.support.licences import LOCKS, NAMES, ROOT, licence, locked, needed_to_run

LOCKED = set().union(*(locked(lock) for lock in LOCKS))


def table() -> dict[str, tuple[list[str], list[str]]]:
    """Packages by licence: needed to run, and the others."""
    text = (ROOT / "docs" / "develop" / "licences.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)[1:]
    return {name: (_names(running), _names(other)) for name, running, other in rows}


def _names(cell: str) -> list[str]:
    return [] if cell == "-" else cell.split(", ")


def test_every_locked_package_is_listed_once() -> None:
    listed = [name for row in table().values() for cell in row for name in cell]
    assert set(table()) == set(NAMES)
    assert sorted(listed) == sorted(LOCKED)


def test_packages_stand_under_the_licence_they_state() -> None:
    wrong = {}
    for name, cells in table().items():
        for package in (each for cell in cells for each in cell):
            try:
                stated = licence(metadata.distribution(package))
            except metadata.PackageNotFoundError:
                continue  # for other systems, other Pythons, or ./run lint alone
            if stated != name:
                wrong[package] = f"listed as {name}, states {stated}"
    assert not wrong


def test_what_running_needs_is_told_from_the_rest() -> None:
    running = {name for cells in table().values() for name in cells[0]}
    assert "tonic" in needed_to_run() <= running


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("License-Expression: BSD-3-Clause AND 0BSD AND MIT", "BSD"),
        ("License-Expression: MIT AND GPL-3.0-only", "GPL"),
        ("License-Expression: MIT OR Apache-2.0", "MIT"),
        ("License: LGPLv3.0", "LGPL"),
        ("License: Free for friends", None),
        ("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)", "GPL"),
    ],
)
def test_what_a_package_states(
    fields: str, found: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("site") / "a-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: a\nVersion: 1\n{fields}\n")
    assert licence(metadata.Distribution.at(folder)) == found
