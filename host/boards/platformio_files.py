"""Renders what PlatformIO needs to know: `python -m feast_codegen.host.boards.platformio_files [--check]`.

The boards, and the protocol as a C header. PlatformIO may run in a Python without YAML and this package, so
these files are committed; a test holds them to boards.yaml and to the description of the protocol.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from feast_codegen.codegen.base.resources import resource
from feast_codegen.codegen.boards.board import Board, load_boards
from feast_codegen.codegen.protocol.render import c_header

PLATFORM: Final = "feastcortex"
RUNTIME_SOURCES: Final = ("startup.c", "fault.c", "port.c")
CORES_WITH_CACHE: Final = ("cortex-m7", "cortex-m55")

_PROJECT_HEAD: Final = """\
; Rendered from boards.yaml, edit that file, not this one:
; python -m feast_codegen.host.boards.platformio_files

[platformio]
default_envs = mps2_an386
; PlatformIO notes here where the platform lies. In its home two checkouts would overwrite each other's note.
platforms_dir = ${PROJECT_DIR}/.pio/platforms

[env]
platform = symlink://${PROJECT_DIR}/platforms/feastcortex
; Anything else makes PlatformIO ask its registry for a test framework.
test_framework = custom
"""


def machine_flags(board: Board) -> list[str]:
    """Compiler flags that choose the instruction set. The emitted C has no float: no FPU is used.

    >>> from feast_codegen.codegen.boards.board import get_board
    >>> machine_flags(get_board("mps2_an386"))
    ['-mcpu=cortex-m4', '-mfloat-abi=soft']
    """
    if "mve" in board.extensions:  # the vector registers are the FPU's
        return [f"-mcpu={board.core}", "-mfloat-abi=hard"]
    return [f"-mcpu={board.core}", "-mfloat-abi=soft"]


def header(board: Board) -> dict[str, str]:
    """The macros of the generated board.h, name to replacement text."""
    steps = [(step.register, step.clear, step.set, step.wait) for step in board.connect]
    steps.append((0, 0, 0, 0))  # the end of the list
    persist = {}
    if board.persist:
        persist = {
            "FEAST_PERSIST_ORIGIN": f"0x{board.persist.origin:08X}u",
            "FEAST_PERSIST_PAGE_BYTES": f"{board.persist.page_bytes}u",
        }
    cache = {"FEAST_INSTRUCTION_CACHE": "1"} if board.core in CORES_WITH_CACHE else {}
    return (
        cache
        | persist
        | {
            "FEAST_BOARD_NAME": f'"{board.name}"',
            "FEAST_CLOCK_HZ": f"{board.clock.hz}u",
            "FEAST_CLOCK_RESET_HZ": f"{board.clock.reset_hz}u",
            "FEAST_UART_BASE": f"0x{board.uart.base:08X}u",
            "FEAST_UART_IRQ": f"{board.uart.irq}u",
            "FEAST_UART_BAUD": f"{board.uart.baud}u",
            "FEAST_UART_CLOCK_HZ": f"{board.uart.clock_hz}u",
            "FEAST_UART_BUS_DIVIDER": f"{board.uart.bus_divider}u",
            "FEAST_RX_RING_BYTES": f"{board.rx_ring_bytes}u",
            "FEAST_CONNECT": ", ".join(
                "{" + ", ".join(f"0x{word:X}u" for word in step) + "}" for step in steps
            ),
        }
    )


def manifest(board: Board) -> dict[str, Any]:
    """The board's JSON file: PlatformIO's required fields, then what the builder reads."""
    return {
        "name": board.title,
        "vendor": board.vendor,
        "url": board.url,
        "build": {"mcu": board.core, "f_cpu": f"{board.clock.hz}L"},
        "upload": {"maximum_size": board.code.bytes, "maximum_ram_size": board.ram.bytes},
        "feast": {
            "machine_flags": machine_flags(board),
            "sources": [
                *RUNTIME_SOURCES,
                f"clock/{board.clock.setup}.c",
                *([f"boot/{board.boot}.c"] if board.boot else []),
            ],
            "link_sources": [
                "serial.c",
                f"uart/{board.uart.family}.c",
                *(["persist_memory.c", f"flash/{board.persist.family}.c"] if board.persist else []),
            ],
            "link_defines": {
                "LINK_FRAME_BYTES": f"{board.link.frame_bytes}u",
                "LINK_RESULT_WINDOW": f"{board.link.window}u",
                "LINK_RESULTS_PER_FRAME": f"{board.link.results}u",
                **({"LINK_PERSIST_BYTES": f"{board.persist.slot_bytes}u"} if board.persist else {}),
            },
            "symbols": {
                "feast_flash_origin": f"0x{board.code.origin:08X}",
                "feast_flash_bytes": str(board.code.bytes),
                "feast_ram_origin": f"0x{board.ram.origin:08X}",
                "feast_ram_bytes": str(board.ram.bytes),
                "feast_stack_bytes": str(board.stack_bytes),
            },
            "header": header(board),
        },
    }


def render_board_files(boards: Mapping[str, Board]) -> dict[str, str]:
    """Text of every rendered file by its path inside the firmware project."""
    files = {
        f"platforms/{PLATFORM}/boards/{board.name}.json": json.dumps(manifest(board), indent=2) + "\n"
        for board in boards.values()
    }
    environments = (f"\n[env:{name}]\nboard = {name}\n" for name in boards)
    files["src/feast_wire.h"] = c_header()
    files["platformio.ini"] = _PROJECT_HEAD + "".join(environments)
    return files


def stale_files(boards: Mapping[str, Board], project_dir: Path) -> dict[str, str | None]:
    """Rendered files that differ from those in `project_dir`; None where a file belongs to no board."""
    wanted = render_board_files(boards)
    stale: dict[str, str | None] = {
        name: text
        for name, text in wanted.items()
        if not (project_dir / name).is_file() or (project_dir / name).read_text(encoding="utf-8") != text
    }
    for path in sorted((project_dir / "platforms" / PLATFORM / "boards").glob("*.json")):
        name = path.relative_to(project_dir).as_posix()
        if name not in wanted:
            stale[name] = None
    return stale


def main(arguments: list[str]) -> int:
    """Bring the files up to date; with --check only say which are not, and return 1 if any."""
    project_dir = resource("firmware")
    stale = stale_files(load_boards(), project_dir)
    for name, text in stale.items():
        print(f"{'stale' if '--check' in arguments else 'written' if text else 'removed'}: firmware/{name}")
        path = project_dir / name
        if "--check" in arguments:
            continue
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int("--check" in arguments and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
