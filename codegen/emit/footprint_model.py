"""How much code and stack the emitted library takes at most, at -O2 by any GCC from 12 to 14.

Bounds, not estimates: a model that is said to fit must fit. Of the same network GCC 12 and 14 make code that
differs by up to 200 bytes, either way. The coefficients began as a fit over radii up to 15, 1 to 33 features
and the polarities; when the stages were joined in one file they were moved, as little as needed, to hold for
what GCC 12.2 and 14.2 make of ten or more networks of each kernel and mode, small and large ones. They
exceed the code by no more than 512 bytes or 4 % of the image there, with room both ways for other networks.
`python -m experiments.code_size` fits them again; test_footprint.py holds them against the compiler that is
there, over the whole grid in `./run prove`, and the code against a stored budget.
"""

from __future__ import annotations

from typing import Final

from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.weight_layout import VECTOR, Layout
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.options import Input, Options

_LONG_SIDE: Final = 23
"""From here on GCC no longer unrolls the rows of a patch that learns."""

_CODE: Final[dict[tuple[Kernel, str], tuple[float, ...]]] = {
    ("small", "nearest"): (2057.1, 0, 63.5, 0, -238.5, -60, -16, 1.2, -4.2),
    ("small", "threshold"): (2311.3, 0, 60.7, 0, -359.2, 11.7, -14.4, -36.8, 0),
    ("small", "learning"): (3805.8, 0, 201, 0, -464.1, -131.9, -107, 517.1, 2.1),
    ("small", "nearest int8"): (2112.4, 0, 50.4, 0, -365.6, 1.6, -26.1, -17.1, 1.7),
    ("small", "threshold int8"): (2436.3, 0, 72.9, 0, -459.4, 12, -11.9, -65.9, 2.8),
    ("portable", "nearest"): (1842.8, 0, 0, 21.2, -150.2, -157, 29.6, 0, -0.9),
    ("portable", "threshold"): (2094.8, 22.6, 13.5, 21.3, -269.5, -172.1, 23.4, -2, 1.5),
    ("portable", "learning"): (3307.4, 22.3, 100.7, 31, -314.9, -325.5, 49.7, 342.8, 6.1),
    ("portable", "nearest int8"): (1917.7, 0, 0, 18.3, -195.1, -134.5, -25.9, 0, -0.8),
    ("portable", "threshold int8"): (2092.5, 26.8, 27.3, 17.2, -339.4, -118.2, 36.2, -4.1, -3.8),
    ("dsp", "nearest"): (1702.8, 24.8, 0, 7.6, -101.8, -58.3, -5, -3.7, -1.6),
    ("dsp", "threshold"): (1961.5, 58.3, 0, 9.5, -224.1, -132, 40, -12, -0.7),
    ("dsp", "learning"): (3033.4, 99, 135.9, 9.9, -454.2, -269.4, 107.4, 33.3, -82.3),
    ("dsp", "nearest int8"): (1844.1, 7.8, 0, 12.6, -167.9, -103.8, -15.8, 2.4, -0.5),
    ("dsp", "threshold int8"): (2059.6, 35.4, 10.2, 12.5, -301.5, -125.7, 16.4, 0, -0.3),
    ("vector", "nearest"): (1745, 31.5, -1.4, 3.2, -104, -11.8, -17.7, -5.4, 0.4),
    ("vector", "threshold"): (1994.2, 33.1, 0, 3.2, -223.8, -39.7, -31.2, 18, 0),
    ("vector", "learning"): (3035.6, 54.6, 0, 11.5, -320, -195.2, 122, -58, 0),
    ("vector", "nearest int8"): (1874.4, 5.5, 0, 3.2, -104.2, -96, 0, 0, 0),
    ("vector", "threshold int8"): (2019.4, 36.7, 0, 3.1, -209.1, -64.1, -19.6, 0, -0.3),
}
"""Bytes for each of `terms`, by kernel and mode: the code at most."""
READOUT_CODE_BYTES: Final = 300
"""Bytes that class scores add, on any core."""
_FILTER_CHECKS: Final = 250
"""Of filters: counters, snapshot words, hot pixels, downsampling; ..."""
_FILTER_TIMES: Final = 350
"""... a time for each cell and the refractory period; ..."""
_FILTER_BACKGROUND: Final = 290
"""... and the search for neighbours. At most; up to 80 bytes less beyond a Cortex-M0."""
_FILTER_LIMITER: Final = 400
"""... and the limiter."""
_INPUT_CODE: Final[dict[Input, int]] = {"evt2": 540, "rows": 700, "edvs": 580}
"""Of each decoder; up to 70 bytes less beyond a Cortex-M0."""
_STACK: Final[dict[bool, int]] = {False: 176, True: 352}
"""Deepest call chain of feast_step, by learning, without the patch that the vector kernel copies."""

JOINT_CODE_BYTES: Final = 80
"""What joins two layers, on the largest core."""
JOINT_STACK_BYTES: Final = 48


def code_bytes(layout: Layout, options: Options) -> int:
    """Flash that the library's code takes at most on the cores of this kernel, without constant tables."""
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
        layout.features == 1,
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


def input_code_bytes(options: Options) -> int:
    """Flash that the code of the decoders takes at most, on any core."""
    return sum(_INPUT_CODE[name] for name in options.input)


def filter_code_bytes(filters: Filters | None) -> int:
    """Flash that the code of the filters takes at most, without the mask of hot pixels."""
    if filters is None:
        return 0
    limiter = _FILTER_LIMITER * (filters.max_rate > 0)
    times = _FILTER_TIMES + _FILTER_BACKGROUND * (filters.background_us > 0) if filters.keeps_times else 0
    return _FILTER_CHECKS + times + limiter
