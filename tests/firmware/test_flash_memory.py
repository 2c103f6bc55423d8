"""Flash drivers against controllers modelled in Python, with each of their waits stuck in turn."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from feast_codegen.codegen.boards.board import Board, PersistMemory, get_board, load_boards
from feast_codegen.host.boards.platformio_files import manifest
from tests.firmware.test_registers import COMPILER, Registers
from tests.support.link_device import FIRMWARE

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler on PATH")

BOARDS = [name for name, board in load_boards().items() if board.persist]
STM32 = [name for name in BOARDS if get_board(name).persist.family == "stm32f4"]  # type: ignore[union-attr]
BLANK = 0xFFFF_FFFF
UNIT = 16
POLLS = 40
BUSY_POLLS = 5
KEYS = [0x4567_0123, 0xCDEF_89AB]
LOCK, START, BUSY = 1 << 31, 1 << 16, 1 << 16
DATA_CACHE, EMPTY_DATA_CACHE = 1 << 10, 1 << 12


class Memory(Registers):
    """persist_memory.c and a driver on a memory that is full of an old state.

    ``operations``: erases and writes so far; the controller never ends the one numbered `stuck_at`.
    ``violations``: what no manual allows. ``pages``: addresses of those erased.
    """

    def __init__(self, board: Board, folder: Path) -> None:
        assert board.persist
        self.board, self.persist = board, board.persist
        self.operations, self.stuck_at = 0, -1
        self.violations: list[str] = []
        self.pages: list[int] = []
        self._busy = 0
        sources = ["persist_memory.c", f"flash/{board.persist.family}.c"]
        defines = manifest(board)["feast"]["link_defines"] | {"FLASH_POLLS": f"{POLLS}u"}
        super().__init__(sources, board, folder, defines, [FIRMWARE])
        for name in ("persist_port_erase", "persist_port_write"):
            getattr(self.library, name).restype = ctypes.c_bool

    # --- what the firmware calls ---

    def erase(self, slot: int, size: int) -> bool:
        return bool(self.library.persist_port_erase(slot, size))

    def put_unit(self, slot: int, offset: int, unit: bytes) -> bool:
        return bool(self.library.persist_port_write(slot, offset, unit))

    def get(self, slot: int, offset: int, count: int) -> bytes:
        data = ctypes.create_string_buffer(count)
        self.library.persist_port_read(slot, offset, data, count)
        return data.raw

    # --- what the hardware does ---

    def holds(self, address: int) -> bool:
        return self.board.flash.origin <= address < self.board.flash.end and (
            self.persist.family == "ram" or address >= self.persist.origin
        )

    def _read(self, address: int) -> int:
        if self.holds(address):
            self.reads += 1
            return self.words.get(address, 0x0BAD_0BAD)
        return super()._read(address)

    def _write(self, address: int, value: int) -> None:
        if not self.holds(address):
            super()._write(address, value)
        elif self._busy:
            self.violations.append(f"writes {address:#x} while it is busy")
        else:
            self.program(address, value)

    def is_busy(self) -> bool:
        """Counts as a poll."""
        self._busy -= self._busy > 0
        return self._busy > 0

    def begin(self) -> bool:
        """An operation begins; False if it will never end."""
        self._busy = BUSY_POLLS
        self.operations += 1
        if self.operations == self.stuck_at:
            self._busy = 1 << 30
        return self.operations != self.stuck_at

    def program(self, address: int, value: int) -> None:
        """Only clears bits."""
        self.words[address] = self.words.get(address, 0x0BAD_0BAD) & value

    def blank(self, page: int, size: int) -> None:
        if not self.holds(page) or page % size:
            self.violations.append(f"erases {page:#x}")
        self.pages.append(page)
        self.words |= dict.fromkeys(range(page, page + size, 4), BLANK)

    def is_shut(self) -> bool:
        """Nothing can be written by mistake."""
        return True


class Ram(Memory):
    def program(self, address: int, value: int) -> None:
        self.words[address] = value  # there is nothing that only clears


class Nrf(Memory):
    READY, CONFIG, ERASEPAGE = 0x4001_E400, 0x4001_E504, 0x4001_E508

    def __init__(self, board: Board, folder: Path) -> None:
        super().__init__(board, folder)
        self.on_read[self.READY] = lambda _: int(not self.is_busy())
        self.on_write[self.ERASEPAGE] = self._erase_page

    def _erase_page(self, address: int) -> None:
        if self.words.get(self.CONFIG) != 2:
            self.violations.append("erases though it may not")
        elif self.begin():
            self.blank(address, self.persist.page_bytes)

    def program(self, address: int, value: int) -> None:
        if self.words.get(self.CONFIG) != 1:
            self.violations.append("writes though it may not")
        elif self.begin():
            super().program(address, value)

    def is_shut(self) -> bool:
        return self.words[self.CONFIG] == 0


class Stm32(Memory):
    ACR, KEYR, SR, CR = 0x4002_3C00, 0x4002_3C04, 0x4002_3C0C, 0x4002_3C10

    def __init__(self, board: Board, folder: Path) -> None:
        super().__init__(board, folder)
        self.keys: list[int] = []
        self.keys_fit = True
        self.error_at, self.errors = -1, 0
        self.locked = True
        self.words[self.ACR] = DATA_CACHE | 5
        self.cache_emptied = 0
        self.on_read[self.SR] = lambda _: BUSY * self.is_busy() | self.errors
        self.on_read[self.CR] = lambda word: LOCK if self.locked else word & ~(LOCK | START)
        self.on_write |= {self.KEYR: self._key, self.SR: self._clear}
        self.on_write |= {self.CR: self._order, self.ACR: self._acr}

    def _key(self, value: int) -> None:
        self.keys.append(value)
        if not self.locked:
            self.violations.append("a key though it is open")
        self.locked = not (self.keys_fit and self.keys[-2:] == KEYS)

    def _clear(self, value: int) -> None:
        self.errors &= ~value

    def _acr(self, value: int) -> None:
        if value & EMPTY_DATA_CACHE:
            if value & DATA_CACHE:
                self.violations.append("empties a cache that is on")
            self.cache_emptied += 1

    def _order(self, value: int) -> None:
        if self._busy:
            self.violations.append("writes FLASH_CR while it is busy: the bus would stand still")
        if self.locked:
            self.violations.append("an order though it is locked")
        self.locked = bool(value & LOCK)
        if value & START and self.begin() and not self._fails():
            self.blank(0x0800_0000 + 0x2_0000 * ((value >> 3 & 0xF) - 4), 0x2_0000)

    def _fails(self) -> bool:
        failing = self.operations == self.error_at
        self.errors |= 0x10 * failing
        return failing

    def program(self, address: int, value: int) -> None:
        if self.locked or not self.words.get(self.CR, 0) & 1:
            self.violations.append("writes though it may not")
        elif self.begin() and not self._fails():
            super().program(address, value)

    def is_shut(self) -> bool:
        return self.locked and self.words[self.ACR] == DATA_CACHE | 5


MODELS: dict[str, type[Memory]] = {"ram": Ram, "nrf": Nrf, "stm32f4": Stm32}


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Memory]:
    """A fresh one of the board of that name; its driver is compiled once."""
    folder = cache(lambda name: tmp_path_factory.mktemp(name))
    return lambda name: MODELS[persist_of(name).family](get_board(name), folder(name))


def persist_of(name: str) -> PersistMemory:
    persist = get_board(name).persist
    assert persist
    return persist


@pytest.mark.parametrize("name", BOARDS)
def test_what_is_written_is_read(name: str, memory: Callable[[str], Memory]) -> None:
    device, persist = memory(name), persist_of(name)
    data = bytes(i * 37 % 256 for i in range(5 * UNIT))
    for slot in (1, 0):
        size = persist.page_bytes + UNIT
        begin, pages = persist.origin + slot * persist.slot_bytes, -(-size // persist.page_bytes)
        if pages * persist.page_bytes > persist.slot_bytes:
            size, pages = persist.page_bytes, 1
        device.pages.clear()
        assert device.erase(slot, size)
        if persist.family != "ram":
            assert device.pages == [begin + i * persist.page_bytes for i in range(pages)], (
                "no more than asked"
            )
        assert device.get(slot, 0, 64) == b"\xff" * 64
        assert device.is_shut()
        for at in range(0, len(data), UNIT):
            assert device.put_unit(slot, at, data[at : at + UNIT])
            assert device.is_shut()
        assert device.get(slot, 3, 50) == data[3:53]
        assert device.get(slot, len(data), 8) == b"\xff" * 8
    assert device.get(1, 0, len(data)) == data, "one slot does not touch the other"
    assert not device.violations


@pytest.mark.parametrize("name", [name for name in BOARDS if persist_of(name).family != "ram"])
def test_a_controller_that_never_ends_is_given_up(name: str, memory: Callable[[str], Memory]) -> None:
    """In each of its operations, in bounded time, and all that comes next is refused as well."""
    for stuck_at in range(1, 6):
        device = memory(name)
        device.stuck_at = stuck_at
        done = device.erase(0, 1)
        for at in range(4):
            before = device.reads
            done = done and device.put_unit(0, UNIT * at, bytes(UNIT))
            assert device.reads - before < 8 * (POLLS + 10)
        assert not done
        before = device.reads
        assert not device.erase(0, 1) and not device.put_unit(0, 0, bytes(UNIT))
        assert device.reads - before < 8 * (POLLS + 10)
        assert device.operations == stuck_at, "it is left alone"
        assert not device.violations


@pytest.mark.parametrize("name", STM32)
class TestStm32:
    def test_an_error_is_told_and_does_not_last(self, name: str, memory: Callable[[str], Memory]) -> None:
        device = memory(name)
        assert isinstance(device, Stm32)
        device.error_at = 1
        assert not device.erase(0, 1)
        assert device.is_shut()
        device.error_at = 3
        assert device.erase(0, 1)
        assert not device.put_unit(0, 0, bytes(UNIT))
        assert device.is_shut()
        assert device.put_unit(0, UNIT, bytes(UNIT))
        assert not device.violations

    def test_keys_that_do_not_fit(self, name: str, memory: Callable[[str], Memory]) -> None:
        device = memory(name)
        assert isinstance(device, Stm32)
        device.keys_fit = False
        assert not device.erase(0, 1) and not device.put_unit(0, 0, bytes(UNIT))
        assert device.operations == 0
        assert device.get(0, 0, 4) == b"\xad\x0b\xad\x0b"

    def test_the_data_cache_forgets_what_was_there(self, name: str, memory: Callable[[str], Memory]) -> None:
        device = memory(name)
        assert isinstance(device, Stm32)
        assert device.erase(0, 1) and device.put_unit(0, 0, bytes(UNIT))
        assert device.cache_emptied == 2
        assert device.words[device.ACR] == DATA_CACHE | 5
        device.words[device.ACR] = 5  # one that is off stays off
        assert device.put_unit(0, UNIT, bytes(UNIT))
        assert device.words[device.ACR] == 5


def test_the_model_notices_what_a_driver_may_not_do(memory: Callable[[str], Memory]) -> None:
    """Planted: writes without permission change nothing and are reported."""
    for name in ("nrf52840dk", "nucleo_f446re"):
        device, origin = memory(name), persist_of(name).origin
        device._write(origin, 0)
        assert device.violations
        assert device.get(0, 0, 4) == b"\xad\x0b\xad\x0b"
