"""The fading readout as it is emitted: tables in the order of a kernel, members, memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.budget import Member
from feast_codegen.codegen.emit.fading_budget import BLOCK, blocks_of, table_bytes
from feast_codegen.codegen.fixed_point import quantise_readout
from feast_codegen.codegen.fixed_point.quantise_readout import CellTable, QuantFading
from feast_codegen.codegen.fixed_point.state_layout import READOUT, Placed

_PAIRS_OF_FOUR: Final = (0, 2, 1, 3)
"""Where the DSP kernel keeps four neighbouring weights in a word: two widened at a time are neighbours."""
_BIAS_UNIT: Final = 256


@dataclass(frozen=True, eq=False)
class FadingPlan:
    """A histogram of features that fades, and classes from it, behind the last layer."""

    quant: QuantFading
    sensor: Sensor
    features: int
    kernel: Kernel
    members: tuple[Member, ...]
    sections: tuple[Placed, ...]
    name: str = READOUT
    title: str = "fading readout"
    header: str = "feast_readout_step.h"
    config: str = "readout/fading_config.h.j2"
    fades: bool = True
    steps: int = quantise_readout.STEPS
    shares: int = quantise_readout.SHARES
    block: int = BLOCK

    @property
    def hidden(self) -> int:
        """Hidden units; 0: scores are linear in the roots."""
        return self.quant.size.hidden

    @property
    def cells(self) -> int:
        """Entries of a feature."""
        return self.quant.grid**2

    @property
    def entries(self) -> int:
        """Of the histogram."""
        return self.features * self.cells

    @property
    def blocks(self) -> int:
        """Runs of `block` entries, of which the last one may be short."""
        return blocks_of(self.entries)

    @property
    def has_rest(self) -> bool:
        """The last block is short."""
        return self.entries % self.block != 0

    @property
    def units(self) -> int:
        """Rows of weights before those of class means."""
        return self.hidden or len(self.quant.labels)

    @property
    def rows(self) -> int:
        """Rows of weights."""
        return self.units + len(self.quant.labels)

    @property
    def packed(self) -> bool:
        """Weights lie in words of four."""
        return self.kernel == "dsp"

    @property
    def block_weights(self) -> int:
        """Elements of the weight table for a row of a block."""
        return self.block // 4 if self.packed else self.block

    @property
    def weights(self) -> npt.NDArray[np.integer[Any]]:
        """(blocks * rows * block_weights,): int8, or uint32 words of four."""
        first = self.quant.hidden_weights if self.hidden else self.quant.weights
        rows = np.concatenate([first, self.quant.means])
        rows = np.pad(rows, ((0, 0), (0, self.blocks * self.block - self.entries)))
        table = rows.reshape(self.rows, self.blocks, self.block).transpose(1, 0, 2)
        if not self.packed:
            return table.reshape(-1)
        fours = np.ascontiguousarray(table.reshape(-1, 4)[:, _PAIRS_OF_FOUR], np.int8)
        return fours.view("<u4").reshape(-1)

    @property
    def biases(self) -> npt.NDArray[np.int32]:
        """(hidden + classes,): whole units of a weight, rounded down."""
        return self._biases // _BIAS_UNIT

    @property
    def bias_parts(self) -> npt.NDArray[np.int32]:
        """(hidden + classes,): what is left, 1/256 of a weight."""
        return self._biases % _BIAS_UNIT

    @property
    def _biases(self) -> npt.NDArray[np.int32]:
        return np.concatenate([self.quant.hidden_bias, self.quant.bias])

    @property
    def factors(self) -> npt.NDArray[np.uint16]:
        """(steps,): what an event adds, within an octave."""
        return quantise_readout.factors()

    @property
    def roots(self) -> npt.NDArray[np.uint8]:
        """(256,): 16 times the square root."""
        return quantise_readout.roots()

    @property
    def column_places(self) -> list[tuple[int, int]]:
        """First cell and share of each sensor column."""
        return _places(self.quant.columns, 1)

    @property
    def row_places(self) -> list[tuple[int, int]]:
        """First cell of the row of cells, and share, of each sensor row."""
        return _places(self.quant.rows, self.quant.grid)

    @property
    def table_bytes(self) -> int:
        """Constant tables in flash."""
        return table_bytes(self.quant.size, self.features, self.sensor)

    @property
    def templates(self) -> dict[str, str]:
        """Template of each of its files."""
        files = (".c", ".h", "_step.h", "_classify.c", "_tables.c", "_tables.h")
        return {f"src/feast_NAME{file}": f"readout/fading{file}.j2" for file in files}


def _places(table: CellTable, factor: int) -> list[tuple[int, int]]:
    return [(int(first) * factor, int(share)) for first, share in zip(table.first, table.share, strict=True)]
