"""The demo: how it divides a source, and the whole chain on a small one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import feast_codegen.host.boards.run
from feast_codegen.host.cli import demo
from feast_codegen.host.cli.app import execute
from feast_codegen.host.recordings.open import open_source


def test_held_out_recordings_are_not_learned_from_and_spread_over_classes() -> None:
    source = open_source("sim:digits?count=200")
    parts = demo.divide(source)
    assert not set(parts.learn.names) & set(parts.held.names)
    assert set(parts.learn.names) | set(parts.held.names) == set(source.names)
    assert len(parts.held) == 20
    assert max(Counter(parts.held.labels).values()) <= 3


def test_splits_of_a_folder_are_kept(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for digit in ("0", "1"):
            (tmp_path / split / digit).mkdir(parents=True)
            (tmp_path / split / digit / f"{split}.bin").write_bytes(bytes([1, 1, 128, 0, 0]))
    parts = demo.divide(open_source(str(tmp_path)))
    assert {Path(name).name for name in parts.learn.names} == {"train.bin"}
    assert {Path(name).name for name in parts.held.names} == {"test.bin"}


def test_groups_are_held_out_as_a_whole() -> None:
    bars = open_source("sim:bars?count=40")
    source = replace(bars, groups=tuple(str(index // 8) for index in range(40)))
    parts = demo.divide(source)
    assert not set(parts.learn.groups) & set(parts.held.groups)
    assert (len(parts.learn), len(parts.held)) == (32, 8)
    alone = demo.divide(replace(bars, groups=("one",) * 40))
    assert len(alone.learn) == len(alone.held) == 40


def test_one_recording_is_learned_from_and_shown() -> None:
    parts = demo.divide(open_source("sim:bars?count=1"))
    assert parts.learn.names == parts.held.names


@pytest.mark.parametrize("source", ["nowhere", "sim:clouds"])
def test_bad_source_is_one_line(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["demo", source, "-o", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("codegen: error: ") and printed.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.firmware
def test_whole_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["demo", "sim:digits?count=80", "-o", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    for part in (
        "miss rate",
        "float features",
        "raw events",
        "no difference between C and twin",
        "bit-exact",
    ):
        assert part in printed.out
    assert printed.out.rstrip().endswith(str(tmp_path / "report.html"))
    assert (tmp_path / "model.npz").is_file() and (tmp_path / "feast" / "include" / "feast.h").is_file()
    page = (tmp_path / "report.html").read_text()
    assert "emulated by QEMU, not silicon" in page and "What the features are worth" in page


@pytest.mark.firmware
def test_a_wrong_device_fails_the_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = feast_codegen.host.boards.run.Twin.step

    def dishonest(self: Any, events: Any) -> Any:
        results = honest(self, events)
        results[0] = -1
        return results

    monkeypatch.setattr(
        feast_codegen.host.boards.run,
        "Twin",
        type("Twin", (feast_codegen.host.boards.run.Twin,), {"step": dishonest}),
    )
    assert execute(["demo", "sim:bars?count=1", "-o", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "NOT EQUAL." in printed and "event 0: device feature" in printed
    assert "DIFFERENT" in (tmp_path / "report.html").read_text()
