"""The learned state of a device, in words, to a model and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from codegen import qformat, wire
from codegen.errors import FeastError
from codegen.model import Hyperparameters, Model
from codegen.model_file import UNIT_TOLERANCE
from codegen.quantise import initial_words, quantise
from host.hello import Hello
from host.questions import Words

_GEOMETRY: Final = ("neurons", "radius", "channels", "polarity", "border")


def words_of(model: Model) -> Words:
    """The learned state that `model` starts from, uint16 (state_words,)."""
    return initial_words(quantise(model)[0])


def model_of(words: Words, origin: Model) -> Model:
    """The model whose learned state is `words`; everything else is from `origin`, which the device was built
    from.

    Weights and thresholds are taken over exactly: emitted again, they give the same integers. The dither
    of the device is not part of a model. Raises FeastError if `words` do not suit `origin`.
    """
    params = origin.params
    weights_end = params.features * params.dims
    below = words_of(origin.lower) if origin.lower else words[:0]
    if len(words) != weights_end + 2 * params.features + 2 + len(below):
        raise FeastError(
            f"the learned state has {len(words)} words: it is not of a network of {params.features} features "
            f"of {params.side}x{params.side}"
        )
    if not np.array_equal(words[len(words) - len(below) :], below):
        raise FeastError("the learned state stands on another lower layer: it is not of this model")
    raw = np.ascontiguousarray(words, "<u2")
    weights = raw[:weights_end].view("<i2").reshape(params.features, params.dims)
    weights = weights / float(2**qformat.WEIGHT_BITS)
    norms = np.linalg.norm(weights, axis=1, keepdims=True)
    weights = np.where(np.abs(norms - 1.0) > UNIT_TOLERANCE, weights / norms, weights)
    thresholds = raw[weights_end : weights_end + 2 * params.features].view("<i4") / float(qformat.UNIT)
    state = f"state {wire.snapshot_digest(words):08x} of a device with model {origin.model_id[:16]}"
    training = replace(origin.training, source=state, arithmetic="fixed")
    return replace(origin, weights=weights, thresholds=thresholds, training=training)


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
        if model.input_filters != origin.input_filters:
            raise FeastError(
                f"the model was learned behind filters ({model.input_filters or 'none'}), the device has "
                f"({origin.input_filters or 'none'}): take a model of the same filters, or flash this one"
            )
        for name in _GEOMETRY:
            if getattr(params, name) != getattr(origin.params, name):
                raise FeastError(
                    f"the model has {name} {getattr(params, name)}, the device "
                    f"{getattr(origin.params, name)}: take a model of the same geometry, or flash this one"
                )


def _describe(params: Hyperparameters) -> str:
    above = f" on {params.channels} channels" if params.channels > 1 else ""
    return f"{params.features} features of {params.side}x{params.side}{above}"
