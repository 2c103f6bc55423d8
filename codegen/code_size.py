"""How much code and stack the emitted library takes, fitted to what GCC 12 makes of it at -O2.

The fits are over radius 1 to 7 and 2 to 16 neurons for each kernel; tests/test_footprint.py holds
them against the compiler and against a stored budget, within 256 bytes.
"""

from __future__ import annotations

from typing import Final, Literal

from codegen.boards import Kernel
from codegen.filters import Filters
from codegen.layout import VECTOR, Layout
from codegen.options import Options

Mode = Literal["nearest", "threshold", "learning"]

_CODE: Final[dict[tuple[Kernel, Mode], tuple[float, float, float, float]]] = {
    ("small", "nearest"): (1658, 0, 22.0, 72),
    ("small", "threshold"): (1902, 0, 34.0, 36),
    ("small", "learning"): (4115, 0, 54.2, -56),
    ("portable", "nearest"): (1366, 0, 25.0, 4),
    ("portable", "threshold"): (1717, 0, 29.5, 6),
    ("portable", "learning"): (3396, 0, 37.8, 128),
    ("dsp", "nearest"): (1301, 26.7, 8.0, -31),
    ("dsp", "threshold"): (1533, 71.6, 8.9, -98),
    ("dsp", "learning"): (3337, 13.1, 26.5, -232),
    ("vector", "nearest"): (1537, -12.0, 6.3, 80),
    ("vector", "threshold"): (1722, 32.0, 1.0, 24),
    ("vector", "learning"): (2497, 66.0, 17.2, 28),
}
"""Bytes: a constant, one for each feature of a block, one for each word of a block's row, and one if the
last block is not full. Fitted to the least largest error, 188 bytes."""
_NARROW: Final[dict[Kernel, int]] = {"small": 80, "portable": 40, "dsp": 170, "vector": 10}
"""More bytes where weights are octets, which must be widened."""
READOUT_CODE_BYTES: Final = 300
"""Bytes that class scores add, on any core."""
_FILTER_CHECKS: Final = 160
"""Of filters: counters, snapshot words, hot pixels, downsampling; ..."""
_FILTER_TIMES: Final = 280
"""... a time for each cell and the refractory period; ..."""
_FILTER_BACKGROUND: Final = 250
"""... and the search for neighbours. 20 bytes more or less on every core, 50 on a Cortex-M0."""
_STACK: Final[dict[bool, int]] = {False: 176, True: 352}
"""Deepest call chain of feast_step, by learning, without the patch that the vector kernel copies."""

JOINT_CODE_BYTES: Final = 512
"""What joins two layers, on the largest core."""
JOINT_STACK_BYTES: Final = 48


def code_bytes(layout: Layout, options: Options) -> int:
    """Flash taken by the library's code on the cores of this kernel, without constant tables."""
    mode: Mode = "learning" if options.learning else options.select
    constant, per_feature, per_word, partial = _CODE[layout.kernel, mode]
    row_words = layout.group * layout.pairs
    rest = partial if layout.last_group < layout.group else 0
    widening = _NARROW[layout.kernel] if layout.narrow else 0
    return round(constant + per_feature * layout.group + per_word * row_words + rest + widening)


def stack_bytes(layout: Layout, options: Options) -> int:
    """Stack that `feast_step` and what it calls take at most."""
    if layout.kernel == "vector":
        return _STACK[options.learning] + 2 * VECTOR * layout.vectors
    listed = layout.rows if layout.rows > layout.side else 0  # rows of a patch that are not all zero
    return _STACK[options.learning] + 2 * listed


def filter_code_bytes(filters: Filters | None) -> int:
    """Flash taken by the code of the filters, without the mask of hot pixels."""
    if filters is None:
        return 0
    times = _FILTER_TIMES + _FILTER_BACKGROUND * (filters.background_us > 0) if filters.keeps_times else 0
    return _FILTER_CHECKS + times
