"""Bounds of docs/reference/numerics.md section 9 that depend on the weights of a network."""

from __future__ import annotations

import math

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import QuantModel, StoredWeights
from feast_codegen.codegen.model.options import Options

_DOT_LIMIT = 2**31
"""Products of weights and contexts stay below this."""


def weight_energy(quant: QuantModel, stored: StoredWeights, options: Options) -> int:
    """Largest sum of squares of a feature's stored weights: of these, or of any while learning.

    Raises FeastError if a feature's weights are too large for products with a patch in 32 bits.
    """
    energies = (stored.values.astype(np.int64) ** 2).sum(axis=1)
    feature = int(np.argmax(energies))
    most = int(energies[feature])
    if options.learning:
        most = max(most, formats.squared_norms(quant.params.dims)[1])
    context = quant.params.dims * (2**quant.surface_bits - 1) ** 2
    if most * context >= _DOT_LIMIT**2 or most >= 2 * 4**stored.fraction:
        limit = min(_DOT_LIMIT / (math.sqrt(context) * 2**stored.fraction), math.sqrt(2))
        raise FeastError(
            f"weights of feature {feature} have norm {math.sqrt(most) / 2**stored.fraction:.4f}: "
            f"products with contexts of {quant.params.dims} components fit 32 bits up to {limit:.4f}"
        )
    return most
