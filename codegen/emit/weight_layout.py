"""Where weights lie in memory: blocks of features side by side, two weights to a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.model.model import Hyperparameters

LARGEST_GROUP: Final[dict[Kernel, int]] = {"small": 2, "portable": 4, "dsp": 8, "vector": 4}
"""Features whose sums a kernel keeps in registers while one load of cells serves them all. Widening
8-bit weights takes registers, so there are at most 4 then."""
VECTOR: Final = 8
"""Components that the vector kernel takes at once."""


@dataclass(frozen=True)
class Layout:
    """Blocks of `group` features; `last_group` of them are used in the last block of a bank."""

    kernel: Kernel
    features: int
    banks: int
    rows: int
    """Rows of a patch: the side times the channels."""
    side: int
    """Columns of a patch."""
    group: int
    narrow: bool = False
    """Weights of 8 bits: those of two features, or four of one for `vector`, share a word."""

    @property
    def blocks(self) -> int:
        """Blocks of a bank."""
        return -(-self.features // self.group)

    @property
    def last_group(self) -> int:
        """Features in the last block of a bank."""
        return self.features - (self.blocks - 1) * self.group

    @property
    def pairs(self) -> int:
        """Words of a patch row; the side is odd, so the last one holds one weight. Not for `vector`."""
        return (self.side + 1) // 2

    @property
    def vectors(self) -> int:
        """Vectors of a patch, for `vector`."""
        return -(-(self.rows * self.side) // VECTOR)

    @property
    def block_words(self) -> int:
        """Words of a block."""
        components = self.vectors * VECTOR if self.kernel == "vector" else self.rows * 2 * self.pairs
        return self.group * components // (4 if self.narrow else 2)

    @property
    def words(self) -> int:
        """Words of all weights."""
        return self.banks * self.blocks * self.block_words


def make_layout(params: Hyperparameters, kernel: Kernel, narrow: bool = False) -> Layout:
    """The fewest blocks the kernel can do with, evenly filled; groups are even, for loads of two words."""
    largest = min(LARGEST_GROUP[kernel], 4) if narrow else LARGEST_GROUP[kernel]
    blocks = -(-params.features // largest)
    group = -(-params.features // blocks)
    rows = params.channels * params.side
    return Layout(kernel, params.features, params.banks, rows, params.side, group + group % 2, narrow)


def pack_weights(weights: npt.NDArray[np.int16], layout: Layout) -> npt.NDArray[np.uint32]:
    """Weights int16 (features, D) as uint32 (words,): block, pair or vector of components, feature.

    >>> layout = Layout("dsp", features=3, banks=1, rows=1, side=1, group=2)
    >>> [hex(word) for word in pack_weights(np.array([[1], [2], [-1]], np.int16), layout)]
    ['0x1', '0x2', '0xffff', '0x0']
    """
    features, rows, side, group = layout.features, layout.rows, layout.side, layout.group
    patches = weights.view(np.uint16).reshape(layout.banks, features, rows, side)
    if layout.kernel == "vector":
        components, lanes = layout.vectors * VECTOR, VECTOR
        places = np.zeros((layout.banks, layout.blocks * group, components), np.uint16)
        places[:, :features, : rows * side] = patches.reshape(layout.banks, features, -1)
    else:
        components, lanes = rows * 2 * layout.pairs, 2
        places = np.zeros((layout.banks, layout.blocks * group, rows, 2 * layout.pairs), np.uint16)
        places[:, :features, :, :side] = patches
    split = places.reshape(layout.banks, layout.blocks, group, components // lanes, lanes)
    ordered = split.transpose(0, 1, 3, 2, 4)
    if not layout.narrow:
        return np.ascontiguousarray(ordered, "<u2").reshape(-1).view("<u4")
    octets = np.ascontiguousarray(ordered).astype(np.uint8)
    if layout.kernel != "vector":
        # Both lanes of two features, lane by lane: one instruction widens every other octet of a word.
        shape = (layout.banks, layout.blocks, components // lanes, group // 2, 2, lanes)
        octets = octets.reshape(shape).swapaxes(-1, -2)
    return np.ascontiguousarray(octets).reshape(-1).view("<u4")
