"""Where weights lie in memory: blocks of features side by side, two weights to a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from codegen.boards import Kernel

LARGEST_GROUP: Final[dict[Kernel, int]] = {"portable": 4, "dsp": 8, "helium": 8}
"""Features whose sums a kernel keeps in registers while one load of cells serves them all."""


@dataclass(frozen=True)
class Layout:
    """Blocks of `group` features; `last_group` of them are used in the last block of a bank."""

    neurons: int
    banks: int
    side: int
    group: int

    @property
    def blocks(self) -> int:
        """Blocks of a bank."""
        return -(-self.neurons // self.group)

    @property
    def last_group(self) -> int:
        """Features in the last block of a bank."""
        return self.neurons - (self.blocks - 1) * self.group

    @property
    def pairs(self) -> int:
        """Words of a patch row; the side is odd, so the last one holds one weight."""
        return (self.side + 1) // 2

    @property
    def words(self) -> int:
        """Words of all weights."""
        return self.banks * self.blocks * self.side * self.pairs * self.group


def make_layout(neurons: int, banks: int, side: int, kernel: Kernel) -> Layout:
    """The fewest blocks the kernel can do with, evenly filled; groups are even, for loads of two words."""
    blocks = -(-neurons // LARGEST_GROUP[kernel])
    group = -(-neurons // blocks)
    return Layout(neurons, banks, side, group + group % 2)


def pack_weights(weights: npt.NDArray[np.int16], layout: Layout) -> npt.NDArray[np.uint32]:
    """Weights int16 (features, D) as uint32 (words,): block, row, pair, feature of the block.

    >>> layout = Layout(neurons=3, banks=1, side=1, group=2)
    >>> [hex(word) for word in pack_weights(np.array([[1], [2], [-1]], np.int16), layout)]
    ['0x1', '0x2', '0xffff', '0x0']
    """
    side, pairs, group = layout.side, layout.pairs, layout.group
    places = np.zeros((layout.banks, layout.blocks * group, side, 2 * pairs), np.uint16)
    patches = weights.view(np.uint16).reshape(layout.banks, layout.neurons, side, side)
    places[:, : layout.neurons, :, :side] = patches
    lanes = places.reshape(layout.banks, layout.blocks, group, side, pairs, 2).astype(np.uint32)
    words = lanes[..., 0] | lanes[..., 1] << np.uint32(16)
    return words.transpose(0, 1, 3, 4, 2).reshape(-1)
