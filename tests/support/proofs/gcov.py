"""Which lines and branches of the emitted C a script leaves out, measured by gcov."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.proofs.driver import SOURCE, drive, write_library
from tests.support.waiting import LIMIT_S


def uncovered(files: dict[str, str], script: bytes, folder: Path) -> list[str]:
    """``file: statement`` of each line never taken, ``file: statement (branch)`` of each way out."""
    sources = write_library(files, folder)
    objects = []
    for source in (str(SOURCE), *sources):
        objects.append(f"{Path(source).stem}.o")
        command = ["gcc", "-std=c11", "-O0", "--coverage", f"-I{folder / 'include'}", "-c", source]
        subprocess.run([*command, "-o", objects[-1]], check=True, cwd=folder, timeout=LIMIT_S)
    program = folder / "program"
    subprocess.run(["gcc", "--coverage", "-o", program, *objects], check=True, cwd=folder, timeout=LIMIT_S)
    assert drive(program, script).returncode == 0
    lines: Counter[tuple[str, int]] = Counter()
    branches: Counter[tuple[str, int, int]] = Counter()
    for source in sources:
        for file in _report(Path(source).with_suffix(".gcda").name, folder):
            name = Path(file["file"]).name
            for line in file["lines"]:
                at = (name, line["line_number"])
                lines[at] += line["count"]
                for index, branch in enumerate(line["branches"]):
                    branches[*at, index] += branch["count"]
    texts = {Path(path).name: text.splitlines() for path, text in files.items()}
    missed = {
        f"{name}: {texts[name][number - 1].strip()}" for (name, number), count in lines.items() if not count
    }
    missed |= {
        f"{name}: {texts[name][number - 1].strip()} (branch {index})"
        for (name, number, index), count in branches.items()
        if not count and lines[name, number]
    }
    assert lines and branches
    return sorted(missed)


def _report(data: str, folder: Path) -> list[dict[str, Any]]:
    """Per source file of one object: lines with their branches. Headers of the system are left out."""
    if not (folder / data).exists():
        return []  # tables: no code
    done = subprocess.run(
        ["gcov", "--json-format", "--stdout", "--branch-probabilities", data],
        check=True,
        capture_output=True,
        cwd=folder,
        timeout=LIMIT_S,
    )
    files: list[dict[str, Any]] = json.loads(done.stdout)["files"]
    return [file for file in files if not file["file"].startswith("/usr")]
