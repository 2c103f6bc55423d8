"""Flashing without hardware: every board's command, the tools' own word on it, UF2 files, every failure."""

from __future__ import annotations

import json
import shlex
import shutil
import stat
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.boards.board import get_board, load_boards
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.boards import flash as flashing
from feast_codegen.host.boards.build import build
from feast_codegen.host.boards.emulator import emulate
from feast_codegen.host.boards.find_port import find_port, port_advice, usb_id, verify_device
from feast_codegen.host.boards.flash import (
    Method,
    explain,
    find_drive,
    flash,
    methods,
    plan_flashing,
    udev_rule,
)
from feast_codegen.host.boards.run import emit_for_board
from feast_codegen.host.boards.uf2 import flash_pages, uf2_image
from feast_codegen.host.cli.app import execute
from tests.support.firmware_project import make_probe_project, needs_compiler, needs_emulator
from tests.support.networks import make_model
from tests.support.waiting import LIMIT_S

ALL = list(load_boards())
FLASHABLE = [name for name in ALL if load_boards()[name].program]
ELF = Path("firmware/.pio/build/x/firmware.elf")


# --- the command -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_dry_run_prints_the_command_and_needs_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    board = get_board(name)
    code = execute(["flash", "--board", name, "--dry-run"])
    printed = capsys.readouterr()
    elf = f"firmware/.pio/build/{name}/firmware.elf"
    if board.program is None:
        assert (code, printed.out) == (2, "")
        assert f"run it emulated: codegen emulate --board {name}" in printed.err
    else:
        assert (code, printed.err) == (0, "")
        assert tuple(shlex.split(printed.out)) == plan_flashing(board, Path(elf)).command
        assert elf.removesuffix("elf") in printed.out
        assert "  " not in printed.out
        for method in methods(board):
            assert execute(["flash", "--board", name, "--dry-run", "--programmer", method, "--json"]) == 0
            answer = json.loads(capsys.readouterr().out)
            assert (answer["board"], answer["programmer"]) == (name, method)
            assert answer["command"][0] == {"uf2": "cp"}.get(method, method)
    assert list(tmp_path.iterdir()) == []


def test_the_commands_are_these() -> None:
    def command(name: str, probe: str | None = None) -> str:
        return shlex.join(plan_flashing(get_board(name), ELF, None, probe).command)

    elf = "firmware/.pio/build/x/firmware.elf"
    assert command("nrf52840dk", "683") == f"pyocd flash -W --target nrf52840 --uid 683 {elf}"
    assert command("nucleo_f446re") == (
        "openocd -f interface/stlink.cfg -f target/stm32f4x.cfg "
        f"-c 'program {{{elf}}} verify reset; shutdown'"
    )
    assert command("pico", "/media/me/RPI-RP2") == f"cp {elf[:-3]}uf2 /media/me/RPI-RP2"


@pytest.mark.parametrize("name", [name for name in ALL if "openocd" in methods(load_boards()[name])])
def test_openocd_accepts_the_configuration(name: str) -> None:
    if shutil.which("openocd") is None:
        pytest.skip("openocd is not installed")
    *setup, _ = plan_flashing(get_board(name), ELF, "openocd").command
    done = subprocess.run([*setup, "shutdown"], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr


@pytest.mark.parametrize("name", [name for name in ALL if "pyocd" in methods(load_boards()[name])])
def test_pyocd_knows_the_target(name: str) -> None:
    targets = pytest.importorskip("pyocd.target", reason="pyocd is not installed")
    program = get_board(name).program
    assert program
    assert (program.pyocd in targets.TARGET) == (not program.pack), "built in, or from a pack"


def test_ways_that_a_board_does_not_have_are_refused() -> None:
    for name in FLASHABLE:
        board = get_board(name)
        for method in set(get_args(Method)) - set(methods(board)):
            with pytest.raises(FeastError, match=f"{name} is not flashed by {method}: expected one of "):
                plan_flashing(board, ELF, method)


# --- running it --------------------------------------------------------------------------------------


def fake_tool(folder: Path, name: str, output: str, code: int) -> str:
    """An executable that prints `output` and its arguments."""
    tool = folder / name
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\necho \"$@\" > {folder}/arguments\nexit {code}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return str(tool)


FAILURES = {
    "no probe, pyOCD": (
        "nrf52840dk",
        "pyocd",
        "No connected debug probes",
        r"connect the board.*70-feast-probe",
    ),
    "no probe, OpenOCD": (
        "nucleo_f446re",
        "openocd",
        "Info : clock speed 2000 kHz\nError: open failed\n** OpenOCD init failed **",
        r"\(Error: open failed\): no debug probe found \(USB 0483:374b\).*udevadm",
    ),
    "no permission": (
        "nucleo_f446re",
        "openocd",
        "Error: libusb_open() failed with LIBUSB_ERROR_ACCESS\nError: open failed",
        r"this user may not use the probe.*idVendor.*0483.*idProduct.*374b",
    ),
    "busy probe": ("nrf52840dk", "pyocd", "usb.core.USBError: [Errno 16] Resource busy", "close debuggers"),
    "wrong target": (
        "nucleo_h743zi",
        "openocd",
        "Warn : UNEXPECTED idcode: 0x2ba01477\nError: init mode failed (unable to connect to the target)",
        "does not reach a chip like that of nucleo_h743zi: check --board",
    ),
    "no pack": (
        "netduinoplus2",
        "pyocd",
        "Target type stm32f405rg not recognized. Use 'pyocd list --targets'",
        "pyocd pack install stm32f405rg; or repeat with --programmer openocd",
    ),
    "locked": (
        "nrf52840dk",
        "pyocd",
        "W NRF52840 APPROTECT enabled: not automatically unlocking",
        "pyocd erase --mass",
    ),
    "old OpenOCD": ("pico", "openocd", "Error: Can't find target/rp2040.cfg", "install a newer one"),
    "anything else": ("nrf52840dk", "pyocd", "Segmentation fault", "check cable, power and --board"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_says_what_to_do(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, tool, output, advice = FAILURES[case]
    plan = plan_flashing(get_board(name), ELF, tool)  # type: ignore[arg-type]
    program = fake_tool(tmp_path, tool, output, 1)
    monkeypatch.setattr(flashing, "find_program", lambda wanted: program if wanted == tool else None)
    with pytest.raises(FeastError, match=advice) as caught:
        flash(plan, ELF)
    assert str(caught.value).startswith(f"board {name}: {tool} failed (")
    assert "\n" not in str(caught.value)


def test_success_is_quiet_and_runs_exactly_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_flashing(get_board("nrf52840dk"), ELF)
    program = fake_tool(tmp_path, "pyocd", "", 0)
    monkeypatch.setattr(flashing, "find_program", lambda _: program)
    flash(plan, ELF)
    assert (tmp_path / "arguments").read_text().split() == list(plan.command[1:])


def test_a_tool_that_is_absent_is_named_with_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flashing, "find_program", lambda _: None)
    for name, advice in (
        ("nrf52840dk", r"pip install 'feast-codegen\[flash\]'"),
        ("lm3s6965evb", "apt-get install"),
    ):
        with pytest.raises(FeastError, match=f"is not installed: .*{advice}"):
            flash(plan_flashing(get_board(name), ELF), ELF)


def test_the_udev_rule_is_one_command_that_writes_a_rule_for_each_probe(tmp_path: Path) -> None:
    first = udev_rule(["0483:374b", "1366:1015"]).split(" | ")[0]
    rules = subprocess.run(first, shell=True, capture_output=True, text=True, check=True).stdout
    assert rules.splitlines() == [
        'SUBSYSTEM=="usb", ATTR{idVendor}=="0483", ATTR{idProduct}=="374b", TAG+="uaccess"',
        'SUBSYSTEM=="usb", ATTR{idVendor}=="1366", ATTR{idProduct}=="1015", TAG+="uaccess"',
    ]


def test_explanations_never_depend_on_a_board_having_everything() -> None:
    for name in FLASHABLE:
        for method in methods(get_board(name)):
            plan = plan_flashing(get_board(name), ELF, method)
            for _, _, output, _ in FAILURES.values():
                assert name in explain(plan, output)


# --- UF2 ---------------------------------------------------------------------------------------------


def crc32_of_the_boot_rom(data: bytes) -> int:
    """CRC-32 with the bits in their order, from all ones, not inverted (RP2040 data sheet, 2.8.1.3.1)."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C1_1DB7 if crc & 0x8000_0000 else crc << 1) & 0xFFFF_FFFF
    return crc


def flash_image(elf: Path, origin: int) -> bytes:
    """What `elf` puts into flash, from its start."""
    pages = flash_pages(elf)
    assert min(pages) == origin
    return b"".join(pages.get(at, b"\xff" * 256) for at in range(origin, max(pages) + 256, 256))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_probe_project(tmp_path_factory.mktemp("flash") / "firmware")


@pytest.mark.firmware
@needs_compiler
@pytest.mark.parametrize(
    "name", ["nrf52840dk", "nucleo_f446re", "nucleo_h743zi", "b_l475e_iot01a", "pico", "pico2"]
)
def test_real_boards_build_and_their_roms_would_start_them(name: str, project: Path) -> None:
    board = get_board(name)
    elf = build(board, project).elf
    image = flash_image(elf, board.flash.origin)
    vectors = 256 if board.boot == "rp2040" else 0
    stack, reset = struct.unpack_from("<2I", image, vectors)
    assert stack == board.ram.origin + board.stack_bytes, "the stack lies at the bottom of the RAM"
    assert reset % 2 == 1, "Thumb"
    assert board.flash.origin <= reset < board.flash.origin + len(image)
    (handler,) = struct.unpack_from("<I", image, vectors + 4 * (16 + board.uart.irq))
    assert handler % 2 == 1
    if board.boot == "rp2040":
        assert crc32_of_the_boot_rom(image[:252]) == struct.unpack_from("<I", image, 252)[0]
        assert crc32_of_the_boot_rom(b"\1" + image[1:252]) != struct.unpack_from("<I", image, 252)[0]
    if board.boot == "rp2350":
        block = struct.pack("<5I", 0xFFFFDED3, 0x10210142, 0x1FF, 0, 0xAB123579)
        assert 0 < image.find(block) < 4096
        assert image.find(block) % 4 == 0
    if board.program and board.program.uf2:
        check_uf2(elf.with_suffix(".uf2").read_bytes(), image, board.flash.origin)


def check_uf2(uf2: bytes, image: bytes, origin: int) -> None:
    """Read the file back as a boot loader does."""
    blocks = [uf2[at : at + 512] for at in range(0, len(uf2), 512)]
    written = bytearray(b"\xff" * len(image))
    for number, block in enumerate(blocks):
        first, second, flags, address, size, index, count, _ = struct.unpack_from("<8I", block)
        assert (first, second, flags, size) == (0x0A324655, 0x9E5D5157, 0x2000, 256)
        assert (index, count) == (number, len(blocks))
        assert struct.unpack_from("<I", block, 508) == (0x0AB16F30,)
        assert address % 256 == 0
        written[address - origin : address - origin + 256] = block[32 : 32 + 256]
    assert bytes(written) == image


@pytest.mark.firmware
@needs_compiler
def test_a_drive_is_found_and_written(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = get_board("pico")
    elf = build(board, project).elf
    plan = plan_flashing(board, elf)
    monkeypatch.setattr(flashing, "drive_roots", lambda: [tmp_path])
    with pytest.raises(FeastError, match="no drive RPI-RP2 is mounted: hold BOOTSEL while"):
        flash(plan, elf)
    drive = tmp_path / "RPI-RP2"
    drive.mkdir()
    with pytest.raises(
        FeastError, match=r"has no INFO_UF2\.TXT, so it is not the drive RPI-RP2: check --probe"
    ):
        flash(plan, elf, str(drive))
    (drive / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n")
    assert find_drive("RPI-RP2", [tmp_path / "nowhere", tmp_path]) == drive
    flash(plan, elf)
    assert (drive / "firmware.uf2").read_bytes() == uf2_image(flash_pages(elf), 0xE48BFF56)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
    assert find_drive("RPI-RP2", [tmp_path / "elsewhere"]) == tmp_path / "elsewhere", "mounted at a letter"


def test_a_file_that_is_no_firmware_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.elf").write_bytes(b"not an ELF")
    with pytest.raises(FeastError, match="not a readable firmware"):
        flash_pages(tmp_path / "a.elf")


# --- the port, and who answers -----------------------------------------------------------------------


def test_the_port_of_the_probe_is_found() -> None:
    def port(device: str, vid: int | None, pid: int | None) -> SimpleNamespace:
        return SimpleNamespace(device=device, vid=vid, pid=pid, description="a port")

    board = get_board("nucleo_f446re")
    modem, link = port("/dev/ttyS0", None, None), port("/dev/ttyACM0", 0x0483, 0x374B)
    assert usb_id(link) == "0483:374b"
    assert find_port(board, [modem, link]) == "/dev/ttyACM0"
    with pytest.raises(FeastError, match=r"no serial port.*--port; ports here: /dev/ttyS0 \(a port\)"):
        find_port(board, [modem])
    with pytest.raises(FeastError, match=r"several boards.*choose one with --port"):
        find_port(board, [link, port("/dev/ttyACM1", 0x0483, 0x374B)])


def test_a_port_that_is_missing_busy_or_forbidden_says_what_to_do(tmp_path: Path) -> None:
    board = get_board("nucleo_f446re")
    with pytest.raises(FeastError, match=r"cannot be opened.*list_ports"):
        verify_device(board, str(tmp_path / "ttyACM0"), "", 0, 0.1)
    assert "dialout" in port_advice("[Errno 13] Permission denied: '/dev/ttyACM0'", "/dev/ttyACM0")
    assert "fuser" in port_advice("[Errno 16] Device or resource busy", "/dev/ttyACM0")
    assert "close serial" in port_advice("PermissionError(13, 'Access is denied.')", "COM3")


@pytest.mark.firmware
@needs_compiler
@needs_emulator
def test_flash_verifies_who_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole command; the probe is a stand-in, and what answers is the board's emulator."""
    monkeypatch.chdir(tmp_path)
    board = get_board("netduinoplus2")
    old, new = make_model(features=2, radius=1), make_model(features=2, radius=1, seed=1)
    emit_for_board(old, board, Options())
    earlier = tmp_path / "earlier.elf"
    shutil.copyfile(build(board).elf, earlier)
    plan = emit_for_board(new, board, Options())
    tool = fake_tool(tmp_path, "openocd", "** Verified OK **", 0)
    monkeypatch.setattr(flashing, "find_program", lambda _: tool)
    with emulate(board, build(board).elf) as emulator:
        assert execute(["flash", "--board", board.name, "--port", emulator.url, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["model_id"], answer["build_id"]) == (plan.ids.model, plan.ids.build)
    assert answer["programmer"] == "openocd"
    assert answer["clock_fallback"], "QEMU does not model the PLL: HELLO says so"
    assert "verify reset; shutdown" in (tmp_path / "arguments").read_text()
    with emulate(board, earlier) as emulator:  # the tool said yes, but the old firmware still runs
        assert execute(["flash", "--board", board.name, "--port", emulator.url]) == 2
    ids = f"from the model {old.model_id[:16]}, the one named is {new.model_id[:16]}"
    assert ids in capsys.readouterr().err
    other = make_plan(quantise(make_model(features=3, radius=1))[0], board, Options())
    with (
        emulate(board, earlier) as emulator,
        pytest.raises(FeastError, match="build the firmware from this model"),
    ):
        verify_device(board, emulator.url, other.ids.build, other.ids.state)


def test_a_board_without_a_debug_port_gets_no_usb_advice() -> None:
    board = get_board("pico2")
    assert board.program
    bare = replace(board, program=replace(board.program, usb=()))
    with pytest.raises(FeastError, match="no serial port"):
        find_port(bare, [])
