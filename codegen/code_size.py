"""How much code and stack the emitted library takes, fitted to what GCC 12 makes of it at -O2.

The fits are over every radius, 1 to 33 neurons and the polarities, for each kernel and mode; all that were
compiled lie within 256 bytes or 2 % of the image. `python -m benchmarks.code_size` makes them anew;
tests/test_footprint.py holds them against the compiler, over all of that grid in `./run prove`, and against a
stored budget.
"""

from __future__ import annotations

from typing import Final

from codegen.boards import Kernel
from codegen.filters import Filters
from codegen.layout import VECTOR, Layout
from codegen.options import Options

_LONG_SIDE: Final = 23
"""From here on GCC no longer unrolls the rows of a patch that learns."""

_CODE: Final[dict[tuple[Kernel, str], tuple[float, ...]]] = {
    ("small", "nearest"): (1735.2, 0, 47.1, 0, -238.5, -60, -16, 1.2, -4.2),
    ("small", "threshold"): (2021.6, 0, 56, 0, -359.2, 0, -14.4, -36.8, 0),
    ("small", "learning"): (3785.4, 0, 172.1, 0, -400.1, -35.9, -132.2, 358.5, 2.1),
    ("small", "nearest int8"): (1838.1, 0, 41.9, 0, -365.6, -15.2, -54.9, -17.1, 1.7),
    ("small", "threshold int8"): (2141.9, 0, 56.1, 0, -481, 12, -11.9, -65.9, 2.8),
    ("portable", "nearest"): (1590.4, 0, 0, 16.9, -150.2, -86.3, 0, 0, -0.9),
    ("portable", "threshold"): (1832.6, 22.6, 13.5, 18.1, -269.5, -88, -26.3, -2, 1.5),
    ("portable", "learning"): (3072.2, 22.3, 100.7, 28.6, -360, -119.9, -85, 342.8, 6.1),
    ("portable", "nearest int8"): (1688.2, 0, 0, 15.8, -195.1, -134.5, -26.8, 0, -0.8),
    ("portable", "threshold int8"): (1872.6, 26.8, 27.3, 14.3, -339.4, -118.1, -20.1, -4.1, -3.8),
    ("dsp", "nearest"): (1469.3, 18.5, 0, 6.8, -101.8, -38.1, -5, -3.7, -1.6),
    ("dsp", "threshold"): (1814.5, 40.2, 0, 9.5, -165.8, -159.2, -10.2, -4, -0.7),
    ("dsp", "learning"): (3033.5, 68.4, 135.9, 9.9, -311.6, -218.8, -96.5, -20.5, -82.3),
    ("dsp", "nearest int8"): (1594, 7.8, 0, 10.2, -167.9, -103.8, -15.8, 2.4, -0.5),
    ("dsp", "threshold int8"): (1804.6, 35.4, 10.2, 10.7, -301.5, -99.8, -18, 0, -0.3),
    ("vector", "nearest"): (1519.6, 31.5, -1.4, 0, -104, -11.8, -17.7, -5.4, 0.4),
    ("vector", "threshold"): (1747.4, 33.1, 0, 0.5, -203.8, -1.2, -31.2, 18, 0),
    ("vector", "learning"): (2821.6, 54.6, 0, 1.3, -320, -100, 0, -9.1, 0),
    ("vector", "nearest int8"): (1580, 5.5, 0, 2.1, -104.2, -38, 0, 0, 0),
    ("vector", "threshold int8"): (1743.4, 36.7, 0, 0.9, -200, 0, -19.6, 0, -0.3),
}
"""Bytes for each of `terms`, by kernel and mode: fits of least largest error."""
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
    mode = "learning" if options.learning else options.select
    weights = _CODE[layout.kernel, mode + (" int8" if layout.narrow else "")]
    return round(sum(weight * term for weight, term in zip(weights, terms(layout), strict=True)))


def terms(layout: Layout) -> tuple[int, ...]:
    """What the size of the code follows, beside a constant."""
    return (
        1,
        layout.group,
        layout.pairs,
        layout.group * layout.pairs,
        layout.neurons == 1,
        layout.blocks == 1,
        layout.side == 3,
        layout.side <= 5,
        layout.pairs if layout.side >= _LONG_SIDE else 0,
    )


def stack_bytes(layout: Layout, options: Options) -> int:
    """Stack that `feast_step` and what it calls take at most."""
    most = _STACK[options.learning]
    if layout.kernel == "vector":
        return most + 2 * VECTOR * layout.vectors
    listed = layout.rows if layout.rows > layout.side else 0  # rows of a patch that are not all zero
    unrolled = 4 * layout.pairs if options.learning else 0
    return most + unrolled + 2 * listed


def filter_code_bytes(filters: Filters | None) -> int:
    """Flash taken by the code of the filters, without the mask of hot pixels."""
    if filters is None:
        return 0
    times = _FILTER_TIMES + _FILTER_BACKGROUND * (filters.background_us > 0) if filters.keeps_times else 0
    return _FILTER_CHECKS + times
