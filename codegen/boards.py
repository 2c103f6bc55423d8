"""The boards of boards.yaml: cores, memory maps, UARTs, and what the firmware keeps for itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from codegen.board_schema import (
    LINK_RAM_BYTES,
    BoardEntry,
    ClockSetup,
    Core,
    Extension,
    UartFamily,
    Verified,
    read_entries,
)
from codegen.errors import FeastError
from codegen.resources import resource

Kernel = Literal["portable", "dsp", "helium"]

FIRMWARE_FLASH_BYTES: Final = 8 * 1024
"""Flash of the firmware without the emitted library: start-up, drivers, link, library routines."""


@dataclass(frozen=True)
class Region:
    """A block of memory: first address and length, bytes."""

    origin: int
    bytes: int

    @property
    def end(self) -> int:
        """First address behind the block."""
        return self.origin + self.bytes


@dataclass(frozen=True)
class Clock:
    """Core clock: `hz` after `setup`, `reset_hz` before it and whenever it fails."""

    hz: int
    setup: ClockSetup
    reset_hz: int


@dataclass(frozen=True)
class Uart:
    """The serial port of the link: driver, registers, receive interrupt.

    It is clocked at `clock_hz`, or, where that is 0, at the core clock over `bus_divider`.
    """

    family: UartFamily
    base: int
    irq: int
    baud: int
    clock_hz: int
    bus_divider: int


@dataclass(frozen=True)
class RegisterWrite:
    """One step of connecting the UART: new = (old & ~clear) | set."""

    register: int
    clear: int
    set: int
    note: str


@dataclass(frozen=True)
class Qemu:
    """The QEMU machine that equals the board. `tick_hz`: rate at which it counts SysTick."""

    machine: str
    tick_hz: int


@dataclass(frozen=True)
class Board:
    """One target of boards.yaml."""

    name: str
    title: str
    vendor: str
    url: str
    core: Core
    extensions: tuple[Extension, ...]
    clock: Clock
    flash: Region
    ram: Region
    uart: Uart
    connect: tuple[RegisterWrite, ...]
    qemu: Qemu | None
    verified: Verified
    rx_ring_bytes: int
    """Receive ring, a power of two: the bytes the host may have in flight."""
    stack_bytes: int

    @property
    def clock_hz(self) -> int:
        """Core clock after set-up."""
        return self.clock.hz

    @property
    def kernel(self) -> Kernel:
        """The widest arithmetic the core has: packed multiply-accumulate (`dsp`) or vectors (`helium`)."""
        if "mve" in self.extensions:
            return "helium"
        return "dsp" if "dsp" in self.extensions else "portable"

    @property
    def firmware_ram_bytes(self) -> int:
        """RAM that is not the model's: receive ring, stack, frame buffers."""
        return self.rx_ring_bytes + self.stack_bytes + LINK_RAM_BYTES

    @property
    def firmware_flash_bytes(self) -> int:
        """Flash that is not the model's."""
        return FIRMWARE_FLASH_BYTES

    @property
    def model_ram_bytes(self) -> int:
        """RAM left for the emitted library's state."""
        return self.ram.bytes - self.firmware_ram_bytes

    @property
    def model_flash_bytes(self) -> int:
        """Flash left for the emitted library's code and tables."""
        return self.flash.bytes - self.firmware_flash_bytes


def _board(name: str, entry: BoardEntry) -> Board:
    clock = entry.clock
    return Board(
        name=name,
        title=entry.title,
        vendor=entry.vendor,
        url=entry.url,
        core=entry.core,
        extensions=tuple(entry.extensions),
        clock=Clock(clock.hz, clock.setup, clock.reset_hz or clock.hz),
        flash=Region(**entry.flash.model_dump()),
        ram=Region(**entry.ram.model_dump()),
        uart=Uart(**entry.uart.model_dump()),
        connect=tuple(RegisterWrite(**step.model_dump(by_alias=True)) for step in entry.connect),
        qemu=Qemu(**entry.qemu.model_dump()) if entry.qemu else None,
        verified=entry.verified,
        rx_ring_bytes=entry.rx_ring,
        stack_bytes=entry.stack,
    )


def read_boards(path: Path) -> dict[str, Board]:
    """The boards of a file. Raises FeastError naming the board and the field that is wrong."""
    return {name: _board(name, entry) for name, entry in read_entries(path).items()}


@cache
def load_boards() -> dict[str, Board]:
    """Every board that ships with codegen, by name, in the order of boards.yaml."""
    return read_boards(resource("boards.yaml"))


def get_board(name: str) -> Board:
    """The board of that name. Raises FeastError listing the known names."""
    boards = load_boards()
    if name not in boards:
        raise FeastError(f"unknown board {name!r}: expected one of {', '.join(boards)}")
    return boards[name]
