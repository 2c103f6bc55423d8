"""Instructions per event of the emitted code, predicted from the size of a network.

``a + N * (b * D + c * K)``: every event pays `a`, every feature `c` for each of its K rows and `b` for
each of its D components. The constants come from `codegen emulate --json` (instructions counted by the
emulator, frozen features, recording 0 of sim:digits?seed=1) for three networks a kernel: 4 features of
3x3, 16 of 11x11, 32 of 7x7. They repeat those counts exactly and serve to rank networks; what a
certain network takes, `codegen emulate` counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from feast_codegen.codegen.boards.board import Board, Kernel
from feast_codegen.codegen.emit.budget import budget
from feast_codegen.codegen.model.model import Hyperparameters, Shape
from feast_codegen.codegen.model.options import Options

_SIZES: Final = ((4, 1), (16, 5), (32, 3))
"""Features and radius of the networks that were counted."""
_COUNTED: Final[dict[Kernel, tuple[float, float, float]]] = {
    "small": (601.4, 10967.6, 9861.9),
    "portable": (286.9, 6163.5, 5544.0),
    "dsp": (196.3, 2213.7, 2202.0),
    "vector": (203.8, 1203.3, 1169.9),
}
"""Instructions per event, by kernel: on the boards bbcmicrobit, mps2_an385, mps2_an386, mps3_an547."""


@dataclass(frozen=True)
class DeviceCost:
    """What a network takes of a board."""

    ram: int
    """Bytes of the state."""
    flash: int
    """Bytes of tables and code."""
    instructions: float
    """Per event, frozen features; a forecast."""


def instructions_per_event(params: Hyperparameters, kernel: Kernel) -> float:
    """Forecast for frozen features; a bank's features are compared, not both banks'.

    >>> round(instructions_per_event(Hyperparameters(features=16, radius=5), "dsp"))
    2214
    """
    rows = [(1.0, n * (2 * r + 1) ** 2, n * (2 * r + 1)) for n, r in _SIZES]
    a, b, c = np.linalg.solve(np.array(rows), np.array(_COUNTED[kernel]))
    return float(a + params.features * (b * params.dims + c * params.side))


def device_cost(shape: Shape, board: Board) -> DeviceCost:
    """RAM, flash, and instructions per event that reaches the network, of frozen features on a board."""
    need = budget(shape, Options(), board.kernel)
    return DeviceCost(need.ram, need.flash, instructions_per_event(shape.params, board.kernel))
