"""No word that the project has ruled out stands in code, templates or documents."""

from __future__ import annotations

import pytest

from tests.support.english import RULED_OUT, files, findings
from tests.support.paths import ROOT


def test_no_ruled_out_words() -> None:
    looked_at = files()
    assert {"README.md", "templates/package/feast.c.j2", "host/monitor/page/monitor.js"} <= {
        path.relative_to(ROOT).as_posix() for path in looked_at
    }
    found = [
        f"{path.relative_to(ROOT)}:{line}: {words!r}: write {instead}"
        for path in looked_at
        for line, words, instead in findings(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("The link is opened anew.", 1),
        ("A cost foretold", 1),
        ("x = 1\n# losses are mended here", 2),
        ("its cell is deaf for so long", 1),
        ("Whatever arrives", 1),
        ("the host is told so", 1),
        ("all are so\n * long; see", 1),
        ("the decoder is\n// in step after it", 1),
        ("The law says 2 %", 1),
        ("## What is taken for what", 1),
        ("## What each stage is worth", 1),
        ("a data set not to be had", 1),
        ("Of two layers, the lower one", 1),
    ],
)
def test_ruled_out_words_are_found(text: str, line: int) -> None:
    """Also in capitals, and where a line, with its comment's mark, ends inside of a phrase."""
    assert line in [at for at, _, _ in findings(text)]


@pytest.mark.parametrize(
    "text", ["for word in step:", "recommended", "amend", "so long as it runs", "we told nobody", "manewe"]
)
def test_other_words_pass(text: str) -> None:
    assert not list(findings(text))


def test_each_entry_says_what_to_write() -> None:
    assert all(RULED_OUT.values())
