"""From instruction counts to events per second and microjoules: estimates, and labelled as such.

An instruction count hides unaligned loads, flash wait states and interrupts. The bounds on cycles per
instruction: at least what llvm-mca makes of the inner loop where it models the core
(experiments/loop_cycles.py), at most what the cores' published instruction timings add up to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from feast_codegen.codegen.boards.board import Board
from feast_codegen.codegen.boards.schema import Core

CYCLES_PER_INSTRUCTION: Final[dict[Core, tuple[float, float]]] = {
    "cortex-m0": (1.1, 1.5),  # Cortex-M0 TRM: load 2 cycles, MULS 1 (fast multiplier), taken branch 3
    "cortex-m0plus": (1.1, 1.5),  # Cortex-M0+ TRM: load 2, MULS 1, taken branch 2
    "cortex-m3": (1.2, 1.8),  # Cortex-M3 TRM: LDR 2, pipelined 1; MLA 2; LDRD 3
    "cortex-m4": (1.26, 1.7),  # llvm-mca; Cortex-M4 TRM: SMLAD 1; LDR 2, pipelined 1; LDRD 3
    "cortex-m7": (0.95, 1.3),  # llvm-mca; two instructions a cycle where loads and sums alternate
    "cortex-m33": (1.26, 1.7),  # llvm-mca; as Cortex-M4
    "cortex-m55": (1.2, 2.0),  # two cycles for a vector instruction, load and MAC overlap
}
"""Least and most cycles per instruction from zero-wait memory."""

MICROAMPERE_PER_MHZ: Final[dict[str, tuple[float, float, str]]] = {
    "bbcmicrobit": (275.0, 3.0, "nRF51822 product specification: 4.4 mA at 16 MHz from flash"),
    "netduinoplus2": (238.0, 3.3, "STM32F405 data brief: 238 uA/MHz, peripherals off"),
    "nrf52840dk": (52.0, 3.0, "nRF52840 product specification: 52 uA/MHz from flash, DC/DC"),
    "b_l475e_iot01a": (100.0, 3.3, "STM32L475 data sheet: 100 uA/MHz run mode"),
}
"""Run current per MHz, supply voltage, and where the figure is from; other boards have no estimate."""


@dataclass(frozen=True)
class Estimate:
    """What a board may do; low and high follow from the bounds on cycles per instruction."""

    board: str
    clock_hz: int
    events_per_s: tuple[float, float]
    microjoule_per_event: tuple[float, float] | None


def estimate(board: Board, instructions_per_event: float) -> Estimate:
    """Events per second and energy per event of `board` at its rated clock.

    `instructions_per_event` is counted on an emulated board of the same core.
    """
    least, most = (instructions_per_event * cycles for cycles in CYCLES_PER_INSTRUCTION[board.core])
    energy = None
    if board.name in MICROAMPERE_PER_MHZ:
        current, volts, _ = MICROAMPERE_PER_MHZ[board.name]
        per_cycle_uj = current * volts * 1e-6
        energy = (least * per_cycle_uj, most * per_cycle_uj)
    return Estimate(board.name, board.clock_hz, (board.clock_hz / most, board.clock_hz / least), energy)
