"""The firmware project beside a user's models: laid out, brought up to date, never mixed with another."""

from __future__ import annotations

from pathlib import Path

import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.boards import firmware_project as firmware_project
from feast_codegen.host.boards.firmware_project import prepare_project


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What ships, small enough to change: an older codegen than the one each test ends with."""
    root = tmp_path / "shipped"
    (root / "src").mkdir(parents=True)
    (root / "platforms" / "feastcortex").mkdir(parents=True)
    (root / "src" / "main.c").write_text("int main(void);\n")
    (root / "src" / "old.c").write_text("int old;\n")
    (root / "platforms" / "feastcortex" / "platform.json").write_text("{}\n")
    (root / "platformio.ini").write_text("platform = symlink://${PROJECT_DIR}/platforms/feastcortex\n")
    monkeypatch.setattr(firmware_project, "resource", lambda _: root)
    return root


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".codegen.json"
    }


def test_lays_out_what_ships_and_then_leaves_it_alone(shipped: Path, tmp_path: Path) -> None:
    project = tmp_path / "work" / "firmware"
    prepare_project(project)
    assert contents(project) == contents(shipped)
    (project / "src" / "main.c").write_text("int mine;\n")
    (project / "src" / "extra.c").write_text("int extra;\n")
    prepare_project(project)
    assert contents(project)["src/main.c"] == "int mine;\n", "the same codegen takes nobody's change away"
    assert "src/extra.c" in contents(project)


def test_another_codegen_brings_it_up_to_date(shipped: Path, tmp_path: Path) -> None:
    project = tmp_path / "firmware"
    prepare_project(project)
    (project / "src" / "extra.c").write_text("int extra;\n")
    (shipped / "src" / "old.c").unlink()
    (shipped / "src" / "main.c").write_text("int main(void); /* newer */\n")
    (shipped / "src" / "new.c").write_text("int new;\n")
    prepare_project(project)
    assert contents(project) == contents(shipped) | {"src/extra.c": "int extra;\n"}
    prepare_project(project)
    assert contents(project) == contents(shipped) | {"src/extra.c": "int extra;\n"}


def test_a_change_of_the_users_is_not_overwritten(shipped: Path, tmp_path: Path) -> None:
    project = tmp_path / "firmware"
    prepare_project(project)
    (project / "src" / "main.c").write_text("int mine;\n")
    (shipped / "src" / "main.c").write_text("int main(void); /* newer */\n")
    (shipped / "src" / "old.c").write_text("int newer;\n")
    before = contents(project)
    with pytest.raises(FeastError, match=r"main\.c: not as codegen laid it out, and this version would"):
        prepare_project(project)
    assert contents(project) == before, "nothing is half updated"


def test_an_interrupted_layout_is_completed(shipped: Path, tmp_path: Path) -> None:
    project = tmp_path / "firmware"
    prepare_project(project)
    for name in (".codegen.json", "platformio.ini", "src/old.c"):
        (project / name).unlink()
    (project / "src" / "old.c.partial").write_text("int o")
    prepare_project(project)
    assert contents(project) == contents(shipped)


@pytest.mark.parametrize("laid_out", [False, True])
def test_a_file_of_the_users_is_not_overwritten(shipped: Path, tmp_path: Path, laid_out: bool) -> None:
    """Neither in a folder that is no project of ours, nor where a newer codegen ships a file of that name."""
    project = tmp_path / "firmware"
    if laid_out:
        prepare_project(project)
    (project / "src").mkdir(parents=True, exist_ok=True)
    (project / "src" / "link.c").write_text("int mine;\n")
    (shipped / "src" / "link.c").write_text("int link;\n")
    before = contents(project)
    with pytest.raises(FeastError, match=r"link\.c: not as codegen laid it out"):
        prepare_project(project)
    assert contents(project) == before


def test_a_checkout_is_left_as_it_is(shipped: Path, tmp_path: Path) -> None:
    project = tmp_path / "firmware"
    project.mkdir()
    (project / "platformio.ini").write_text("platform = symlink://${PROJECT_DIR}/platforms/feastcortex\n")
    prepare_project(project)
    assert list(contents(project)) == ["platformio.ini"]


def test_another_project_of_the_users_is_refused(shipped: Path, tmp_path: Path) -> None:
    project = tmp_path / "firmware"
    project.mkdir()
    (project / "platformio.ini").write_text("[env:uno]\nplatform = atmelavr\n")
    with pytest.raises(FeastError, match=r"another PlatformIO project: run codegen in a folder without"):
        prepare_project(project)
    assert list(contents(project)) == ["platformio.ini"]


def test_a_damaged_record_is_one_line(shipped: Path, tmp_path: Path) -> None:
    project = tmp_path / "firmware"
    prepare_project(project)
    (project / ".codegen.json").write_text("[]")
    with pytest.raises(FeastError, match=r"\.codegen\.json: damaged: move .* away"):
        prepare_project(project)
