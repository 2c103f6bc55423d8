"""MISRA C:2012 of all our C: rules disapplied in the verification page, deviations at their lines."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from feast_codegen.codegen.boards.board import Board, Kernel, get_board, load_boards
from feast_codegen.codegen.model.options import INPUTS, Options
from tests.support.firmware_project import needs_compiler
from tests.support.proofs import firmware, misra
from tests.support.proofs.driver import KERNELS, emitted
from tests.support.proofs.products import all_options, networks

NETWORKS = networks()
LEARNING = Options(learning=True)

pytestmark = pytest.mark.skipif(shutil.which("cppcheck") is None, reason="cppcheck is not on PATH")


def test_every_required_rule_holds_or_is_commented(tmp_path: Path) -> None:
    """The richest libraries; the whole product is a longer check."""
    for name, network in ((name, NETWORKS[name]) for name in ("layers", "filtered", "limited")):
        options = replace(LEARNING, input=INPUTS if name == "layers" else ())
        assert misra.findings(emitted(network, options, "vector"), tmp_path / name) == set()


@pytest.mark.prove
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("options", all_options(), ids=lambda options: options.flags or "defaults")
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_required_rule_holds_everywhere(
    kernel: Kernel, options: Options, network: str, tmp_path: Path
) -> None:
    assert misra.findings(emitted(NETWORKS[network], options, kernel), tmp_path) == set()


def test_every_deviation_is_needed(tmp_path: Path) -> None:
    """Each comment stands above a finding: none outlives its cause, none excuses more than it names."""
    files = emitted(NETWORKS["signed"], LEARNING, "dsp")
    assert misra.findings(files, tmp_path, deviations=False) == misra.commented(files)


def test_planted_violations_are_found(tmp_path: Path) -> None:
    """One that nothing excuses, and one beside a comment that names another rule."""
    files = emitted(NETWORKS["merged"], Options(), "portable")
    octal = "return 017;"
    shift = "return value >> 1;"
    files["src/feast_layer1_state.c"] += (
        f"int feast_planted(int value);\nint feast_planted(int value)\n{{\n"
        f"    if (value > 0) {{\n        {octal}\n    }}\n"
        f"    /* cppcheck-suppress misra-c2012-11.3 ; another rule */\n    {shift}\n}}\n"
    )
    found = {(finding.rule, finding.statement) for finding in misra.findings(files, tmp_path)}
    assert {("7.1", octal), ("10.1", shift)} <= found


@needs_compiler
def test_the_firmware_breaks_no_rule_but_where_a_comment_says_so(tmp_path: Path) -> None:
    """Every file once, and no comment without need; every board whole is a longer check."""
    builds = firmware.every_file(tmp_path)
    checked = {source for build in builds for source in build.sources}
    assert checked == {Path(path) for path in firmware.texts() if path.endswith(".c")}
    found = (misra.check(build.sources, build.defined, deviations=False) for build in builds)
    own = {Path(path).name for path in firmware.texts()}  # the library's header has a test of its own
    assert {each for each in set().union(*found) if each.file in own} == misra.commented(firmware.texts())


@needs_compiler
@pytest.mark.prove
@pytest.mark.parametrize("board", load_boards().values(), ids=lambda board: board.name)
def test_every_required_rule_holds_in_every_firmware(board: Board, tmp_path: Path) -> None:
    """Rules about all files of a program, too: firmware and library are checked together."""
    for name, library in firmware.libraries(board).items():
        for kind in (firmware.with_link, firmware.with_driver):
            folder = tmp_path / name / kind.__name__
            build = kind(board, library, folder)
            sources = [*build.sources, *sorted((folder / "src").glob("*.c"))]
            assert misra.check(sources, build.defined) == set(), name


@needs_compiler
def test_planted_violations_in_the_firmware_are_found(tmp_path: Path) -> None:
    """In a driver of a UART: a register without mmio.h, and a comment that names another rule."""
    board = get_board("pico")
    build = firmware.with_link(board, {}, tmp_path)
    driver = next(source for source in build.sources if source.parent.name == "uart")
    bare, shift = "*(volatile uint32_t *)UART_CR = 0u;", "mmio_write(UART_CR, 1u << 9);"
    right = "mmio_write(UART_CR, 0u);"
    text = driver.read_text(encoding="utf-8")
    assert text.count(right) == 1
    wrong = f"{bare}\n    /* cppcheck-suppress misra-c2012-11.3 ; another rule */\n    {shift}"
    (tmp_path / driver.name).write_text(text.replace(right, wrong), encoding="utf-8")
    found = {
        (finding.rule, finding.statement) for finding in misra.check([tmp_path / driver.name], build.defined)
    }
    assert found == {("11.4", bare), ("12.2", shift)}
