"""What boards.yaml may say: the schema of an entry, and the reader that holds a file to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from feast_codegen.codegen.base.errors import FeastError

Core = Literal[
    "cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"
]
Extension = Literal["dsp", "mve"]
UartFamily = Literal["cmsdk", "stm32_v1", "stm32_v2", "nrf", "pl011"]
ClockSetup = Literal["fixed", "lm3s", "nrf52", "rp2040", "rp2350", "stm32f4", "stm32h7", "stm32l4"]
Boot = Literal["rp2040", "rp2350"]
PersistFamily = Literal["nrf", "ram", "stm32f4"]
Verified = Literal["emulated", "built"]

EXTENSIONS_OF_CORE: Final[dict[str, frozenset[str]]] = {
    "cortex-m0": frozenset(),
    "cortex-m0plus": frozenset(),
    "cortex-m3": frozenset(),
    "cortex-m4": frozenset({"dsp"}),
    "cortex-m7": frozenset({"dsp"}),
    "cortex-m33": frozenset({"dsp"}),
    "cortex-m55": frozenset({"dsp", "mve"}),
}

FIRMWARE_FLASH_BYTES: Final = 12 * 1024
"""Flash of the firmware without the emitted library: start-up, drivers, link, library routines."""
PERSIST_SLOTS: Final = 2
LINK_RAM_BYTES: Final = 512
"""RAM of the firmware beyond receive ring, stack and the buffers of the link: its counters, and the longest
message it sends."""


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
ConfigFile = Annotated[str, Field(pattern=r"^[a-z0-9_/-]+\.cfg$")]
Size = Annotated[int, BeforeValidator(_size), Field(ge=256, le=1 << 31, multiple_of=8)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class RegionEntry(_Strict):
    origin: Address
    bytes: Size


class ClockEntry(_Strict):
    hz: Hertz
    setup: ClockSetup = "fixed"
    reset_hz: Hertz | None = None

    @model_validator(mode="after")
    def _check(self) -> ClockEntry:
        if (self.setup == "fixed") != (self.reset_hz is None):
            raise ValueError("reset_hz belongs to a clock with a setup, and only there")
        return self


class UartEntry(_Strict):
    family: UartFamily
    base: Address
    irq: Annotated[int, Field(ge=0, le=239)]
    baud: Annotated[int, Field(ge=9600, le=4_000_000)] = 115_200
    clock_hz: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    bus_divider: Annotated[int, Field(ge=1, le=16)] = 1


class RegisterWriteEntry(_Strict):
    register_: Annotated[Address, Field(alias="register")]
    clear: Word = 0
    set: Word = 0
    wait: Word = 0
    note: Annotated[str, Field(min_length=1)]


class QemuEntry(_Strict):
    machine: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    tick_hz: Hertz


class LinkEntry(_Strict):
    frame: Annotated[int, Field(ge=64, le=4096)] = 256
    window: Annotated[int, Field(ge=16, le=16_384)] = 128
    results: Annotated[int, Field(ge=16, le=4096)] = 64

    @model_validator(mode="after")
    def _check(self) -> LinkEntry:
        if self.window & (self.window - 1):
            raise ValueError(f"window must be a power of two, got {self.window}")
        if self.results > self.window:
            raise ValueError(f"results of a frame must lie within the window of {self.window}")
        return self

    @property
    def ram_bytes(self) -> int:
        """Frame in, results kept (two bytes each), results of a frame out."""
        return self.frame + 2 * self.window + 2 * self.results


class PersistEntry(_Strict):
    family: PersistFamily
    origin: Address
    slot: Size
    page: Size

    @model_validator(mode="after")
    def _check(self) -> PersistEntry:
        if self.page & (self.page - 1):
            raise ValueError(f"page must be a power of two, got {self.page}")
        if self.origin % self.page or self.slot % self.page:
            raise ValueError(f"origin and slot must be whole pages of {self.page} bytes")
        return self

    @property
    def bytes(self) -> int:
        """Both slots."""
        return PERSIST_SLOTS * self.slot


class Uf2Entry(_Strict):
    family: Word
    drive: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


class ProgramEntry(_Strict):
    pyocd: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] | None = None
    pack: bool = False
    openocd: Annotated[list[ConfigFile], Field(min_length=1)] | None = None
    uf2: Uf2Entry | None = None
    usb: list[Annotated[str, Field(pattern=r"^[0-9a-f]{4}:[0-9a-f]{4}$")]] = []

    @model_validator(mode="after")
    def _check(self) -> ProgramEntry:
        if self.pyocd is None and self.openocd is None and self.uf2 is None:
            raise ValueError("expected at least one of pyocd, openocd, uf2")
        if self.pack and self.pyocd is None:
            raise ValueError("pack belongs to pyocd")
        return self


class BoardEntry(_Strict):
    title: Annotated[str, Field(min_length=1)]
    vendor: Annotated[str, Field(min_length=1)]
    url: Annotated[str, Field(pattern=r"^https://")]
    core: Core
    extensions: list[Extension] = []
    clock: ClockEntry
    flash: RegionEntry
    ram: RegionEntry
    persist: PersistEntry | None = None
    uart: UartEntry
    connect: list[RegisterWriteEntry] = []
    qemu: QemuEntry | None = None
    program: ProgramEntry | None = None
    verified: Verified
    boot: Boot | None = None
    rx_ring: Size = 2048
    stack: Size = 2048
    link: LinkEntry = LinkEntry()

    @model_validator(mode="after")
    def _check(self) -> BoardEntry:
        for extension in self.extensions:
            if extension not in EXTENSIONS_OF_CORE[self.core]:
                raise ValueError(f"{self.core} has no extension {extension}")
        if self.flash.origin < self.ram.origin + self.ram.bytes and (
            self.ram.origin < self.flash.origin + self.flash.bytes
        ):
            raise ValueError("flash and ram overlap")
        if self.persist is not None:
            self._check_persist(self.persist)
        if self.rx_ring & (self.rx_ring - 1):
            raise ValueError(f"rx_ring must be a power of two, got {self.rx_ring}")
        if self.rx_ring + self.stack + self.link.ram_bytes + LINK_RAM_BYTES >= self.ram.bytes:
            raise ValueError("rx_ring, stack and link buffers leave no RAM for a model")
        if self.verified == "emulated" and self.qemu is None:
            raise ValueError("verified: emulated needs a qemu machine")
        return self

    def _check_persist(self, persist: PersistEntry) -> None:
        flash_end = self.flash.origin + self.flash.bytes
        if persist.origin < self.flash.origin or persist.origin + persist.bytes > flash_end:
            raise ValueError(
                f"persist: two slots of {persist.slot} bytes at {persist.origin:#010x} are not in the flash"
            )
        if persist.origin < self.flash.origin + FIRMWARE_FLASH_BYTES:
            raise ValueError("persist: leaves no flash for the code, which lies before it")


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


def read_entries(path: Path) -> dict[str, BoardEntry]:
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
    entries: dict[str, BoardEntry] = {}
    for name, entry in document.items():
        if not isinstance(name, str) or not name.isidentifier() or name != name.lower():
            raise FeastError(f"{path}: board name {name!r}: expected lower-case letters, digits and _")
        try:
            entries[name] = BoardEntry.model_validate(entry)
        except ValidationError as error:
            raise FeastError(f"{path}: board {name}: {_first_problem(error)}") from None
    return entries


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    got = f", got {problem['input']!r}" if problem["type"] not in ("missing", "value_error") else ""
    return f"{where}: {message}{got}" if where else f"{message}{got}"
