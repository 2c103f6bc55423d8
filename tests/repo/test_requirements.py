"""requirements/ locks, by hash, everything that pyproject.toml asks for, for every Python and system."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.licences import LOCKS, ROOT, canonical

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENTRY = re.compile(
    r"^([a-z0-9-]+)==([^ ;]+)(?: ; [^\\]+)?((?: \\\n +--hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE
)


def versions(lock: Path) -> dict[str, set[Version]]:
    """Locked versions by name; several where Pythons differ."""
    found: dict[str, set[Version]] = {}
    for name, version, _ in ENTRY.findall(lock.read_text(encoding="utf-8")):
        found.setdefault(name, set()).add(Version(version))
    return found


def asked(extra: str) -> list[Requirement]:
    """Direct dependencies with an extra, those of the extras that it names included."""
    found = [Requirement(line) for line in PROJECT["dependencies"]] if extra == "" else []
    for line in PROJECT["optional-dependencies"].get(extra, ()):
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            found += [each for name in requirement.extras for each in asked(name)]
        else:
            found.append(requirement)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_nothing_but_pinned_versions_with_their_hashes(lock: Path) -> None:
    """No index, no address, no path of a machine: pip takes the packages from the index it is set to."""
    left = ENTRY.sub("", lock.read_text(encoding="utf-8")).split("\n")
    assert [line for line in left if line and not line.startswith("#")] == []
    assert "/" not in lock.read_text(encoding="utf-8").replace("./run lock", "")


@pytest.mark.parametrize("extra", ["test", "dev"])
def test_the_lock_is_up_to_date(extra: str) -> None:
    """Else `./run lock` was forgotten."""
    locked = versions(ROOT / "requirements" / f"{extra}.txt")
    for requirement in asked("") + asked(extra):
        found = locked.get(canonical(requirement.name), set())
        assert found, f"{requirement} is not locked"
        assert all(version in requirement.specifier for version in found), f"{requirement}: locked {found}"


def test_the_locks_agree() -> None:
    build, test, dev = (versions(lock) for lock in LOCKS)
    assert test.items() <= dev.items()
    assert all(test.get(name, found) == found for name, found in build.items())
    assert canonical(Requirement(PROJECT["name"]).name) not in dev
