"""boards.yaml: what it accepts, what it refuses and how, and that everything rendered from it is current."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.resources import resource
from feast_codegen.codegen.boards.board import (
    Board,
    Region,
    RegisterWrite,
    get_board,
    load_boards,
    read_boards,
)
from feast_codegen.codegen.boards.schema import Boot, ClockSetup, PersistFamily, UartFamily
from feast_codegen.host.boards.platformio_files import PLATFORM, manifest, render_board_files, stale_files

RUNTIME = resource("firmware") / "platforms" / PLATFORM / "runtime"
GOOD: dict[str, Any] = {
    "title": "A board",
    "vendor": "Somebody",
    "url": "https://example.org",
    "core": "cortex-m4",
    "extensions": ["dsp"],
    "clock": {"hz": 64_000_000},
    "flash": {"origin": 0, "bytes": "256K"},
    "ram": {"origin": 0x2000_0000, "bytes": "64K"},
    "uart": {"family": "pl011", "base": 0x4000_0000, "irq": 3},
    "qemu": {"machine": "some-machine", "tick_hz": 64_000_000},
    "verified": "emulated",
}


PERSIST = {"origin": 0x3_8000, "slot": "16K", "page": "4K"}


def read(tmp_path: Path, **entries: Any) -> dict[str, Board]:
    path = tmp_path / "boards.yaml"
    path.write_text(yaml.safe_dump(entries), encoding="utf-8")
    return read_boards(path)


def changed(path: str, value: Any) -> dict[str, Any]:
    """GOOD with the field at the dotted `path` set, or removed where `value` is None."""
    entry: dict[str, Any] = yaml.safe_load(yaml.safe_dump(GOOD))
    *outer, last = path.split(".")
    inner = entry
    for key in outer:
        inner = inner.setdefault(key, {})
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return entry


def test_the_boards_that_every_part_of_the_chain_is_tested_on_are_there() -> None:
    m4, f405 = get_board("mps2_an386"), get_board("netduinoplus2")
    assert m4.core == f405.core == "cortex-m4"
    assert m4.kernel == "dsp"
    assert f405.ram == Region(0x2000_0000, 128 * 1024), "what silicon has, not what QEMU gives"
    assert f405.clock_hz == 168_000_000
    assert get_board("mps3_an547").kernel == "vector"
    assert get_board("bbcmicrobit").kernel == "small"


def test_every_board_leaves_room_for_a_model() -> None:
    for board in load_boards().values():
        assert board.model_ram_bytes >= 4096, board.name
        assert board.model_flash_bytes >= 65536, board.name
        assert board.ram.end == board.ram.origin + board.ram.bytes


def test_sizes_defaults_and_steps_are_read(tmp_path: Path) -> None:
    step = {"register": 0x4000_0010, "set": 3, "note": "on"}
    board = read(tmp_path, mine={**GOOD, "connect": [step]})["mine"]
    assert board.flash.bytes == 256 * 1024
    assert board.uart.baud == 115_200
    assert board.clock.reset_hz == board.clock_hz == 64_000_000
    assert board.connect == (RegisterWrite(0x4000_0010, 0, 3, 0, "on"),)


def test_a_store_lies_behind_the_code(tmp_path: Path) -> None:
    """Plan, linker and PlatformIO's size check all see the flash without it."""
    board = read(tmp_path, mine={**GOOD, "persist": {"family": "nrf", **PERSIST}})["mine"]
    assert board.persist and board.persist.slot_bytes == 16 * 1024
    assert board.code == Region(board.flash.origin, 0x3_8000)
    assert board.model_flash_bytes == 0x3_8000 - board.firmware_flash_bytes
    made = manifest(board)
    assert made["upload"]["maximum_size"] == 0x3_8000
    assert made["feast"]["symbols"]["feast_flash_bytes"] == str(0x3_8000)
    assert made["feast"]["link_defines"]["LINK_PERSIST_BYTES"] == "16384u"
    for known in load_boards().values():
        assert known.persist is None or known.code.end <= known.persist.origin
        assert known.persist is None or known.persist.origin + 2 * known.persist.slot_bytes <= known.flash.end


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("core", "cortex-m85", "core: input should be 'cortex-m0'.*got 'cortex-m85'"),
        ("core", None, "core: field required"),
        ("colour", "red", "colour: extra inputs are not permitted"),
        ("extensions", ["mve"], "cortex-m4 has no extension mve"),
        ("flash.bytes", "256k", "flash.bytes: .*got '256k'"),
        ("flash.bytes", "1.5M", "flash.bytes: .*got '1.5M'"),
        ("flash.origin", 2, "flash.origin: .*multiple of 4, got 2"),
        ("flash.origin", 0x2000_8000, "flash and ram overlap"),
        ("ram.bytes", "4K", ".*leave no RAM for a model"),
        ("uart.family", "16550", "uart.family: .*got '16550'"),
        ("uart.irq", 240, "uart.irq: .*less than or equal to 239, got 240"),
        ("uart.irq", "3", "uart.irq: .*valid integer, got '3'"),
        ("uart.baud", 300, "uart.baud: .*got 300"),
        ("clock.reset_hz", 16_000_000, "clock: reset_hz belongs to a clock with a setup"),
        ("clock.setup", "stm32f4", "clock: reset_hz belongs to a clock with a setup"),
        ("clock.hz", 0, "clock.hz: .*got 0"),
        ("link", {"window": 100}, "link: window must be a power of two, got 100"),
        ("link", {"results": 256}, "link: results of a frame must lie within the window of 128"),
        ("link.frame", 32, "link.frame: .*got 32"),
        ("program", {}, "program: expected at least one of pyocd, openocd, uf2"),
        ("program", {"uf2": {"family": 1, "drive": "x"}, "pack": True}, "program: pack belongs to pyocd"),
        ("program", {"pyocd": "nrf52", "usb": ["1366"]}, "program.usb.0: .*got '1366'"),
        ("program", {"openocd": ["; shutdown"]}, "program.openocd.0: .*got '; shutdown'"),
        ("boot", "rp2041", "boot: .*got 'rp2041'"),
        ("persist", {"family": "nvm", **PERSIST}, "persist.family: .*got 'nvm'"),
        (
            "persist",
            {"family": "nrf", **PERSIST, "page": 3000},
            "persist: page must be a power of two, got 3000",
        ),
        (
            "persist",
            {"family": "nrf", **PERSIST, "slot": "5K"},
            "persist: origin and slot must be whole pages of 4096",
        ),
        (
            "persist",
            {"family": "nrf", **PERSIST, "origin": 0x3_8800},
            "persist: origin and slot must be whole pages",
        ),
        (
            "persist",
            {"family": "nrf", **PERSIST, "slot": "20K"},
            "persist: two slots of 20480 .* are not in the flash",
        ),
        (
            "persist",
            {"family": "nrf", **PERSIST, "origin": 0x5_0000},
            "persist: two slots .* are not in the flash",
        ),
        ("persist", {"family": "nrf", **PERSIST, "origin": 0x2000}, "persist: leaves no flash for the code"),
        ("rx_ring", 1000, "rx_ring must be a power of two, got 1000"),
        ("connect", [{"register": 4, "set": 1}], "connect.0.note: field required"),
        ("qemu", None, "verified: emulated needs a qemu machine"),
        ("verified", "yes", "verified: .*'emulated' or 'built', got 'yes'"),
        ("url", "example.org", "url: .*got 'example.org'"),
    ],
)
def test_a_wrong_entry_is_refused_in_one_line(tmp_path: Path, path: str, value: Any, complaint: str) -> None:
    with pytest.raises(FeastError, match=f"boards.yaml: board mine: {complaint}") as caught:
        read(tmp_path, mine=changed(path, value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected one entry per board"),
        ("- 1", "expected one entry per board"),
        ("a: [", "not valid YAML"),
        ("Upper: {}", "board name 'Upper'"),
        ("a-b: {}", "board name 'a-b'"),
        ("a: 1", "board a: .*got 1"),
        ("a: {core: x, core: y}", "key 'core' is given twice"),
        ("a: {}\nb: {}\na: {}", "key 'a' is given twice"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "boards.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FeastError, match=complaint) as caught:
        read_boards(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(FeastError, match=r"none\.yaml: No such file"):
        read_boards(tmp_path / "none.yaml")


def test_an_unknown_board_gets_the_known_names() -> None:
    with pytest.raises(FeastError, match=r"unknown board 'nucleo': .*mps2_an386, netduinoplus2"):
        get_board("nucleo")


def test_what_platformio_reads_is_rendered_from_this_file() -> None:
    stale = stale_files(load_boards(), resource("firmware"))
    assert not stale, f"run `python -m feast_codegen.host.boards.platformio_files`: {sorted(stale)}"


def test_a_board_that_is_gone_and_one_that_changed_are_noticed(tmp_path: Path) -> None:
    known = load_boards()
    for name, text in render_board_files(known).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert not stale_files(known, tmp_path)
    fewer = {name: board for name, board in known.items() if name != "bbcmicrobit"}
    gone = f"platforms/{PLATFORM}/boards/bbcmicrobit.json"
    stale = stale_files(fewer, tmp_path)
    assert stale.pop(gone) is None
    assert set(stale) == {"platformio.ini"}


REAL = ("nrf52840dk", "nucleo_f446re", "nucleo_h743zi", "b_l475e_iot01a", "pico", "pico2")


def test_boards_are_verified_as_far_as_anything_here_ran_them() -> None:
    boards = load_boards()
    assert len(boards) >= 14
    for board in boards.values():
        assert board.verified == ("emulated" if board.qemu else "built"), board.name
    assert all(boards[name].verified == "built" and boards[name].program for name in REAL)


DRIVERS = (("uart", UartFamily), ("clock", ClockSetup), ("boot", Boot), ("flash", PersistFamily))


def test_every_driver_is_a_choice_and_every_choice_has_a_driver() -> None:
    for folder, choices in DRIVERS:
        assert {path.stem for path in (RUNTIME / folder).glob("*.c")} == set(get_args(choices))


@pytest.mark.firmware
@pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is not installed")
def test_qemu_has_the_machines() -> None:
    listing = subprocess.run(
        ["qemu-system-arm", "-machine", "help"], capture_output=True, text=True, check=True
    ).stdout
    machines = {line.split()[0] for line in listing.splitlines()[1:]}
    assert {board.qemu.machine for board in load_boards().values() if board.qemu} <= machines
