"""The learned state of a device, in words, to a model and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import initial_words, quantise
from feast_codegen.codegen.fixed_point.state_layout import layer_names, state_layout
from feast_codegen.codegen.model.model import Hyperparameters, Model, norm_limit
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.protocol import messages
from feast_codegen.host.link.handshake import Hello
from feast_codegen.host.link.requests import Words

_GEOMETRY: Final = ("features", "radius", "channels", "polarity", "border")


def to_words(model: Model, options: Options = Options()) -> Words:
    """The learned state that `model` emitted with `options` starts from, uint16 (state_words,)."""
    return initial_words(quantise(model)[0], options)


def from_words(words: Words, origin: Model, options: Options = Options()) -> Model:
    """The model whose learned state is `words`; everything else is from `origin`, which the device was built
    from with `options`.

    Weights and thresholds are taken over exactly: emitted again, they give the same integers. The dither
    of the device is not part of a model. A device with int8 weights cannot learn: its model is `origin`.
    Raises FeastError if `words` do not suit `origin`.
    """
    if options.weights == "int8":
        if not np.array_equal(words, to_words(origin, options)):
            raise FeastError("the state of a device with int8 weights is not its model's: it cannot learn")
        return origin
    params = origin.params
    layout = state_layout(origin.shape)
    below = to_words(origin.lower) if origin.lower else words[:0]
    if len(words) != layout.learned_words:
        raise FeastError(
            f"the learned state has {len(words)} words: not those of {params.total_features} features "
            f"of {params.side}x{params.side}"
        )
    if not np.array_equal(words[len(words) - len(below) :], below):
        raise FeastError("the learned state stands on another lower layer: it is not of this model")
    learned = layout.unpack(words)[layer_names(origin.shape)[-1]]
    weights = learned["weights"] / float(2**formats.WEIGHT_BITS)
    norms = np.linalg.norm(weights, axis=1, keepdims=True)
    off = np.abs(norms - 1.0) > norm_limit(params.dims) / 2**formats.WEIGHT_BITS  # as int8 weights are
    weights = np.where(off, weights / norms, weights)
    thresholds = learned["thresholds"] / float(formats.UNIT)
    state = f"state {messages.snapshot_digest(words):08x} of a device with model {origin.model_id[:16]}"
    training = replace(origin.training, source=state, arithmetic="fixed")
    return replace(origin, weights=weights, thresholds=thresholds, training=training)


def check_same_geometry(model: Model, hello: Hello, origin: Model | None = None) -> None:
    """Raise FeastError unless the learned state of `model` suits the device (built from `origin`)."""
    params = model.params
    device = (hello.sensor, hello.features_per_bank, hello.radius, hello.banks)
    ours = (model.sensor, params.features, params.radius, params.banks)
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
    return f"{params.total_features} features of {params.side}x{params.side}{above}"
