"""UART drivers and clock set-up against registers modelled in Python: what no emulator models, and bounds."""

from __future__ import annotations

import ctypes
import dataclasses
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from codegen.boards import Board, get_board
from codegen.resources import resource
from host.board_files import PLATFORM, header

RUNTIME = resource("firmware") / "platforms" / PLATFORM / "runtime"
MOCK = Path(__file__).parent / "mmio_mock"
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler on PATH")

READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)


class Registers:
    """A driver compiled for the host. ``words`` holds register values; ``on_read`` and ``on_write`` by
    address stand for what hardware does; ``log`` lists every write."""

    def __init__(self, source: str, board: Board, folder: Path) -> None:
        macros = "".join(f"#define {name} {value}\n" for name, value in header(board).items())
        (folder / "board.h").write_text(macros, encoding="utf-8")
        library = folder / "driver.so"
        flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
        includes = [f"-I{path}" for path in (MOCK, folder, RUNTIME)]
        sources = [RUNTIME / source, MOCK / "mock.c"]
        assert COMPILER
        subprocess.run([COMPILER, *flags, *includes, *sources, "-o", library], check=True)
        self.library = ctypes.CDLL(str(library))
        self.words: dict[int, int] = {}
        self.on_read: dict[int, Callable[[int], int]] = {}
        self.on_write: dict[int, Callable[[int], None]] = {}
        self.log: list[tuple[int, int]] = []
        self.reads = 0
        self._callbacks = READ(self._read), WRITE(self._write)
        for name, callback in zip(("mock_read", "mock_write"), self._callbacks, strict=True):
            pointer = ctypes.c_void_p.in_dll(self.library, name)
            pointer.value = ctypes.cast(callback, ctypes.c_void_p).value

    def _read(self, address: int) -> int:
        self.reads += 1
        word = self.words.get(address, 0)
        return self.on_read[address](word) if address in self.on_read else word

    def _write(self, address: int, value: int) -> None:
        self.log.append((address, value))
        self.words[address] = value
        if address in self.on_write:
            self.on_write[address](value)

    def setup(self, clock_hz: int, baud: int) -> None:
        self.library.uart_setup(clock_hz, baud)

    def take(self) -> tuple[int | None, int]:
        """The byte received, None if there is none, and what was counted as lost."""
        byte, lost = ctypes.c_uint8(), ctypes.c_uint32()
        self.library.uart_take.restype = ctypes.c_bool
        there = self.library.uart_take(ctypes.byref(byte), ctypes.byref(lost))
        return (byte.value if there else None), lost.value

    def put(self, byte: int) -> bool:
        self.library.uart_put.restype = ctypes.c_bool
        return bool(self.library.uart_put(ctypes.c_uint8(byte)))


# --- clock of the STM32F4 ---------------------------------------------------------------------------

RCC_CR, RCC_PLLCFGR, RCC_CFGR, FLASH_ACR = 0x4002_3800, 0x4002_3804, 0x4002_3808, 0x4002_3C00
PLL_ON, PLL_READY = 1 << 24, 1 << 25


@pytest.fixture
def f4(tmp_path: Path) -> Registers:
    registers = Registers("clock/stm32f4.c", get_board("netduinoplus2"), tmp_path)
    registers.library.clock_setup.restype = ctypes.c_bool
    registers.words[RCC_CR] = 0x83
    return registers


def test_the_pll_gives_the_rated_clock(f4: Registers) -> None:
    waits = iter(range(1000))
    f4.on_read[RCC_CR] = lambda word: word | (PLL_READY if word & PLL_ON and next(waits) > 100 else 0)
    f4.on_read[RCC_CFGR] = lambda word: word | (word & 3) << 2
    assert f4.library.clock_setup()
    m, n = f4.words[RCC_PLLCFGR] & 63, f4.words[RCC_PLLCFGR] >> 6 & 511
    p, q = 2 * (f4.words[RCC_PLLCFGR] >> 16 & 3) + 2, f4.words[RCC_PLLCFGR] >> 24 & 15
    assert 16_000_000 / m * n / p == get_board("netduinoplus2").clock_hz
    assert 16_000_000 / m * n / q <= 48_000_000
    assert f4.words[RCC_CFGR] & 3 == 2
    assert f4.words[RCC_CFGR] >> 10 & 7 == 5, "APB1 at a quarter: at most 42 MHz"
    assert f4.words[RCC_CFGR] >> 13 & 7 == 4, "APB2 at half: at most 84 MHz, the UART's bus_divider"
    assert f4.words[FLASH_ACR] & 7 == 5
    order = [address for address, _ in f4.log]
    assert order.index(FLASH_ACR) < order.index(RCC_CFGR), "wait states before the faster clock"


@pytest.mark.parametrize("stuck", [RCC_CR, FLASH_ACR, RCC_CFGR])
def test_a_clock_that_does_not_come_up_is_given_up(f4: Registers, stuck: int) -> None:
    f4.on_read[RCC_CR] = lambda word: word | (PLL_READY if word & PLL_ON else 0)
    f4.on_read[RCC_CFGR] = lambda word: word | (word & 3) << 2
    f4.on_read[stuck] = lambda word: word & ~PLL_READY if stuck == RCC_CR else 0
    assert not f4.library.clock_setup()
    assert f4.reads < 100_000
    assert f4.words[RCC_CFGR] & 0xFCF3 == 0 if RCC_CFGR in f4.words else True
    assert not f4.words[RCC_CR] & PLL_ON


# --- UARTs ------------------------------------------------------------------------------------------


def uart(family: str, tmp_path: Path) -> tuple[Registers, int]:
    """The driver of a family and the base address of its registers."""
    name = {"cmsdk": "mps2_an386", "stm32_v1": "netduinoplus2", "nrf": "bbcmicrobit", "pl011": "lm3s6965evb"}
    board = get_board(name[family])
    base = 0x5000_0000
    board = dataclasses.replace(board, uart=dataclasses.replace(board.uart, base=base))
    return Registers(f"uart/{family}.c", board, tmp_path), base


@pytest.mark.parametrize(
    ("family", "clock_hz", "registers"),
    [
        ("cmsdk", 25_000_000, {0x10: 217, 0x08: 0b1011}),
        ("stm32_v1", 84_000_000, {0x08: 729, 0x0C: 0x202C}),
        ("stm32_v1", 16_000_000, {0x08: 139}),
        ("nrf", 16_000_000, {0x524: 0x01D7_E000, 0x500: 4, 0x304: 4, 0x000: 1, 0x008: 1}),
        ("pl011", 8_000_000, {0x24: 4, 0x28: 22, 0x2C: 0x70, 0x30: 0x301, 0x38: 0x50}),
    ],
)
def test_set_up(family: str, clock_hz: int, registers: dict[int, int], tmp_path: Path) -> None:
    driver, base = uart(family, tmp_path)
    driver.setup(clock_hz, 115_200)
    assert {offset: driver.words[base + offset] for offset in registers} == registers


def test_cmsdk_takes_counts_and_waits(tmp_path: Path) -> None:
    driver, base = uart("cmsdk", tmp_path)
    assert driver.take() == (None, 0)
    driver.words |= {base + 4: 0x2, base: 0x41}
    assert driver.take() == (0x41, 0)
    assert (base + 0xC, 2) in driver.log, "the interrupt is acknowledged"
    driver.words[base + 4] = 0xA
    assert driver.take() == (0x41, 1)
    assert (base + 4, 8) in driver.log, "the overrun is acknowledged"
    driver.words[base + 4] = 0x1
    assert not driver.put(0x42)
    driver.words[base + 4] = 0x0
    assert driver.put(0x42)
    assert driver.log[-1] == (base, 0x42)


def test_stm32_v1_takes_counts_and_waits(tmp_path: Path) -> None:
    driver, base = uart("stm32_v1", tmp_path)
    assert driver.take() == (None, 0)
    driver.words |= {base: 0x20, base + 4: 0x41}
    assert driver.take() == (0x41, 0)
    driver.words[base] = 0x28
    assert driver.take() == (0x41, 1)
    driver.words[base] = 0x08
    before = driver.reads
    assert driver.take() == (None, 1)
    assert driver.reads == before + 2, "SR then DR: else the interrupt would stay raised for ever"
    driver.words[base] = 0x00
    assert not driver.put(0x42)
    driver.words[base] = 0x80
    assert driver.put(0x42)
    assert driver.log[-1] == (base + 4, 0x42)


def test_nrf_takes_counts_and_waits(tmp_path: Path) -> None:
    driver, base = uart("nrf", tmp_path)
    driver.setup(16_000_000, 115_200)
    assert driver.take() == (None, 0)
    queue = [0x41, 0x42]
    driver.words[base + 0x108] = 1

    def read_rxd(_: int) -> int:
        assert driver.words[base + 0x108] == 0, "the event is cleared before the byte is taken"
        byte = queue.pop(0)
        driver.words[base + 0x108] = int(bool(queue))
        return byte

    driver.on_read[base + 0x518] = read_rxd
    assert [driver.take(), driver.take(), driver.take()] == [(0x41, 0), (0x42, 0), (None, 0)]
    driver.words[base + 0x480] = 1
    assert driver.take() == (None, 1)
    assert driver.put(0x42), "nothing was sent before"
    assert not driver.put(0x43)
    driver.words[base + 0x11C] = 1
    assert driver.put(0x43)


def test_pl011_takes_counts_and_waits(tmp_path: Path) -> None:
    driver, base = uart("pl011", tmp_path)
    driver.words[base + 0x18] = 0x10
    assert driver.take() == (None, 0)
    driver.words |= {base + 0x18: 0, base: 0x841}
    assert driver.take() == (0x41, 1)
    assert (base + 0x44, 0x50) in driver.log
    driver.words[base + 0x18] = 0x20
    assert not driver.put(0x42)
    driver.words[base + 0x18] = 0
    assert driver.put(0x42)
