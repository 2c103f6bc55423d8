"""Runs cppcheck's MISRA C:2012 addon over C; leaves what no comment and no plan explains."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.proofs.driver import write_library
from tests.support.waiting import LIMIT_S

PLAN = ROOT / "docs" / "develop" / "verification.md"
_ROW = re.compile(r"^\| (\d+\.\d+) \| disapplied \|", re.MULTILINE)
_FINDING = re.compile(r"(.+):(\d+):(\w+):(misra-c2012-)?(\S+)")
_DEVIATION = re.compile(r"/\* cppcheck-suppress misra-c2012-([\d.]+) ; (\S.*) \*/")


@dataclass(frozen=True, order=True)
class Finding:
    """A rule of MISRA C:2012, or what else cppcheck calls an error, and the statement that breaks it."""

    rule: str
    file: str
    statement: str


def disapplied() -> set[str]:
    """Advisory rules that the guideline re-categorisation plan in docs/develop/verification.md disapplies."""
    return set(_ROW.findall(PLAN.read_text(encoding="utf-8")))


@cache
def _unchecked() -> set[str]:
    """Rules that this cppcheck cannot check: from 2.11 on a function's definition counts as a use of it."""
    said = subprocess.run(["cppcheck", "--version"], check=True, capture_output=True, text=True).stdout
    version = re.search(r"(\d+)\.(\d+)", said)
    assert version, said
    return {"8.7"} if (int(version[1]), int(version[2])) >= (2, 11) else set()


def findings(files: dict[str, str], folder: Path, *, deviations: bool = True) -> set[Finding]:
    """What `check` finds in an emitted library, which is written to `folder`."""
    sources = write_library(files, folder)
    return check(sources, [f"-I{folder / 'include'}"], deviations=deviations)


def check(sources: Iterable[str | Path], flags: Iterable[str], *, deviations: bool = True) -> set[Finding]:
    """What the addon finds of rules that apply; with `deviations`, without what comments explain.

    flags: include folders and definitions. With definitions nothing else is defined, without every #if is
    followed.
    """
    # From version 2.11 on what the addon finds is of style, as is much that is no rule.
    command = ["cppcheck", "--addon=misra", "--enable=style", "--std=c11", "--quiet"]
    command += ["--template={file}:{line}:{severity}:{id}"]
    command += [f"--suppress=misra-c2012-{rule}" for rule in sorted(disapplied() | _unchecked())]
    command += ["--inline-suppr"] if deviations else []
    done = subprocess.run(
        [*command, *flags, *sources],
        check=True,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    found = set()
    for said in done.stderr.splitlines():
        match = _FINDING.fullmatch(said)
        assert match, done.stderr
        path, line, severity, misra, rule = match.groups()
        if not misra and severity != "error":
            continue
        statement = Path(path).read_text(encoding="utf-8").splitlines()[int(line) - 1].strip()
        found.add(Finding(rule, Path(path).name, statement))
    return found


def commented(files: dict[str, str]) -> set[Finding]:
    """The findings that deviation comments explain, each on the line above."""
    found = set()
    for path, text in files.items():
        lines = text.splitlines()
        for comment, statement in pairwise(lines):
            if "cppcheck-suppress" in comment:
                match = _DEVIATION.fullmatch(comment.strip())
                assert match, f"{path}: a deviation gives its rule and a reason: {comment}"
                if match[1] in _unchecked():
                    continue
                found.add(Finding(match[1], Path(path).name, statement.strip()))
    return found
