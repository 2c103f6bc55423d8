"""`codegen doctor`: what it finds, what it concludes for each board, and what it tells to install."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from feast_codegen.codegen.boards.board import get_board, load_boards
from feast_codegen.host.boards import doctor, flash
from feast_codegen.host.boards.doctor import COMPILER, assess, examine
from feast_codegen.host.boards.emulator import QEMU
from feast_codegen.host.cli.app import execute

EVERYTHING = {"cc", COMPILER, QEMU, "openocd", "platformio", "scons", "pyocd", "python"}


def test_with_everything_every_board_can_be_built_and_run_or_flashed() -> None:
    for board in load_boards().values():
        state = assess(board, EVERYTHING.__contains__)
        assert state.build
        assert state.run == (board.qemu is not None)
        assert state.run or state.flash, board.name
        assert state.missing == ()
        assert state.flash == flash.methods(board)


@pytest.mark.parametrize(
    ("board", "absent", "build", "run", "flash", "missing"),
    [
        ("netduinoplus2", {COMPILER}, False, False, (), (COMPILER,)),
        ("netduinoplus2", {"scons"}, False, False, (), ("scons",)),
        ("netduinoplus2", {QEMU}, True, False, ("openocd", "pyocd"), (QEMU,)),
        ("netduinoplus2", {"openocd"}, True, True, ("pyocd",), ()),
        ("nrf52840dk", {"pyocd", "openocd"}, True, False, (), ("pyocd",)),
        ("nrf52840dk", {QEMU}, True, False, ("pyocd", "openocd"), ()),
        ("pico", {"pyocd", "openocd"}, True, False, ("uf2",), ()),
        ("mps2_an386", {"pyocd", "openocd"}, True, True, (), ()),
    ],
)
def test_conclusions(
    board: str, absent: set[str], build: bool, run: bool, flash: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    state = assess(get_board(board), (EVERYTHING - absent).__contains__)
    assert (state.build, state.run, state.flash, state.missing) == (build, run, flash, missing)


def test_what_is_there_is_found_and_what_is_not_comes_with_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = {tool.name: tool for tool in examine()}
    assert set(tools) == EVERYTHING
    assert tools["python"].version == ".".join(map(str, sys.version_info[:3]))
    assert tools["platformio"].version
    for name in (QEMU, "openocd"):
        assert (tools[name].version is not None) == (shutil.which(name) is not None)
    assert all(tool.install for name, tool in tools.items() if name != "python")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(flash.sys, "executable", str(tmp_path / "python"))
    bare = {tool.name: tool for tool in examine()}
    assert {name for name, tool in bare.items() if tool.version is None} >= {"cc", COMPILER, QEMU, "openocd"}
    assert "qemu-system-arm" in bare[QEMU].install


def test_a_tool_that_does_not_work_counts_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, script in ((QEMU, "exit 1"), (COMPILER, "echo libc.a")):  # broken; and without its C library
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(doctor, "find_program", lambda name: str(tmp_path / name))
    versions = {tool.name: tool.version for tool in examine()}
    assert versions[QEMU] is None
    assert versions[COMPILER] is None


def test_the_command_prints_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["doctor", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {board["name"] for board in answer["boards"]} == set(load_boards())
    assert set(answer["boards"][0]) == {"name", "build", "run", "flash", "missing"}
    assert set(answer["tools"][0]) == {"name", "purpose", "version", "install"}
    assert execute(["doctor"]) == 0
    text = capsys.readouterr().out
    for tool in answer["tools"]:
        assert tool["version"] or f"{tool['name']} is missing: {tool['install']}" in text
