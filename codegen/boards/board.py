"""The boards of boards.yaml: cores, memory maps, UARTs, and what the firmware keeps for itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.resources import resource
from feast_codegen.codegen.boards.schema import (
    FIRMWARE_FLASH_BYTES,
    LINK_RAM_BYTES,
    BoardEntry,
    Boot,
    ClockSetup,
    Core,
    Extension,
    PersistEntry,
    PersistFamily,
    ProgramEntry,
    UartFamily,
    Verified,
    read_entries,
)

Kernel = Literal["small", "portable", "dsp", "vector"]

FIRMWARE_STACK_BYTES: Final = 384
"""Stack of the firmware around the library: main loop, link, the deepest interrupt."""


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
class PersistMemory:
    """Flash, or what stands in for it, that keeps a learned state: two slots, one after the other."""

    family: PersistFamily
    origin: int
    slot_bytes: int
    page_bytes: int
    """What is erased at a time."""


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
    """One step of connecting the UART: new = (old & ~clear) | set, then until all bits of `wait` are set."""

    register: int
    clear: int
    set: int
    wait: int
    note: str


@dataclass(frozen=True)
class Qemu:
    """The QEMU machine that equals the board. `tick_hz`: rate at which it counts SysTick."""

    machine: str
    tick_hz: int


@dataclass(frozen=True)
class LinkBuffers:
    """Buffers of the serial link on the device."""

    frame_bytes: int
    """Longest frame it takes."""
    window: int
    """Results it keeps to send again, a power of two."""
    results: int
    """Most results in one frame."""


@dataclass(frozen=True)
class Uf2:
    """A boot loader that shows up as a drive: family id of its UF2 files, volume name of the drive."""

    family: int
    drive: str


@dataclass(frozen=True)
class Program:
    """Ways to get a firmware into the flash, and the USB ids (vendor:product) of the board's own probe."""

    pyocd: str | None
    """Target name; `pack`: pyOCD needs a CMSIS pack for it."""
    pack: bool
    openocd: tuple[str, ...] | None
    """Configuration files, interface first."""
    uf2: Uf2 | None
    usb: tuple[str, ...]


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
    persist: PersistMemory | None
    """In the flash, behind the code."""
    uart: Uart
    connect: tuple[RegisterWrite, ...]
    qemu: Qemu | None
    program: Program | None
    verified: Verified
    boot: Boot | None
    """What the chip's ROM wants to see before it runs the image."""
    rx_ring_bytes: int
    """Receive ring, a power of two: the bytes the host may have in flight."""
    stack_bytes: int
    link: LinkBuffers

    @property
    def code(self) -> Region:
        """The part of the flash that code and tables may take: all that lies before that memory."""
        end = self.flash.end if self.persist is None else self.persist.origin
        return Region(self.flash.origin, end - self.flash.origin)

    @property
    def clock_hz(self) -> int:
        """Core clock after set-up."""
        return self.clock.hz

    @property
    def kernel(self) -> Kernel:
        """What suits the core: vectors, packed multiply-accumulate, or C for 13 or 8 registers."""
        if "mve" in self.extensions:
            return "vector"
        if "dsp" in self.extensions:
            return "dsp"
        return "small" if self.core in ("cortex-m0", "cortex-m0plus") else "portable"

    @property
    def firmware_ram_bytes(self) -> int:
        """RAM that is not the model's: receive ring, stack, frame buffers."""
        link = self.link
        buffers = link.frame_bytes + 2 * link.window + 2 * link.results
        return self.rx_ring_bytes + self.stack_bytes + buffers + LINK_RAM_BYTES

    @property
    def firmware_flash_bytes(self) -> int:
        """Flash that is not the model's."""
        return FIRMWARE_FLASH_BYTES

    @property
    def model_ram_bytes(self) -> int:
        """RAM left for the emitted library's state."""
        return self.ram.bytes - self.firmware_ram_bytes

    @property
    def model_stack_bytes(self) -> int:
        """Stack left for the emitted library."""
        return self.stack_bytes - FIRMWARE_STACK_BYTES

    @property
    def model_flash_bytes(self) -> int:
        """Flash left for the emitted library's code and tables."""
        return self.code.bytes - self.firmware_flash_bytes


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
        persist=_persist(entry.persist) if entry.persist else None,
        uart=Uart(**entry.uart.model_dump()),
        connect=tuple(RegisterWrite(**step.model_dump(by_alias=True)) for step in entry.connect),
        qemu=Qemu(**entry.qemu.model_dump()) if entry.qemu else None,
        program=_program(entry.program) if entry.program else None,
        verified=entry.verified,
        boot=entry.boot,
        rx_ring_bytes=entry.rx_ring,
        stack_bytes=entry.stack,
        link=LinkBuffers(entry.link.frame, entry.link.window, entry.link.results),
    )


def _persist(entry: PersistEntry) -> PersistMemory:
    return PersistMemory(entry.family, entry.origin, entry.slot, entry.page)


def _program(entry: ProgramEntry) -> Program:
    return Program(
        pyocd=entry.pyocd,
        pack=entry.pack,
        openocd=tuple(entry.openocd) if entry.openocd else None,
        uf2=Uf2(entry.uf2.family, entry.uf2.drive) if entry.uf2 else None,
        usb=tuple(entry.usb),
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
