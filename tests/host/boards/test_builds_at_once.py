"""Builds in one folder at once, and ELFs that hold another network than the one that was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.boards.board import get_board
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.file import save_model
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.boards import build as building
from feast_codegen.host.boards import project_lock
from feast_codegen.host.boards.build import build, firmware_path
from feast_codegen.host.boards.identity import Identity, identity_of_firmware, require_identity
from feast_codegen.host.boards.platformio_env import platformio_environment
from feast_codegen.host.boards.project_lock import LOCK_FILE
from feast_codegen.host.boards.run import build_for_board, emit_for_board
from feast_codegen.host.cli.app import execute
from tests.support.firmware_project import needs_compiler
from tests.support.networks import make_model

pytestmark = [pytest.mark.firmware, needs_compiler]

BOARDS = ("mps2_an386", "mps2_an385")
LIMIT_S = 500


def models(folder: Path, count: int) -> dict[str, str]:
    """Model id by file name. All of one geometry: their build id is the same."""
    ids = {}
    for seed in range(count):
        model = make_model(features=3, radius=1, seed=seed)
        save_model(model, folder / f"{seed}.npz")
        ids[f"{seed}.npz"] = model.model_id
    return ids


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "feast_codegen", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**platformio_environment(), "PYTHONPATH": str(Path(__file__).parent.parent)},
    )


def outcome(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, json.loads(out) if out else {}, err


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.prove)])
def test_builds_in_one_folder_at_once_give_the_elf_that_each_asked_for(count: int, tmp_path: Path) -> None:
    ids = models(tmp_path, count)
    running = {
        (board, name): start(tmp_path, "build", "--board", board, name, "--json")
        for board in BOARDS
        for name in ids
    }
    elfs = set()
    for (board, name), process in running.items():
        code, values, err = outcome(process)
        assert code == 0, err
        assert (values["board"], values["model_id"]) == (board, ids[name])
        elf = tmp_path / values["elf"]
        assert identity_of_firmware(elf) == Identity(values["build_id"], ids[name])
        assert values["flash_bytes"] > 0 and values["ram_bytes"] > 0
        elfs.add(elf)
    assert len(elfs) == len(running), "each has an ELF of its own"
    (tmp_path / "alone").mkdir()
    code, alone, err = outcome(start(tmp_path / "alone", "build", "--board", BOARDS[1], "../1.npz", "--json"))
    assert code == 0, err
    beside = tmp_path / alone["elf"]
    assert beside in elfs and beside.read_bytes() == (tmp_path / "alone" / alone["elf"]).read_bytes()


@pytest.mark.prove
def test_plain_platformio_waits_for_a_build_and_gets_the_library_that_is_there(tmp_path: Path) -> None:
    ids = models(tmp_path, 2)
    board = BOARDS[0]
    assert outcome(start(tmp_path, "build", "--board", board, "0.npz", "--json"))[0] == 0
    ours = start(tmp_path, "build", "--board", board, "1.npz", "--json")
    plain = [
        subprocess.Popen(
            [sys.executable, "-m", "platformio", "run", "-d", "firmware", "-e", board],
            cwd=tmp_path,
            env=platformio_environment(),
            stdout=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    code, values, err = outcome(ours)
    assert code == 0, err
    assert identity_of_firmware(tmp_path / values["elf"]) == Identity(values["build_id"], ids["1.npz"])
    for each in plain:
        each.wait(LIMIT_S)
    last = identity_of_firmware(firmware_path(get_board(board), tmp_path / "firmware"))
    assert last is not None and last.model_id in ids.values()


def test_an_elf_is_that_of_plain_platformio_and_carries_its_ids(tmp_path: Path) -> None:
    board = get_board(BOARDS[0])
    plan, built = build_for_board(make_model(features=3, radius=1), board, Options(), tmp_path / "firmware")
    assert built.identity == Identity(plan.ids.build, plan.ids.model)
    assert plan.ids.build in str(built.elf) and plan.ids.model[:16] in str(built.elf)
    left = firmware_path(board, tmp_path / "firmware")
    assert built.elf != left and built.elf.read_bytes() == left.read_bytes()
    again = build(board, tmp_path / "firmware")
    assert again == built
    require_identity(built.elf, Identity(plan.ids.build, plan.ids.model))
    with pytest.raises(FeastError, match=r"firmware\.elf: holds build .*, asked for was build .*: something"):
        require_identity(built.elf, Identity(plan.ids.build, "0" * 64))
    with pytest.raises(FeastError, match="not a readable firmware"):
        identity_of_firmware(tmp_path / "none.elf")


def test_a_build_that_gave_another_network_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: PlatformIO leaves the firmware of another model."""
    board, project = get_board(BOARDS[0]), tmp_path / "firmware"
    other = build_for_board(make_model(features=3, radius=1, seed=1), board, Options(), project)[1]
    monkeypatch.setattr(
        building,
        "_run_platformio",
        lambda _board, _project, _driver, log: log.parent.mkdir(exist_ok=True),
    )
    library = render(make_plan(quantise(make_model(features=3, radius=1, seed=2))[0], board, Options()))
    with pytest.raises(FeastError, match=r"mps2_an386.firmware\.elf: holds build .*, asked for was build"):
        build(board, project, library=library)
    own = project / ".pio" / "feast" / board.name
    assert list(own.rglob("firmware*")) == [other.elf], "nothing stands where ours belongs"


def test_a_library_that_changes_during_the_build_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: somebody writes to the library without asking for the lock."""
    board, project = get_board(BOARDS[0]), tmp_path / "firmware"
    honest = building._run_platformio

    def disturbed(*arguments: Any) -> None:
        honest(*arguments)
        (project / "lib" / "feast" / "src" / "feast.c").write_text("")

    monkeypatch.setattr(building, "_run_platformio", disturbed)
    with pytest.raises(FeastError, match=r"lib.feast: was changed during the build"):
        build_for_board(make_model(features=3, radius=1), board, Options(), project)


def test_who_waits_too_long_is_told_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "firmware"
    emit_for_board(make_model(features=3, radius=1), get_board(BOARDS[0]), Options(), project)
    monkeypatch.setattr(project_lock, "LIMIT_S", 0.2)
    monkeypatch.setattr(project_lock, "_SAID_S", 0.1)
    script = (
        "import sys; from pathlib import Path\n"
        "from feast_codegen.host.boards.project_lock import project_lock\n"
        "with project_lock(Path(sys.argv[1])): print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(project)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout and holder.stdin
        holder.stdout.readline()
        with pytest.raises(FeastError, match=rf"firmware: process {holder.pid} has been building"):
            emit_for_board(make_model(features=3, radius=1), get_board(BOARDS[0]), Options(), project)
        assert "waiting for another build in" in capsys.readouterr().err
        monkeypatch.chdir(tmp_path)
        save_model(make_model(features=3, radius=1), tmp_path / "m.npz")
        assert execute(["emit", "m.npz", "--board", BOARDS[0]]) == 2, "emission into the project waits too"
        holder.kill()  # the lock goes with its holder
    assert (project / LOCK_FILE).is_file()
    emit_for_board(make_model(features=3, radius=1), get_board(BOARDS[0]), Options(), project)
