"""The learned state of a device, in words, to a model and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from codegen import qformat, wire
from codegen.errors import FeastError
from codegen.model import UNIT_TOLERANCE, Hyperparameters, Model
from codegen.quantise import INITIAL_DITHER, learned_words, quantise
from host.hello import Hello
from host.questions import Words

_GEOMETRY: Final = ("neurons", "radius", "polarity", "border")


def words_of(model: Model) -> Words:
    """The learned state that `model` starts from, uint16 (state_words,)."""
    quant = quantise(model)[0]
    return learned_words(quant.weights, quant.thresholds, INITIAL_DITHER)


def model_of(words: Words, origin: Model) -> Model:
    """The model whose learned state is `words`; everything else is from `origin`, which the device was built
    from.

    Weights and thresholds are taken over exactly: emitted again, they give the same integers. The dither
    of the device is not part of a model. Raises FeastError if `words` do not suit `origin`.
    """
    params = origin.params
    weights_end = params.features * params.dims
    if len(words) != weights_end + 2 * params.features + 2:
        raise FeastError(
            f"the learned state has {len(words)} words: it is not of a network of {params.features} features "
            f"of {params.side}x{params.side}"
        )
    raw = np.ascontiguousarray(words, "<u2")
    weights = raw[:weights_end].view("<i2").reshape(params.features, params.dims)
    weights = weights / float(2**qformat.WEIGHT_BITS)
    norms = np.linalg.norm(weights, axis=1, keepdims=True)
    weights = np.where(np.abs(norms - 1.0) > UNIT_TOLERANCE, weights / norms, weights)
    thresholds = raw[weights_end : weights_end + 2 * params.features].view("<i4") / float(qformat.UNIT)
    state = f"state {wire.snapshot_digest(words):08x} of a device with model {origin.model_id[:16]}"
    training = replace(origin.training, source=state, arithmetic="fixed")
    return Model(params, origin.sensor, weights, thresholds, training)


def check_same_geometry(model: Model, hello: Hello, origin: Model | None = None) -> None:
    """Raise FeastError unless the learned state of `model` suits the device (built from `origin`)."""
    params = model.params
    device = (hello.sensor, hello.neurons, hello.radius, hello.banks)
    ours = (model.sensor, params.neurons, params.radius, params.banks)
    if device != ours:
        raise FeastError(
            f"the model has {_describe(params)} on a {model.sensor} sensor, the device {hello.features} of "
            f"{2 * hello.radius + 1}x{2 * hello.radius + 1} on {hello.sensor}: take a model of the same "
            "geometry, or flash this one"
        )
    if origin is not None:
        for name in _GEOMETRY:
            if getattr(params, name) != getattr(origin.params, name):
                raise FeastError(
                    f"the model has {name} {getattr(params, name)}, the device "
                    f"{getattr(origin.params, name)}: take a model of the same geometry, or flash this one"
                )


def _describe(params: Hyperparameters) -> str:
    return f"{params.features} features of {params.side}x{params.side}"
