"""What a feature looks for, as a picture of pixels: of a second layer through the first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.model.model import Model


def receptive_field(model: Model, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """float64 (side, side): what a feature of `model` looks for in the pixels around an event.

    `weights`: float64 (D,), of one of its features, or what a device has made of it. Of a second layer: the
    features below, each at its place and with its weight. Features below that are of a polarity count as
    negative for darker events; others are taken less their mean at each place, so that what all have in
    common does not hide what is a feature's own.
    """
    params = model.params
    weights = weights.reshape(params.side, params.channels, params.side)
    if model.lower is None:
        return np.asarray(weights[:, 0])
    below = model.lower.params
    patches = model.lower.weights.reshape(-1, below.side, below.side)
    if below.polarity == "separate":
        patches = np.concatenate([-patches[: below.features], patches[below.features :]])
    else:
        weights = weights - weights.mean(axis=1, keepdims=True)
    field = np.zeros((params.side + below.side - 1,) * 2)
    for row in range(params.side):
        for column in range(params.side):
            place = slice(row, row + below.side), slice(column, column + below.side)
            field[place] += np.tensordot(weights[row, :, column], patches, axes=1)
    return field
