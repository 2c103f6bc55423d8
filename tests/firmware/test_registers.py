"""UART drivers and clock set-up against registers modelled in Python: what no emulator models, and bounds."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from feast_codegen.codegen.base.resources import resource
from feast_codegen.codegen.boards.board import Board, get_board, load_boards
from feast_codegen.host.boards.platformio_files import PLATFORM, header

RUNTIME = resource("firmware") / "platforms" / PLATFORM / "runtime"
MOCK = Path(__file__).parent / "mmio_mock"
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler on PATH")

READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)


class Registers:
    """A driver compiled for the host, once in a folder.

    ``words`` holds register values; ``on_read`` and ``on_write`` by address stand for what hardware does;
    ``log`` lists every write.
    """

    def __init__(
        self,
        source: str | list[str],
        board: Board,
        folder: Path,
        defines: Mapping[str, str] = {},
        include: Sequence[Path] = (),
    ) -> None:
        macros = "".join(f"#define {name} {value}\n" for name, value in header(board).items())
        (folder / "board.h").write_text(macros, encoding="utf-8")
        library = folder / "driver.so"
        flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
        flags += ["-include", str(MOCK / "mmio.h")]  # its guard keeps the real one out
        flags += [f"-D{name}={value}" for name, value in defines.items()]
        includes = [f"-I{path}" for path in (MOCK, folder, RUNTIME, *include)]
        parts = [source] if isinstance(source, str) else source
        sources = [*(RUNTIME / part for part in parts), MOCK / "mock.c"]
        assert COMPILER
        if not library.exists():
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


# --- other clocks -----------------------------------------------------------------------------------


class Chip:
    """What a clock set-up must bring about on one chip.

    ready: (register, mask) that hardware sets once another (register, bits) is set, or is 0 for bits 0.
    final: (mask, value) by register, once the clock is up.
    """

    def __init__(
        self, name: str, ready: dict[tuple[int, int], tuple[int, int]], final: dict[int, tuple[int, int]]
    ) -> None:
        self.name, self.ready, self.final = name, ready, final

    def connect(self, registers: Registers) -> None:
        for register in {register for register, _ in self.ready}:
            registers.on_read[register] = functools.partial(self._read, registers, register)

    def _read(self, registers: Registers, register: int, word: int) -> int:
        for (at, mask), (cause, bits) in self.ready.items():
            if at == register:
                there = (
                    registers.words.get(cause, 0) & bits == bits if bits else not registers.words.get(cause)
                )
                word = word & ~mask | (mask if there else 0)
        return word


RP2040 = {
    "resets": 0x4000_C000,
    "xosc": 0x4002_4000,
    "pll": 0x4002_8000,
    "clocks": 0x4000_8000,
    "bit": 1 << 12,
}
RP2350 = {
    "resets": 0x4002_0000,
    "xosc": 0x4004_8000,
    "pll": 0x4005_0000,
    "clocks": 0x4001_0000,
    "bit": 1 << 14,
}


def rp2(name: str, at: dict[str, int], divider: int) -> Chip:
    resets, xosc, pll, clocks, bit = at.values()
    return Chip(
        name,
        {
            (xosc + 4, 1 << 31): (xosc, 0xFABAA0),
            (clocks + 0x38, 4): (clocks + 0x30, 2),
            (clocks + 0x44, 2): (clocks + 0x3C, 1),
            (resets + 8, bit): (resets, 0),
            (pll, 1 << 31): (pll + 8, 125),
        },
        {
            pll + 8: (0xFFF, 125),
            pll + 0x0C: (0x77000, divider << 16 | 2 << 12),
            pll + 4: (0x29, 0),
            clocks + 0x3C: (0xE1, 1),
            clocks + 0x48: (0x800, 0x800),
        },
    )


CHIPS = [
    Chip(
        "nucleo_f446re",
        {
            (RCC_CR, PLL_READY): (RCC_CR, PLL_ON),
            (0x4000_7004, 1 << 16): (0x4000_7000, 1 << 16),
            (0x4000_7004, 1 << 17): (0x4000_7000, 3 << 16),
            (RCC_CFGR, 8): (RCC_CFGR, 2),
        },
        {RCC_PLLCFGR: (0x7FFF, 360 << 6 | 16), FLASH_ACR: (7, 5), RCC_CFGR: (0xFCF3, 5 << 10 | 4 << 13 | 2)},
    ),
    Chip(
        "b_l475e_iot01a",
        {
            (0x4002_1000, 1 << 10): (0x4002_1000, 1 << 8),
            (0x4002_1000, PLL_READY): (0x4002_1000, PLL_ON),
            (0x4002_1008, 12): (0x4002_1008, 3),
        },
        {0x4002_100C: (0x0700_7FF3, 1 << 24 | 10 << 8 | 2), 0x4002_2000: (7, 4), 0x4002_1008: (0x3FF3, 3)},
    ),
    Chip(
        "nucleo_h743zi",
        {
            (0x5802_4400, PLL_READY): (0x5802_4400, PLL_ON),
            (0x5802_4818, 1 << 13): (0x5802_4818, 3 << 14),
            (0x5802_4410, 0x18): (0x5802_4410, 3),
        },
        {
            0x5802_4428: (0x3F3, 32 << 4),
            0x5802_442C: (0x1000E, 0x10004),
            0x5802_4430: (0xFFFF, 399 | 1 << 9),
            0x5200_2000: (0x3F, 0x22),
            0x5802_4418: (0xF7F, 0x48),
            0x5802_441C: (0x770, 0x440),
            0x5802_480C: (3, 2),
        },
    ),
    Chip(
        "nrf52840dk",
        {(0x4000_0100, 1): (0x4000_0000, 1), (0x4000_040C, 0x10001): (0x4000_0000, 1)},
        {0x4001_E540: (1, 1)},
    ),
    rp2("pico", RP2040, 6),
    rp2("pico2", RP2350, 5),
]
WAITS = [(chip, wait) for chip in CHIPS for wait in [None, *chip.ready]]


@pytest.mark.parametrize(
    ("chip", "stuck"), WAITS, ids=lambda value: value.name if isinstance(value, Chip) else None
)
def test_clocks_come_up_or_are_given_up(chip: Chip, stuck: tuple[int, int] | None, tmp_path: Path) -> None:
    board = get_board(chip.name)
    registers = Registers(f"clock/{board.clock.setup}.c", board, tmp_path)
    registers.library.clock_setup.restype = ctypes.c_bool
    chip.connect(registers)
    if stuck:
        normal, (register, mask) = registers.on_read[stuck[0]], stuck
        registers.on_read[register] = lambda word: normal(word) & ~mask
    if board.clock.setup.startswith(
        "rp"
    ):  # the reference clock is source 0 of the core: always selected then
        sys_selected = (RP2040 if chip.name == "pico" else RP2350)["clocks"] + 0x44
        selected = registers.on_read[sys_selected]
        registers.on_read[sys_selected] = lambda word: selected(word) or 1
    came_up = registers.library.clock_setup()
    assert came_up == (stuck is None)
    assert registers.reads < 100_000
    if came_up:
        assert {at: registers.words[at] & mask for at, (mask, _) in chip.final.items()} == {
            at: value for at, (_, value) in chip.final.items()
        }
    else:  # the core is not left on a PLL that is not there
        switch = {"stm32f4": RCC_CFGR, "stm32l4": 0x4002_1008, "stm32h7": 0x5802_4410}.get(board.clock.setup)
        assert switch is None or registers.words.get(switch, 0) & 3 == 0


# --- UARTs ------------------------------------------------------------------------------------------


def uart(family: str, tmp_path: Path) -> tuple[Registers, int]:
    """The driver of a family and the base address of its registers."""
    board = next(board for board in load_boards().values() if board.uart.family == family)
    base = 0x5000_0000
    board = dataclasses.replace(board, uart=dataclasses.replace(board.uart, base=base))
    return Registers(f"uart/{family}.c", board, tmp_path), base


@pytest.mark.parametrize(
    ("family", "clock_hz", "registers"),
    [
        ("cmsdk", 25_000_000, {0x10: 217, 0x08: 0b1011}),
        ("stm32_v1", 84_000_000, {0x08: 729, 0x0C: 0x202C}),
        ("stm32_v1", 16_000_000, {0x08: 139}),
        ("stm32_v2", 80_000_000, {0x0C: 694, 0x00: 0x2D}),
        ("stm32_v2", 4_000_000, {0x0C: 35}),
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


def test_stm32_v2_takes_counts_and_waits(tmp_path: Path) -> None:
    driver, base = uart("stm32_v2", tmp_path)
    assert driver.take() == (None, 0)
    driver.words |= {base + 0x1C: 0x20, base + 0x24: 0x41}
    assert driver.take() == (0x41, 0)
    driver.words[base + 0x1C] = 0x28
    assert driver.take() == (0x41, 1)
    driver.words[base + 0x1C] = 0x08
    driver.log.clear()
    assert driver.take() == (None, 1)
    assert driver.log == [(base + 0x20, 0x08)], "cleared: else the interrupt would stay raised for ever"
    driver.words[base + 0x1C] = 0x00
    assert not driver.put(0x42)
    driver.words[base + 0x1C] = 0x80
    assert driver.put(0x42)
    assert driver.log[-1] == (base + 0x28, 0x42)


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
