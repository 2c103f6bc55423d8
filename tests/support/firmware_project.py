"""A firmware project in a temporary folder that holds the port probe instead of the firmware."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from feast_codegen.host.boards.firmware_project import prepare_project

PROBE = Path(__file__).parent / "port_probe" / "main.c"

needs_compiler = pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed"
)
needs_emulator = pytest.mark.skipif(
    shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is not installed"
)


def make_probe_project(folder: Path) -> Path:
    """Lay out the shipped project in `folder`, its src/ replaced by the probe, its library empty."""
    prepare_project(folder)
    for path in (folder / "src").iterdir():
        if path.name not in ("port.h", "persist_port.h"):  # what the runtime implements
            path.unlink()
    shutil.copyfile(PROBE, folder / "src" / "main.c")
    library = folder / "lib" / "feast"
    (library / "src").mkdir(parents=True)
    (library / "library.json").write_text('{"name": "feast", "version": "0.0.0"}\n', encoding="utf-8")
    return folder
