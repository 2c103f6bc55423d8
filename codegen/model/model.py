"""The trained network: shape, weights, thresholds, and the id of all it holds."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.base.limits import MOST_DIMS
from feast_codegen.codegen.base.sensor import Sensor as Sensor
from feast_codegen.codegen.model.fading_readout import FADING_ARRAYS, FadingReadout, FadingSize
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.hyperparameters import Border as Border
from feast_codegen.codegen.model.hyperparameters import Hyperparameters as Hyperparameters
from feast_codegen.codegen.model.hyperparameters import Polarity as Polarity
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.model.readout import Readout, ReadoutSize

FORMAT_VERSION: Final = 2
"""Of the model file, and so of the model id."""


def norm_limit(dims: int) -> int:
    """M of the numerics page section 6: most that the L2 norm of a feature is off 1, in units of 2^-15.

    Learning in fixed point stays within it, and a model file holds nothing beyond it.

    >>> [norm_limit(dims) for dims in (9, 121, 64516)]
    [67, 77, 381]
    """
    return 64 + math.isqrt(25 * dims // 16)


Arithmetic = Literal["float", "fixed"]


@dataclass(frozen=True)
class Shape:
    """A network without its weights: all that its memory, code and cost depend on."""

    params: Hyperparameters
    sensor: Sensor
    """What the network sees: behind the filters, if there are any."""
    lower: Shape | None = None
    """The layer below, which feeds this one."""
    readout: ReadoutSize | FadingSize | None = None
    filters: Filters | None = None
    """In front of the network: with two layers, the lower one has them."""

    @property
    def layer(self) -> Shape:
        """This layer alone, without the lower layer and without the readout."""
        return replace(self, lower=None, readout=None) if self.lower else self

    def changed(self, **params: Any) -> Shape:
        """The same with other hyperparameters of this layer."""
        return replace(self, params=replace(self.params, **params))

    def emitted(self, options: Options) -> Shape:
        """The same without the readout or the filters, if `options` leave them out of the library."""
        return replace(
            self,
            lower=self.lower.emitted(options.below) if self.lower else None,
            readout=self.readout if options.readout else None,
            filters=self.filters if options.filters else None,
        )


MOST_SOURCE: Final = 1000


@dataclass(frozen=True)
class Training:
    """Where the numbers of a model came from. Holds no clock, path or host name."""

    source: str
    """Of one above MOST_SOURCE characters the end. Bytes of a name that are no text are escaped."""
    recordings: int
    events: int
    epochs: int
    seed: int
    arithmetic: Arithmetic
    miss_rate: float
    """Missed events over compared events in the last quarter of training."""

    def __post_init__(self) -> None:
        # JSON has no lone surrogates, which stand for such bytes.
        source = self.source.encode("utf-8", "backslashreplace").decode("utf-8")
        if len(source) > MOST_SOURCE:
            source = "..." + source[3 - MOST_SOURCE :]
        object.__setattr__(self, "source", source)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network.

    ``weights``: float64 (features, D), rows of unit L2 norm except for the rounding of the type that learned
    them, D by patch row, channel, column.
    ``thresholds``: float64 (features,), each in [-1, 1].
    ``lower``: the layer whose winners are this layer's events, frozen; None for a layer on camera events.
    ``readout``: class scores or a fading readout, for a model trained with one; a layer below has none.
    """

    params: Hyperparameters
    sensor: Sensor
    """What the network sees: behind the filters, if there are any."""
    weights: npt.NDArray[np.float64]
    thresholds: npt.NDArray[np.float64]
    training: Training
    lower: Model | None = None
    readout: Readout | FadingReadout | None = None
    filters: Filters | None = None
    """What is left out of the camera's events; part of the model, for it was learned from what was left. With
    two layers, the lower one has them."""

    @property
    def shape(self) -> Shape:
        """The network without its weights."""
        lower = self.lower.shape if self.lower else None
        readout = self.readout.size if self.readout else None
        return Shape(self.params, self.sensor, lower, readout, self.filters)

    @property
    def camera(self) -> Sensor:
        """What events are given in."""
        filters = self.input_filters
        return filters.camera if filters else self.sensor

    @property
    def input_filters(self) -> Filters | None:
        """The filters in front of the lowest layer."""
        return self.lower.filters if self.lower else self.filters

    def to_network_pixels(self, events: Events) -> Events:
        """`events` in pixels of the network; none is left out."""
        filters = self.input_filters
        return filters.downsampled(events) if filters else events

    @property
    def unfiltered(self) -> Model:
        """The same network for events that come filtered, in its own pixels; its id is another."""
        lower = None if self.lower is None else replace(self.lower, filters=None)
        return replace(self, lower=lower, filters=None)

    @property
    def model_id(self) -> str:
        """sha256 (64 hex digits) over the header and the array bytes, of both layers where there are two."""
        digest = hashlib.sha256(header_text(self).encode())
        for array in stored_arrays(self).values():
            digest.update(array.tobytes())
        return digest.hexdigest()


def stacked(lower: Model, params: Hyperparameters) -> Hyperparameters:
    """`params` for a layer on the winners of `lower`. Raises FeastError where that cannot be."""
    if lower.lower is not None:
        raise FeastError("the lower model has two layers already: two are the most")
    if params.polarity != "merged":
        raise FeastError(
            f"polarity {params.polarity}: a second layer has one surface for each feature below it, not for "
            "each polarity: leave it at merged"
        )
    upper = replace(params, channels=lower.params.total_features)
    if upper.dims > MOST_DIMS:
        raise FeastError(
            f"{lower.params.total_features} features below and radius {params.radius}: a context of "
            f"{upper.dims} components, at most {MOST_DIMS} are allowed"
        )
    return upper


# What the model id covers, and the model file holds

_UNITS: Final = {
    "tau_us": "microseconds",
    "thresholds": "cosine, -1 to 1",
    "weights": "unit L2 norm, row-major patch",
}


def header_text(model: Model) -> str:
    """All that a model holds beside its arrays, as JSON."""
    header: dict[str, Any] = {
        "format": "feast-model",
        "version": FORMAT_VERSION,
        "units": _UNITS,
        "sensor": asdict(model.sensor),
        **_layer_header(model),
    }
    if model.lower is not None:
        header["lower"] = _layer_header(model.lower)
    if model.readout is not None:
        header["readout"] = _readout_header(model.readout)
    if model.input_filters is not None:
        header["filters"] = asdict(model.input_filters)
    return json.dumps(header, sort_keys=True, allow_nan=False)


def _layer_header(layer: Model) -> dict[str, Any]:
    return {"hyperparameters": stored_params(layer.params), "training": asdict(layer.training)}


def _readout_header(readout: Readout | FadingReadout) -> dict[str, Any]:
    header: dict[str, Any] = {"grid": readout.grid, "labels": readout.labels}
    if isinstance(readout, FadingReadout):
        header |= {"kind": "fading", "tau_us": readout.tau_us}
        header |= {"min_margin": readout.min_margin, "min_typicality": readout.min_typicality}
    return header


def readout_arrays(readout: Readout | FadingReadout) -> tuple[str, ...]:
    """Fields of a readout that are arrays; ``readout_`` and the field in a model file."""
    return FADING_ARRAYS if isinstance(readout, FadingReadout) else ("weights", "bias")


def stored_params(params: Hyperparameters) -> dict[str, Any]:
    """Those that do not follow from the lower layer, by name."""
    stored = asdict(params)
    del stored["channels"]
    return stored


def stored_arrays(model: Model) -> dict[str, Any]:
    """All that a model holds beside its header: float64 arrays by name."""
    layers = {"": model} | ({"lower_": model.lower} if model.lower else {})
    arrays = {
        prefix + name: getattr(layer, name)
        for prefix, layer in layers.items()
        for name in ("weights", "thresholds")
    }
    if model.readout is not None:
        arrays |= {f"readout_{name}": getattr(model.readout, name) for name in readout_arrays(model.readout)}
    return {name: np.ascontiguousarray(array, "<f8") for name, array in arrays.items()}
