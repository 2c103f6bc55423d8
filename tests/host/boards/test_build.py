"""The firmware build: reproducible, without PlatformIO's registry, within what the boards file reserves."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import serial

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.boards.board import get_board, load_boards, read_boards
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.emit.write import write
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.boards.build import BuildResult, build
from feast_codegen.host.boards.emulator import emulate
from feast_codegen.host.boards.firmware_project import prepare_project
from feast_codegen.host.boards.platformio_env import platformio_environment, prepare_scons
from feast_codegen.host.boards.platformio_files import render_board_files
from tests.support.firmware_project import make_probe_project, needs_compiler
from tests.support.networks import make_model
from tests.support.paths import ROOT
from tests.support.waiting import LIMIT_S

pytestmark = [pytest.mark.firmware, needs_compiler]


@contextmanager
def watched_network() -> Iterator[tuple[dict[str, str], list[str]]]:
    """Environment of programs that reach the network through us alone, and who has tried to."""
    calls: list[str] = []

    def serve() -> None:
        with suppress(OSError):  # until it is shut down
            while True:
                connection, caller = server.accept()
                calls.append(str(caller))
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        names = ("http_proxy", "https_proxy", "all_proxy")
        try:
            yield (
                dict.fromkeys([*names, *map(str.upper, names)], url) | {"no_proxy": "", "NO_PROXY": ""},
                calls,
            )
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(LIMIT_S)


def platformio(project: Path, board: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Plain `pio run -e BOARD` in `project`."""
    return subprocess.run(
        [sys.executable, "-m", "platformio", "run", "-e", board],
        cwd=project,
        env={**platformio_environment(), **variables},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.mark.parametrize("name", ["mps2_an386", "netduinoplus2"])
def test_plain_platformio_elsewhere_gives_the_same_elf_without_a_registry(name: str, tmp_path: Path) -> None:
    ours = build(get_board(name), make_probe_project(tmp_path / "here" / "firmware"))

    theirs = make_probe_project(tmp_path / "some where" / "else" / "fw")  # a space is no obstacle
    fresh = tmp_path / "fresh core"
    with watched_network() as (network, calls):
        variables = {**network, "PLATFORMIO_CORE_DIR": str(fresh)}
        subprocess.run(
            [sys.executable, "-m", "feast_codegen.host.boards.platformio_env"],
            env={**os.environ, **variables},
            check=True,
            capture_output=True,
        )
        done = platformio(theirs, name, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not calls, "nobody was asked"

    elf = (theirs / ".pio" / "build" / name / "firmware.elf").read_bytes()
    assert elf == ours.elf.read_bytes()
    assert str(tmp_path).encode() not in elf
    assert str(ROOT).encode() not in elf


def test_a_program_that_asks_the_network_is_seen() -> None:
    """Planted."""
    asks = "import requests; requests.get('https://api.registry.platformio.org', timeout=60)"
    with watched_network() as (network, calls):
        done = subprocess.run(
            [sys.executable, "-c", asks], env={**os.environ, **network}, capture_output=True
        )
    assert done.returncode != 0
    assert calls


def test_scons_is_laid_out_once_and_a_real_one_is_kept(tmp_path: Path) -> None:
    assert prepare_scons(tmp_path)
    assert not prepare_scons(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tool-scons"]
    manifest = tmp_path / "tool-scons" / "package.json"
    manifest.write_text('{"name": "tool-scons", "version": "3.0.0"}', encoding="utf-8")
    assert prepare_scons(tmp_path), "one that this PlatformIO cannot use does not count"
    assert "3.0.0" in manifest.read_text(encoding="utf-8")
    assert not prepare_scons(tmp_path)


def test_nothing_emitted_says_what_to_run(tmp_path: Path) -> None:
    project = make_probe_project(tmp_path / "firmware")
    shutil.rmtree(project / "lib")
    with pytest.raises(FeastError, match=r"firmware.lib.feast holds no emitted library: run `codegen emit"):
        build(get_board("mps2_an386"), project)
    prepare_scons()
    done = platformio(project, "mps2_an386")
    assert done.returncode != 0
    complaints = [line for line in done.stderr.splitlines() if "run `codegen emit" in line]
    assert len(complaints) == 1
    assert "--board mps2_an386" in complaints[0]
    assert "Traceback" not in done.stdout + done.stderr


def test_the_first_complaint_of_the_compiler_is_reported(tmp_path: Path) -> None:
    project = make_probe_project(tmp_path / "firmware")
    main = project / "src" / "main.c"
    main.write_text(main.read_text(encoding="utf-8") + "static int unused;\n", encoding="utf-8")
    with pytest.raises(
        FeastError, match=r"main\.c:\d+:\d+: error: .*unused.*whole output: .*mps2_an386\.log"
    ):
        build(get_board("mps2_an386"), project)


def test_a_firmware_that_outgrows_the_memory_is_refused_by_the_linker(tmp_path: Path) -> None:
    project = make_probe_project(tmp_path / "firmware")
    main = project / "src" / "main.c"
    text = main.read_text(encoding="utf-8").replace("int main(void)\n{", "int main(void)\n{\n    hoard();")
    hoard = "static volatile uint8_t pile[130 * 1024];\nstatic void hoard(void) { pile[0] = 1; }\n"
    main.write_text(text.replace("int main(void)", hoard + "\nint main(void)"), encoding="utf-8")
    build(get_board("mps2_an386"), project)
    with pytest.raises(FeastError, match="failed: region `RAM' overflowed by"):  # silicon has 128K, QEMU 192K
        build(get_board("netduinoplus2"), project)


@pytest.mark.parametrize(
    ("name", "learning"), [("mps2_an386", False), *((name, True) for name in load_boards())]
)
def test_the_firmware_takes_no_more_than_the_plan_reserves(name: str, learning: bool, tmp_path: Path) -> None:
    board = get_board(name)
    project = tmp_path / "firmware"
    prepare_project(project)
    plan = make_plan(quantise(make_model(features=2, radius=2))[0], board, Options(learning=learning))
    write(render(plan), project / "lib" / "feast")
    result = build(board, project)
    assert isinstance(result, BuildResult)
    assert result.stack_bytes == board.stack_bytes
    firmware_ram = result.ram_bytes - plan.budget.ram + result.stack_bytes
    firmware_flash = result.flash_bytes - plan.budget.flash
    assert 0 < firmware_ram <= board.firmware_ram_bytes
    assert firmware_flash <= board.firmware_flash_bytes


def test_a_board_of_a_known_family_takes_one_entry_and_no_code(tmp_path: Path) -> None:
    """A board that is not among those shipped: one entry, rendered, builds and boots."""
    (tmp_path / "boards.yaml").write_text(
        """
blue_pill:
  title: A board with an STM32F103
  vendor: Somebody
  url: https://example.org
  core: cortex-m3
  clock: {hz: 8_000_000}
  flash: {origin: 0x08000000, bytes: 64K}
  ram: {origin: 0x20000000, bytes: 8K}
  uart: {family: stm32_v1, base: 0x40013800, irq: 37}
  connect:
    - {register: 0x40021018, set: 0x00004004, note: "RCC_APB2ENR: port A, USART1"}
  qemu: {machine: stm32vldiscovery, tick_hz: 24_000_000}
  program: {openocd: [interface/stlink.cfg, target/stm32f1x.cfg], usb: ["0483:3748"]}
  verified: emulated
  rx_ring: 512
  stack: 1K
""",
        encoding="utf-8",
    )
    boards = read_boards(tmp_path / "boards.yaml")
    project = make_probe_project(tmp_path / "firmware")
    for name, text in render_board_files(load_boards() | boards).items():
        (project / name).write_text(text, encoding="utf-8")
    board = boards["blue_pill"]
    result = build(board, project)
    assert result.stack_bytes == 1024
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed: built, not booted")
    with emulate(board, result.elf) as emulator:
        port = serial.serial_for_url(emulator.url, timeout=LIMIT_S)
        assert port.read(4) == b"REDY"
        port.close()
