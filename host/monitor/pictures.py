"""What the page draws, from what the device says: its surfaces, its features, some of its events."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import quantise, stored_weights
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.colours import OFF_COLOUR, ON_COLOUR, SCALE_SHARE, SIGNED_WEIGHTS, WEIGHTS, palette
from feast_codegen.host.link.handshake import Hello
from feast_codegen.host.link.requests import DeviceSignals, Words
from feast_codegen.host.link.run_results import ResultChunk
from feast_codegen.host.network.receptive_field import receptive_field

DRAWN_EVENTS: Final = 1500
_INT16_MOST: Final = 32767
_HISTORY: Final = 600


def surfaces_of(hello: Hello, model: Model | None) -> int:
    """Surfaces at the end of the state, before the scores; 0 if unknown: a device tells its last layer's."""
    if not hello.layered:
        return hello.banks
    return model.lower.params.surfaces if model is not None and model.lower is not None else 0


def weight_words(hello: Hello, model: Model | None) -> int:
    """Words of the features' weights; 0 if unknown: a device does not tell how many features are below."""
    if not hello.layered:
        return hello.features * (2 * hello.radius + 1) ** 2
    return model.weights.size if model is not None else 0


def weight_scale(model: Model | None, options: Options) -> np.uint16:
    """What takes a weight as the device stores it to Q15: a power of two, 1 unless weights are int8."""
    fraction = formats.WEIGHT_BITS
    if model is not None:
        fraction = stored_weights(quantise(model)[0], options).fraction
    return np.uint16(1 << (formats.WEIGHT_BITS - fraction))


def look(hello: Hello, model: Model | None) -> dict[str, Any]:
    """What the page draws with: colours, the time constant of the surface, how features are chosen."""
    lowest = None if model is None else (model.lower or model).params
    return {
        "select_threshold": hello.select_threshold,
        "tau_ms": None if lowest is None else lowest.tau_us / 1000.0,
        "signed": lowest is not None and lowest.polarity == "signed",
        "hues": palette(hello.features),
        "polarity_hues": [OFF_COLOUR, ON_COLOUR],
        "maps": [WEIGHTS, SIGNED_WEIGHTS],
        "scale_share": SCALE_SHARE,
    }


def picture_side(hello: Hello, model: Model | None) -> int:
    """Pixels that a feature's picture is wide."""
    below = model.lower.params.radius if hello.layered and model is not None and model.lower else 0
    return 2 * (hello.radius + below) + 1


def feature_pictures(words: Words, model: Model | None) -> str:
    """The weights of the features, Q15, as base64 of int16, feature after feature.

    model: for the second of two layers: each picture is then what a feature looks for in pixels, to its own
    scale.
    """
    words = words.astype("<u2")
    if model is not None:
        weights = words.view("<i2").reshape(model.params.total_features, -1).astype(np.float64)
        fields = np.stack([receptive_field(model, each) for each in weights])
        most = np.abs(fields).max(axis=(1, 2), keepdims=True)
        words = np.rint(fields * (_INT16_MOST / np.maximum(most, 1.0))).astype("<i2").view("<u2")
    return base64.b64encode(words.tobytes()).decode()


def thinned(chunks: Sequence[ResultChunk], downsample: int) -> list[list[int]]:
    """[x, y, result] of at most DRAWN_EVENTS events, evenly chosen, in pixels of the network.

    downsample: of the network, as the power of two.
    """
    if not chunks:
        return []
    events = np.concatenate([chunk.events for chunk in chunks])
    results = np.concatenate([chunk.results for chunk in chunks])
    step = -(-len(events) // DRAWN_EVENTS)
    chosen = slice(len(events) - 1, None, -step)
    columns = (events["x"][chosen] >> downsample, events["y"][chosen] >> downsample, results[chosen])
    drawn: list[list[int]] = np.stack([c.astype(np.int64) for c in columns], axis=1).tolist()
    return drawn


class SignalView:
    """Signals of the device for the page, with the miss rates of the chunks between them."""

    def __init__(self) -> None:
        self._misses: deque[tuple[int, float]] = deque(maxlen=_HISTORY)
        self._last: DeviceSignals | None = None

    def take(self, signals: DeviceSignals) -> dict[str, Any]:
        """Signals as JSON; a new run begins a new history."""
        before, self._last = self._last, signals
        compared = signals.hits + signals.misses
        if before is None or compared < before.hits + before.misses:
            self._misses.clear()
        else:
            fresh = compared - before.hits - before.misses
            if fresh:
                self._misses.append((compared, (signals.misses - before.misses) / fresh))
        names = (
            "hits",
            "misses",
            "border",
            "outside",
            "backwards",
            "filtered",
            "last_window_misses",
            "event",
        )
        return {
            "signals": {name: getattr(signals, name) for name in names},
            "thresholds": [round(float(value), 6) for value in signals.thresholds],
            "wins": signals.wins.tolist(),
            "misses": list(self._misses),
        }
