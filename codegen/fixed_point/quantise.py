"""Model -> integers: every number the twin and the emitted C work with (docs/reference/numerics.md)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise_readout import QuantFading, quantise_fading
from feast_codegen.codegen.fixed_point.state_layout import (
    StateLayout,
    Values,
    Words,
    layer_names,
    state_layout,
)
from feast_codegen.codegen.model.fading_readout import FadingReadout
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import (
    Hyperparameters,
    Model,
    Sensor,
    Shape,
    emitted_filters,
    norm_limit,
)
from feast_codegen.codegen.model.options import Options, Weights
from feast_codegen.codegen.model.readout import QuantReadout, quantise_readout

TAU_RANGE_US = (10.0, 1e7)
ETA_RANGE = (1e-5, 0.1)
DELTA_RANGE = (1e-6, 1.0)
INITIAL_DITHER = 1


@dataclass(frozen=True, eq=False)
class QuantModel:
    """A model in integers.

    ``weights``: int16 (features, D) in Q15. ``thresholds``: int32 (features,) in Q30.
    ``mantissas``: uint16 (256,). Deltas in Q30, eta in Q32, ``octave_q8`` in 1/256 microsecond.
    """

    params: Hyperparameters
    sensor: Sensor
    model_id: str
    weights: npt.NDArray[np.int16]
    thresholds: npt.NDArray[np.int32]
    surface_bits: int
    mantissas: npt.NDArray[np.uint16]
    octave_q8: int
    fraction_factor: int
    eta_q32: int
    twice_eta_q32: int
    """2 * eta * (1 - eta)."""
    delta_i_q30: int
    delta_e_q30: int
    learning_shift: int
    lower: QuantModel | None = None
    """The layer below, which feeds this one."""
    readout: QuantReadout | QuantFading | None = None
    filters: Filters | None = None
    """In front of this layer."""

    @property
    def shape(self) -> Shape:
        """The network without its weights."""
        lower = self.lower.shape if self.lower else None
        readout = self.readout.size if self.readout else None
        return Shape(self.params, self.sensor, lower, readout, self.filters)

    def state(self, options: Options) -> StateLayout:
        """The state of the network as `options` leave it."""
        return state_layout(self.shape.emitted(options))


@dataclass(frozen=True)
class QuantReport:
    """What quantisation cost, against the float model."""

    weight_error: float
    """Largest L2 distance between a feature and its Q15 version."""
    threshold_error: float
    """Largest absolute difference of a threshold."""
    octave_error: float
    """Relative error of the decay constant."""
    context_error: float
    """Relative error of a context from the mantissa table alone."""


def quantise(model: Model) -> tuple[QuantModel, QuantReport]:
    """Round a model into the formats of docs/reference/numerics.md; the report is on the upper of two layers.

    Raises FeastError for a decay constant or a readout that the formats cannot express.
    """
    params = model.params
    _check_range("tau_us", params.tau_us, TAU_RANGE_US)
    bits = formats.surface_bits(params.dims)
    octave_q8 = formats.octave_length(params.tau_us)
    quant = QuantModel(
        params=params,
        sensor=model.sensor,
        model_id=model.model_id,
        weights=formats.to_weights(model.weights),
        thresholds=np.rint(model.thresholds * formats.UNIT).astype(np.int32),
        surface_bits=bits,
        mantissas=formats.mantissas(bits),
        octave_q8=octave_q8,
        fraction_factor=formats.fraction_factor(octave_q8),
        eta_q32=round(params.eta * 2**32),
        twice_eta_q32=round(2 * params.eta * (1 - params.eta) * 2**32),
        delta_i_q30=formats.to_unit(params.delta_i),
        delta_e_q30=formats.to_unit(params.delta_e),
        learning_shift=formats.learning_shift(round(params.eta * 2**32), bits),
        lower=quantise(model.lower)[0] if model.lower else None,
        readout=_quantised_readout(model),
        filters=model.filters,
    )
    return quant, _report(model, quant)


def _quantised_readout(model: Model) -> QuantReadout | QuantFading | None:
    if isinstance(model.readout, FadingReadout):
        return quantise_fading(model.readout, model.sensor)
    return quantise_readout(model.readout) if model.readout else None


def check_learnable(params: Hyperparameters) -> None:
    """Raise FeastError if the fixed-point formats cannot express the learning parameters."""
    _check_range("eta", params.eta, ETA_RANGE)
    _check_range("delta_i", params.delta_i, DELTA_RANGE)
    _check_range("delta_e", params.delta_e, DELTA_RANGE)


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """Weights as a network holds them: ``values`` int16 (features, D) in Q``fraction``."""

    values: npt.NDArray[np.int16]
    fraction: int


def stored_weights(quant: QuantModel, options: Options) -> StoredWeights:
    """The weights that twin and plan work with (docs/reference/numerics.md section 1).

    Raises FeastError for learning with int8 weights, with parameters fixed point cannot express, or from
    weights that learning does not lead to.
    """
    options.check()
    if options.learning:
        check_learnable(quant.params)
        _check_norms(quant)
    if options.weights == "int16":
        return StoredWeights(quant.weights, formats.WEIGHT_BITS)
    fraction = formats.WEIGHT_BITS - 1
    while np.abs(_narrowed(quant.weights, fraction)).max() > formats.NARROW_MAX:
        fraction -= 1
    return StoredWeights(_narrowed(quant.weights, fraction), fraction)


def _check_norms(quant: QuantModel) -> None:
    least, most = formats.squared_norms(quant.params.dims)
    energies = (quant.weights.astype(np.int64) ** 2).sum(axis=1)
    wrong = np.flatnonzero((energies < least) | (energies > most))
    if len(wrong):
        norm, limit = np.sqrt(energies[wrong[0]]) / formats.WEIGHT_UNIT, norm_limit(quant.params.dims)
        raise FeastError(
            f"weights of feature {wrong[0]} have norm {norm:.4f}: learning takes 1 within "
            f"{limit / formats.WEIGHT_UNIT:.4f}, as model files do"
        )


def effective_readout(quant: QuantModel, options: Options) -> QuantReadout | QuantFading | None:
    """The readout that twin and plan work with, if there is one."""
    return quant.readout if options.readout else None


def _narrowed(weights: npt.NDArray[np.int16], fraction: int) -> npt.NDArray[np.int16]:
    drop = formats.WEIGHT_BITS - fraction
    return ((weights.astype(np.int32) + (1 << (drop - 1))) >> drop).astype(np.int16)


def effective_filters(quant: QuantModel, options: Options) -> Filters | None:
    """The filters that twin and plan put before the network."""
    return emitted_filters(quant, options)


def state_id(quant: QuantModel, options: Options) -> int:
    """CRC-32 of the learned state that a network starts from (the numerics page sections 8 and 12)."""
    return zlib.crc32(initial_words(quant, options).tobytes())


def initial_words(quant: QuantModel, options: Options = Options()) -> Words:
    """The learned state that a network starts from, in words."""
    names = layer_names(quant.shape)
    stages = {names[-1]: initial_values(quant, options)}
    if quant.lower is not None:
        stages[names[0]] = initial_values(quant.lower, options.below)
    return quant.state(options).pack(stages, learned_only=True)


def initial_values(quant: QuantModel, options: Options) -> Values:
    """What one layer has learned when it starts, by section of the state."""
    weights = stored_weights(quant, options).values
    return {"weights": weights, "thresholds": quant.thresholds, "dither": INITIAL_DITHER}


def cosine_bound(
    model: Model,
    quant: QuantModel,
    context_norm: npt.NDArray[np.float64],
    weights: Weights = "int16",
) -> npt.NDArray[np.float64]:
    """Largest difference between a float and a quantised cosine (docs/reference/numerics.md section 11).

    ``context_norm``: L2 norm of each context where the event's own pixel has the value 1; the
    bound takes the smallest mantissa for it, so that it holds for every fraction of an octave.
    """
    stored = stored_weights(quant, Options(weights=weights))
    weight_error = np.linalg.norm(stored.values / 2.0**stored.fraction - model.weights, axis=1).max()
    units = 1.0 + 2.0 ** (quant.surface_bits - 2) / quant.octave_q8
    truncation = units * np.sqrt(model.params.dims) / (context_norm * 2.0 ** (quant.surface_bits - 1))
    return np.asarray(_report(model, quant).context_error + weight_error + truncation, np.float64)


def _check_range(name: str, value: float, allowed: tuple[float, float]) -> None:
    low, high = allowed
    if not low <= value <= high:
        raise FeastError(f"{name} {value:g}: fixed point allows {low:g} to {high:g}")


def _report(model: Model, quant: QuantModel) -> QuantReport:
    octave = model.params.tau_us * np.log(2.0) * 2**formats.TIME_BITS
    weights = quant.weights / 2.0**formats.WEIGHT_BITS
    thresholds = quant.thresholds / float(formats.UNIT)
    return QuantReport(
        weight_error=float(np.linalg.norm(weights - model.weights, axis=1).max()),
        threshold_error=float(np.abs(thresholds - model.thresholds).max()),
        octave_error=float(abs(quant.octave_q8 / octave - 1.0)),
        context_error=formats.table_error(quant.octave_q8) + 2.0**-quant.surface_bits,
    )
