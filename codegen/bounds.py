"""Bounds of docs/numerics.md section 9 that depend on the weights of a network."""

from __future__ import annotations

import math

import numpy as np

from codegen import qformat
from codegen.errors import FeastError
from codegen.options import Options
from codegen.quantise import QuantModel, StoredWeights

_DOT_LIMIT = 2**31
"""Products of weights and contexts stay below this."""


def weight_energy(quant: QuantModel, stored: StoredWeights, options: Options) -> int:
    """Largest sum of squares of a feature's stored weights: of these, or of any while learning.

    Raises FeastError for weights so long that a product with a context would not fit 32 bits.
    """
    energies = (stored.values.astype(np.int64) ** 2).sum(axis=1)
    feature = int(np.argmax(energies))
    most = max(int(energies[feature]), qformat.UNIT + qformat.NORM_TOLERANCE if options.learning else 0)
    context = quant.params.dims * (2**quant.surface_bits - 1) ** 2
    if most * context >= _DOT_LIMIT**2 or most >= 2 * 4**stored.fraction:
        limit = min(_DOT_LIMIT / (math.sqrt(context) * 2**stored.fraction), math.sqrt(2))
        raise FeastError(
            f"weights of feature {feature} have norm {math.sqrt(most) / 2**stored.fraction:.4f}: "
            f"products with contexts of {quant.params.dims} components fit 32 bits up to {limit:.4f}"
        )
    return most
