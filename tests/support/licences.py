"""What the packages that the lock files name say about their licences, and which of them running needs."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.support.paths import ROOT

LOCKS = tuple(ROOT / "requirements" / name for name in ("build.txt", "test.txt", "dev.txt"))

NAMES = {
    "Any OSI licence": r"any-OSI",
    "MIT": r"MIT License|MIT-0|MIT-CMU|MIT",
    "BSD": r"BSD License|BSD|0BSD",
    "Apache-2.0": r"Apache Software License|Apache License|Apache",
    "ISC": r"ISC",
    "PSF-2.0": r"Python Software Foundation License|PSF",
    "Public domain": r"Public Domain|Public domain",
    "MPL-2.0": r"Mozilla Public License|MPL",
    "LGPL": r"GNU LESSER GENERAL PUBLIC LICENSE|LGPL",
    "GPL": r"GNU General Public License|GNU GENERAL PUBLIC LICENSE|GPL|gpl",
}
"""How licences are called by those who use them, the most demanding last."""


def canonical(name: str) -> str:
    """The name of a package as the lock files spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: Path) -> dict[str, str]:
    """Version by name; of a package with several versions, for different Pythons, the last."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def licence(package: metadata.Distribution) -> str | None:
    """The key of NAMES that a package falls under by its own words, None if they are unknown.

    Of an "and" the most demanding part, of an "or" the first.
    """
    fields = package.metadata
    classifiers = [line for line in fields.get_all("Classifier") or [] if line.startswith("License ::")]
    stated = fields.get("License-Expression") or " ".join(classifiers) or _first_line(fields.get("License"))
    if not _families(stated):
        texts = [
            file for file in package.files or () if re.search(r"licen[cs]e|copying", file.name, re.IGNORECASE)
        ]
        stated = next((_first_line(file.read_text()) for file in texts), "")
    found = _families(stated)
    if not found:
        return None
    return found[0] if " OR " in stated else found[-1]


def _first_line(text: str | None) -> str:
    return next((line.strip() for line in (text or "").splitlines() if line.strip(" -=")), "")


def _families(stated: str) -> list[str]:
    return [
        name for name, words in NAMES.items() if re.search(rf"(?<![A-Za-z])(?:{words})(?![a-z]{{2}})", stated)
    ]


def needed_to_run(root: str = "feast-codegen") -> set[str]:
    """Packages that `root` with the extra ``all`` brings along on this machine, by their metadata."""
    found: set[str] = set()
    waiting = [(root, ""), (root, "all")]
    while waiting:
        name, extra = waiting.pop()
        for line in metadata.distribution(name).requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                wanted = canonical(requirement.name)
                if wanted not in found:
                    found.add(wanted)
                    waiting += [(wanted, extra) for extra in ("", *requirement.extras)]
    return found
