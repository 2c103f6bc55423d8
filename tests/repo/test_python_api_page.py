"""docs/reference/python-api.md says what the docstrings say, and its examples run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import feast_codegen
from tests.support.api_page import NEED_FIRMWARE, PAGE, SECTIONS, render, run_examples

QUICK = tuple(name for name in SECTIONS if name not in NEED_FIRMWARE)


def test_the_page_is_written_from_the_docstrings() -> None:
    """After a change: UPDATE_GOLDEN=1 ./run test tests/repo/test_python_api_page.py; review the diff."""
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(render(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == render()


def test_every_public_function_has_a_section() -> None:
    functions = {name for name in feast_codegen.__all__ if name[0].islower()}
    assert functions | {"Feast", "HistogramClassifier"} == set(SECTIONS)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_examples(QUICK, {}) >= len(QUICK)


@pytest.mark.firmware
def test_the_examples_of_firmware_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = feast_codegen.train("sim:bars?count=4", features=4, radius=1)
    assert run_examples(NEED_FIRMWARE, {"model": model}) >= len(NEED_FIRMWARE)
