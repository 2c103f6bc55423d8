"""Runs cppcheck's MISRA C:2012 addon over C; leaves what no comment and no plan explains."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.proofs.driver import write_library

PLAN = Path(__file__).parents[2] / "docs" / "proofs.md"
_ROW = re.compile(r"^\| (\d+\.\d+) \| disapplied \|", re.MULTILINE)
_FINDING = re.compile(r"(.+):(\d+):(?:misra-c2012-)?(\S+)")
_DEVIATION = re.compile(r"/\* cppcheck-suppress misra-c2012-([\d.]+) ; (\S.*) \*/")
_LIMIT_S = 120


@dataclass(frozen=True, order=True)
class Finding:
    """A rule of MISRA C:2012, or what else cppcheck calls an error, and the statement that breaks it."""

    rule: str
    file: str
    statement: str


def disapplied() -> set[str]:
    """Advisory rules that the guideline re-categorisation plan in docs/proofs.md disapplies."""
    return set(_ROW.findall(PLAN.read_text(encoding="utf-8")))


def findings(files: dict[str, str], folder: Path, *, deviations: bool = True) -> set[Finding]:
    """What `check` finds in an emitted library, which is written to `folder`."""
    sources = write_library(files, folder)
    return check(sources, [f"-I{folder / 'include'}"], deviations=deviations)


def check(sources: Iterable[str | Path], flags: Iterable[str], *, deviations: bool = True) -> set[Finding]:
    """What the addon finds of rules that apply; with `deviations`, without what comments explain.

    flags: include folders and definitions. With definitions nothing else is defined, without every #if is
    followed.
    """
    command = ["cppcheck", "--addon=misra", "--std=c11", "--quiet", "--template={file}:{line}:{id}"]
    command += [f"--suppress=misra-c2012-{rule}" for rule in sorted(disapplied())]
    command += ["--inline-suppr"] if deviations else []
    done = subprocess.run(
        [*command, *flags, *sources],
        check=True,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
    )
    found = set()
    for said in done.stderr.splitlines():
        match = _FINDING.fullmatch(said)
        assert match, done.stderr
        path, line, rule = match.groups()
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
                found.add(Finding(match[1], Path(path).name, statement.strip()))
    return found
