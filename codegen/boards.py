"""The boards of boards.yaml, validated: cores, memory maps, UARTs, and what the firmware keeps for itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from codegen.errors import FeastError
from codegen.resources import resource

Core = Literal[
    "cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"
]
Extension = Literal["dsp", "mve"]
UartFamily = Literal["cmsdk", "stm32_v1", "nrf", "pl011"]
ClockSetup = Literal["fixed", "lm3s", "stm32f4"]
Verified = Literal["emulated", "built"]
Kernel = Literal["portable", "dsp", "helium"]

EXTENSIONS_OF_CORE: Final[dict[str, frozenset[str]]] = {
    "cortex-m0": frozenset(),
    "cortex-m0plus": frozenset(),
    "cortex-m3": frozenset(),
    "cortex-m4": frozenset({"dsp"}),
    "cortex-m7": frozenset({"dsp"}),
    "cortex-m33": frozenset({"dsp"}),
    "cortex-m55": frozenset({"dsp", "mve"}),
}

LINK_RAM_BYTES: Final = 1024
"""RAM of the firmware beyond receive ring and stack: frame buffers and counters."""
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


def _size(value: Any) -> Any:
    """Bytes from ``"128K"`` or ``"4M"``; anything else is left to the schema.

    >>> _size("128K"), _size("4M"), _size(512)
    (131072, 4194304, 512)
    """
    units = {"K": 1024, "M": 1024 * 1024}
    if isinstance(value, str) and value[-1:] in units and value[:-1].isdigit():
        return int(value[:-1]) * units[value[-1]]
    return value


Address = Annotated[int, Field(ge=0, le=0xFFFF_FFFC, multiple_of=4)]
Word = Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]
Hertz = Annotated[int, Field(ge=1_000_000, le=1_000_000_000)]
Size = Annotated[int, BeforeValidator(_size), Field(ge=256, le=1 << 31, multiple_of=8)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _RegionSchema(_Strict):
    origin: Address
    bytes: Size


class _ClockSchema(_Strict):
    hz: Hertz
    setup: ClockSetup = "fixed"
    reset_hz: Hertz | None = None

    @model_validator(mode="after")
    def _check(self) -> _ClockSchema:
        if (self.setup == "fixed") != (self.reset_hz is None):
            raise ValueError("reset_hz belongs to a clock with a setup, and only there")
        return self


class _UartSchema(_Strict):
    family: UartFamily
    base: Address
    irq: Annotated[int, Field(ge=0, le=239)]
    baud: Annotated[int, Field(ge=9600, le=4_000_000)] = 115_200
    clock_hz: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    bus_divider: Annotated[int, Field(ge=1, le=16)] = 1


class _RegisterWriteSchema(_Strict):
    register_: Annotated[Address, Field(alias="register")]
    clear: Word = 0
    set: Word = 0
    note: Annotated[str, Field(min_length=1)]


class _QemuSchema(_Strict):
    machine: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    tick_hz: Hertz


class _BoardSchema(_Strict):
    title: Annotated[str, Field(min_length=1)]
    vendor: Annotated[str, Field(min_length=1)]
    url: Annotated[str, Field(pattern=r"^https://")]
    core: Core
    extensions: list[Extension] = []
    clock: _ClockSchema
    flash: _RegionSchema
    ram: _RegionSchema
    uart: _UartSchema
    connect: list[_RegisterWriteSchema] = []
    qemu: _QemuSchema | None = None
    verified: Verified
    rx_ring: Size = 2048
    stack: Size = 2048

    @model_validator(mode="after")
    def _check(self) -> _BoardSchema:
        for extension in self.extensions:
            if extension not in EXTENSIONS_OF_CORE[self.core]:
                raise ValueError(f"{self.core} has no extension {extension}")
        if self.flash.origin < self.ram.origin + self.ram.bytes and (
            self.ram.origin < self.flash.origin + self.flash.bytes
        ):
            raise ValueError("flash and ram overlap")
        if self.rx_ring & (self.rx_ring - 1):
            raise ValueError(f"rx_ring must be a power of two, got {self.rx_ring}")
        if self.rx_ring + self.stack + LINK_RAM_BYTES >= self.ram.bytes:
            raise ValueError("rx_ring, stack and link buffers leave no RAM for a model")
        if self.verified == "emulated" and self.qemu is None:
            raise ValueError("verified: emulated needs a qemu machine")
        return self


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key given twice, which YAML would let silently replace the first."""


def _mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is given twice", node.value[index][0].start_mark
            )
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _board(name: str, entry: _BoardSchema) -> Board:
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
    """Read and validate a boards file. Raises FeastError naming the board and the field."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)
    except OSError as error:
        raise FeastError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise FeastError(f"{path}: not valid YAML: {reason}") from None
    if not isinstance(document, dict) or not document:
        raise FeastError(f"{path}: expected one entry per board")
    boards: dict[str, Board] = {}
    for name, entry in document.items():
        if not isinstance(name, str) or not name.isidentifier() or name != name.lower():
            raise FeastError(f"{path}: board name {name!r}: expected lower-case letters, digits and _")
        try:
            boards[name] = _board(name, _BoardSchema.model_validate(entry))
        except ValidationError as error:
            raise FeastError(f"{path}: board {name}: {_first_problem(error)}") from None
    return boards


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


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    got = f", got {problem['input']!r}" if problem["type"] not in ("missing", "value_error") else ""
    return f"{where}: {message}{got}" if where else f"{message}{got}"
