"""Words that the project does not use in code, templates and documents.

``python -m tests.support.english`` prints each occurrence as ``file:line: word: write ...`` and exits with 1
if there is one. `./run lint` runs it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

SUFFIXES = {".py", ".j2", ".c", ".h", ".md", ".html", ".js"}
GENERATED = "tests/emitted/golden/"
"""Made from the templates, which are looked at."""
EXEMPT = {"CHANGELOG.md", "tests/support/english.py", "tests/repo/test_english.py"}
"""The history stays as it was written; the two files of this check name the words."""
_BE = r"(?:am|is|are|was|were|be|been|being)"

RULED_OUT: dict[str, str] = {
    r"\banew\b": "again, or reset",
    r"\bforetold\b": "predicted",
    r"\bmend(?:s|ed|ing)?\b": "recover, fix, repair",
    r"\bso long\b(?! as\b)": "for this many microseconds, so large that",
    r"\bwhatever\b": "any, for any, regardless of",
    r"\bdeaf\b": "ignores, silent",
    rf"\b(?:{_BE}|unless|or) told\b": "gets, is given, knows",
    r"\btold (?:apart|by|from)\b": "distinguished, recognised",
    rf"\b(?:{_BE}|stays?|keeps?|again|a reader|kept) in step\b": "synchronised",
    r"\bin step again\b": "synchronised again",
    r"\bthe law says\b": "expected steady-state miss rate",
    r"\bwhat is taken for what\b": "confusion matrix",
    r"\bwhat (?:each \w+|they are|it is) worth\b": "accuracy by stage, effect on accuracy",
    r"\bwhat each \w+ is worth\b": "accuracy by stage, effect on accuracy",
    r"\bnot to be had\b": "not available, not published",
    r"\blay of the land\b": "repository layout",
    r"\bhoped for\b": "missed targets",
    r"\berrors that read\b": "readable error messages",
    r"\bwaits that end\b": "bounded waits",
    r"\bit is the \w+ there that tells\b": "only the transient is informative",
    r"(?<=\w), please\.": "requests ...",
    r"\bbut for\b": "except for",
    r"\bof two layers,": "with two layers, ... (subject first)",
}
"""A regular expression, matched without regard to case, and what to write instead."""


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """Line from 1, words as found, and what to write instead. A phrase may be broken over two lines."""
    joined = re.sub(r"\n[ \t]*(?:#|\*|//)?[ \t]*", lambda found: "\n" + " " * (len(found[0]) - 1), text)
    flat = re.sub(r"\s", " ", joined)
    squeezed: list[str] = []
    at: list[int] = []
    for index, letter in enumerate(flat):  # runs of blanks become one, and places are remembered
        if letter != " " or not squeezed or squeezed[-1] != " ":
            squeezed.append(letter)
            at.append(index)
    prose = "".join(squeezed)
    for pattern, instead in RULED_OUT.items():
        for found in re.finditer(pattern, prose, re.IGNORECASE):
            yield joined.count("\n", 0, at[found.start()]) + 1, found[0].strip(), instead


def files() -> list[Path]:
    """What git tracks, or would if it were added, of the kinds that hold prose."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return sorted(
        ROOT / name
        for name in set(listed)
        if Path(name).suffix in SUFFIXES
        and name not in EXEMPT
        and not name.startswith(GENERATED)
        and (ROOT / name).is_file()
    )


def main() -> int:
    count = 0
    for path in files():
        for line, words, instead in findings(path.read_text(encoding="utf-8")):
            print(f"{path.relative_to(ROOT)}:{line}: {words!r}: write {instead}", file=sys.stderr)
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
