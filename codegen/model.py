"""The trained network: hyperparameters, weights, thresholds, and its file format."""

from __future__ import annotations

import hashlib
import io
import json
import math
import warnings
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from codegen.errors import FeastError
from codegen.filters import MOST_HOT_PIXELS, Filters, check_filters
from codegen.options import Options
from codegen.readout import Readout, ReadoutSize, check_readout
from codegen.records import Events
from codegen.sensor import Sensor as Sensor

FORMAT_VERSION: Final = 1
MOST_NEURONS: Final = 4096
MOST_DIMS: Final = 254**2
"""Components of a context; at more, 8 bits a component no longer keep sums in 32 bits."""
UNIT_TOLERANCE: Final = 2e-3
"""Largest deviation of a stored weight vector's L2 norm from 1: Q15 rounding at D = 31*31 fits."""

Polarity = Literal["merged", "separate", "signed"]
Border = Literal["zero", "skip"]
Arithmetic = Literal["float", "fixed"]


@dataclass(frozen=True)
class Hyperparameters:
    """What the rule of FEAST is given. Defaults are the paper's scale for 11x11 patches."""

    neurons: int = 16
    """Features per bank (`separate` polarity has two banks)."""
    radius: int = 5
    """The context is a (2*radius + 1) square patch."""
    tau_us: float = 20_000.0
    """Decay constant of the time surface, microseconds."""
    eta: float = 0.001
    """Learning rate of the winning feature."""
    delta_i: float = 0.001
    """Rise of the winner's selection threshold."""
    delta_e: float = 0.003
    """Fall of all selection thresholds of the bank on a missed event."""
    polarity: Polarity = "merged"
    border: Border = "zero"
    channels: int = 1
    """Surfaces that a context spans: the features of the layer below, 1 for a layer on events. Not stored:
    it follows from the lower layer."""

    @property
    def side(self) -> int:
        """K, the side of the context in pixels."""
        return 2 * self.radius + 1

    @property
    def dims(self) -> int:
        """D = channels*K*K, the components of a context."""
        return self.channels * self.side**2

    @property
    def banks(self) -> int:
        """Sets of features, each with surfaces of its own."""
        return 2 if self.polarity == "separate" else 1

    @property
    def surfaces(self) -> int:
        """Time surfaces: one for each bank, or one for each channel."""
        return self.banks * self.channels

    @property
    def features(self) -> int:
        """Features over all banks; ids continue across banks."""
        return self.banks * self.neurons

    @property
    def law_miss_rate(self) -> float:
        """Steady miss rate while thresholds stay in bounds: 1 / (1 + N * delta_e / delta_i)."""
        return 1.0 / (1.0 + self.neurons * self.delta_e / self.delta_i)


@dataclass(frozen=True)
class Shape:
    """A network without its weights: all that its memory, code and cost depend on."""

    params: Hyperparameters
    sensor: Sensor
    """What the network sees: behind the filters, if there are any."""
    lower: Shape | None = None
    """The layer below, which feeds this one."""
    readout: ReadoutSize | None = None
    filters: Filters | None = None
    """In front of this layer; of two layers, the lower one's."""

    @property
    def layer(self) -> Shape:
        """This layer by itself: of two, without the other, and without the readout, which is of both."""
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


@dataclass(frozen=True)
class Training:
    """Where the numbers of a model came from. Holds no clock, path or host name."""

    source: str
    recordings: int
    events: int
    epochs: int
    seed: int
    arithmetic: Arithmetic
    miss_rate: float
    """Missed events over compared events in the last quarter of training."""


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network.

    ``weights``: float64 (features, D), rows of unit L2 norm, D by patch row, channel, column.
    ``thresholds``: float64 (features,), each in [-1, 1].
    ``lower``: the layer whose winners are this layer's events, frozen; None for a layer on camera events.
    ``readout``: class scores, for a model that was trained with them; a layer below has none.
    """

    params: Hyperparameters
    sensor: Sensor
    """What the network sees: behind the filters, if there are any."""
    weights: npt.NDArray[np.float64]
    thresholds: npt.NDArray[np.float64]
    training: Training
    lower: Model | None = None
    readout: Readout | None = None
    filters: Filters | None = None
    """What is left out of the camera's events; part of the model, for it was learned from what was left. Of
    two layers, the lower one's."""

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

    def placed(self, events: Events) -> Events:
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
        digest = hashlib.sha256(_header_text(self).encode())
        for array in _arrays(self).values():
            digest.update(array.tobytes())
        return digest.hexdigest()


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _ParamsSchema(_Strict):
    neurons: Annotated[int, Field(ge=1, le=MOST_NEURONS)]
    radius: Annotated[int, Field(ge=1, le=15)]
    tau_us: Annotated[float, Field(gt=0, le=1e9)]
    eta: Annotated[float, Field(ge=0, le=1)]
    delta_i: Annotated[float, Field(ge=0, le=2)]
    delta_e: Annotated[float, Field(ge=0, le=2)]
    polarity: Polarity
    border: Border


class _SensorSchema(_Strict):
    width: Annotated[int, Field(ge=1, le=4096)]
    height: Annotated[int, Field(ge=1, le=4096)]


class _FiltersSchema(_Strict):
    camera: _SensorSchema
    hot_pixels: Annotated[list[tuple[int, int]], Field(max_length=MOST_HOT_PIXELS)]
    refractory_us: int
    background_us: int
    cell_shift: int
    downsample_shift: int


class _TrainingSchema(_Strict):
    source: Annotated[str, Field(max_length=1000)]
    recordings: Annotated[int, Field(ge=0)]
    events: Annotated[int, Field(ge=0)]
    epochs: Annotated[int, Field(ge=0)]
    seed: int
    arithmetic: Arithmetic
    miss_rate: Annotated[float, Field(ge=0, le=1)]


class _LowerSchema(_Strict):
    hyperparameters: _ParamsSchema
    training: _TrainingSchema


class _ReadoutSchema(_Strict):
    grid: int
    labels: tuple[str, ...]


class _HeaderSchema(_Strict):
    format: Literal["feast-model"]
    version: Literal[1]
    units: dict[str, str]
    hyperparameters: _ParamsSchema
    sensor: _SensorSchema
    training: _TrainingSchema
    lower: _LowerSchema | None = None
    readout: _ReadoutSchema | None = None
    filters: _FiltersSchema | None = None


_LAYER_ARRAYS: Final = ("weights", "thresholds")
_UNITS: Final = {
    "tau_us": "microseconds",
    "thresholds": "cosine, -1 to 1",
    "weights": "unit L2 norm, row-major patch",
}


def _header_text(model: Model) -> str:
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
        header["readout"] = {"grid": model.readout.grid, "labels": model.readout.labels}
    if model.input_filters is not None:
        header["filters"] = asdict(model.input_filters)
    return json.dumps(header, sort_keys=True, allow_nan=False)


def _layer_header(layer: Model) -> dict[str, Any]:
    return {"hyperparameters": _stored_params(layer.params), "training": asdict(layer.training)}


def _stored_params(params: Hyperparameters) -> dict[str, Any]:
    stored = asdict(params)
    del stored["channels"]
    return stored


def _arrays(model: Model) -> dict[str, Any]:
    """What a model file holds beside its header, by name."""
    layers = {"": model} | ({"lower_": model.lower} if model.lower else {})
    arrays = {
        prefix + name: getattr(layer, name) for prefix, layer in layers.items() for name in _LAYER_ARRAYS
    }
    if model.readout is not None:
        arrays |= {"readout_weights": model.readout.weights, "readout_bias": model.readout.bias}
    return {name: np.ascontiguousarray(array, "<f8") for name, array in arrays.items()}


def stacked(lower: Model, params: Hyperparameters) -> Hyperparameters:
    """`params` for a layer on the winners of `lower`. Raises FeastError where that cannot be."""
    if lower.lower is not None:
        raise FeastError("the lower model has two layers already: two are the most")
    if params.polarity != "merged":
        raise FeastError(
            f"polarity {params.polarity}: a second layer has one surface for each feature below it, not for "
            "each polarity: leave it at merged"
        )
    upper = replace(params, channels=lower.params.features)
    if upper.dims > MOST_DIMS:
        raise FeastError(
            f"{lower.params.features} features below and radius {params.radius}: a context of {upper.dims} "
            f"components, at most {MOST_DIMS} are allowed"
        )
    return upper


def check_hyperparameters(params: Hyperparameters) -> Hyperparameters:
    """Return `params` if every field is in its range, else raise FeastError naming the field."""
    try:
        _ParamsSchema(**_stored_params(params))
    except ValidationError as error:
        raise FeastError(_first_problem(error)) from None
    return params


def save_model(model: Model, path: Path) -> None:
    """Write the model file; an existing file is replaced in one step or not at all.

    Raises FeastError if the folder cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(
        buffer,
        header=np.frombuffer(_header_text(model).encode(), np.uint8),
        sha256=np.frombuffer(bytes.fromhex(model.model_id), np.uint8),
        **_arrays(model),
    )
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(buffer.getvalue())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise FeastError(f"{path}: cannot write the model: {error.strerror or error}") from None


def load_model(path: Path) -> Model:
    """Read and validate a model file.

    Raises FeastError if it is missing, is no model file, has a field out of range, or does not
    match its own checksum.
    """
    arrays = _read_arrays(path)
    try:
        text = arrays["header"].tobytes().decode()
        header = _HeaderSchema.model_validate_json(text)
    except ValidationError as error:
        raise FeastError(f"{path}: model header: {_first_problem(error)}") from None
    except UnicodeDecodeError:
        raise FeastError(f"{path}: model header is not UTF-8 text") from None
    sensor = Sensor(**header.sensor.model_dump())
    if (header.lower is not None) != ("lower_weights" in arrays):
        raise FeastError(f"{path}: header and arrays disagree about a lower layer")
    lower = None if header.lower is None else _layer(header.lower, sensor, arrays, "lower_")
    model = _layer(header, sensor, arrays, "")
    if (filters := _load_filters(header.filters, sensor, path)) is not None:
        model, lower = (
            (replace(model, filters=filters), None)
            if lower is None
            else (model, replace(lower, filters=filters))
        )
    if lower is not None:
        try:
            params = stacked(lower, model.params)
        except FeastError as error:
            raise FeastError(f"{path}: {error}") from None
        model = replace(model, params=params, lower=lower)
        _check_arrays(lower, path, "lower ")
    _check_arrays(model, path)
    model = replace(model, readout=_readout(header.readout, arrays, model.params.features, path))
    if bytes.fromhex(model.model_id) != arrays["sha256"].tobytes():
        raise FeastError(f"{path}: checksum does not match the content: the file is damaged")
    return model


def _load_filters(stored: _FiltersSchema | None, sensor: Sensor, path: Path) -> Filters | None:
    if stored is None:
        return None
    values = stored.model_dump()
    camera, hot = Sensor(**values.pop("camera")), tuple(values.pop("hot_pixels"))
    try:
        filters = check_filters(Filters(camera, hot, **values))
    except FeastError as error:
        raise FeastError(f"{path}: model header: {error}") from None
    if filters.sensor != sensor:
        raise FeastError(f"{path}: the filters give a {filters.sensor} sensor, the network has {sensor}")
    return filters


def _layer(
    header: _HeaderSchema | _LowerSchema, sensor: Sensor, arrays: dict[str, npt.NDArray[Any]], prefix: str
) -> Model:
    return Model(
        params=Hyperparameters(**header.hyperparameters.model_dump()),
        sensor=sensor,
        weights=arrays[prefix + "weights"].astype(np.float64),
        thresholds=arrays[prefix + "thresholds"].astype(np.float64),
        training=Training(**header.training.model_dump()),
    )


def _readout(
    header: _ReadoutSchema | None, arrays: dict[str, npt.NDArray[Any]], features: int, path: Path
) -> Readout | None:
    if (header is not None) != ("readout_weights" in arrays):
        raise FeastError(f"{path}: header and arrays disagree about a readout")
    if header is None:
        return None
    weights, bias = (arrays[name].astype(np.float64) for name in ("readout_weights", "readout_bias"))
    try:
        return check_readout(Readout(header.grid, header.labels, weights, bias), features)
    except FeastError as error:
        raise FeastError(f"{path}: {error}") from None


_OPTIONAL_ARRAYS: Final = (("lower_weights", "lower_thresholds"), ("readout_weights", "readout_bias"))


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    expected = {"header": "|u1", "sha256": "|u1", "weights": "<f8", "thresholds": "<f8"}
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            path.open("rb") as file,
            np.load(file, allow_pickle=False) as archive,
        ):
            found = set(archive.files) if isinstance(archive, np.lib.npyio.NpzFile) else set()
            for names in _OPTIONAL_ARRAYS:
                expected |= dict.fromkeys(names, "<f8") if found.issuperset(names) else {}
            if found != set(expected):
                raise FeastError(f"{path}: not a model file (expected the arrays {sorted(expected)})")
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.zip.infolist()):
                raise FeastError(f"{path}: not a model file (its arrays are compressed)")
            for name in expected:
                _check_claim(archive.zip, f"{name}.npy")
            arrays = {name: archive[name] for name in expected}
    except FeastError:
        raise
    except FileNotFoundError:
        raise FeastError(f"{path}: no such model file") from None
    except Exception as error:  # numpy and zipfile raise some twenty types over damaged files
        if isinstance(error, ValueError):  # numpy takes it for a pickle, and advises to load it
            raise FeastError(f"{path}: not a model file, expected the .npz of `codegen train`") from None
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FeastError(f"{path}: not a readable model file ({reason})") from None
    for name, dtype in expected.items():
        got = arrays[name].dtype.str if isinstance(arrays[name], np.ndarray) else "damaged"
        if got != dtype:
            raise FeastError(f"{path}: array {name} is {got}, expected {dtype}")
    return arrays


def _check_claim(archive: zipfile.ZipFile, name: str) -> None:
    """Raise ValueError if an array claims more than its member of the file holds: numpy would reserve it."""
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = read[version](member)
    if math.prod(shape) * dtype.itemsize > archive.getinfo(name).file_size:
        raise ValueError(f"{name}: of shape {shape}")


def _check_arrays(model: Model, path: Path, layer: str = "") -> None:
    features, dims = model.params.features, model.params.dims
    for name, shape in (("weights", (features, dims)), ("thresholds", (features,))):
        array = getattr(model, name)
        if array.shape != shape:
            raise FeastError(f"{path}: {layer}{name} have shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise FeastError(f"{path}: {layer}{name} hold a value that is not finite")
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(model.weights, axis=1)
    worst = int(np.argmax(np.abs(norms - 1.0)))
    if abs(norms[worst] - 1.0) > UNIT_TOLERANCE:
        raise FeastError(
            f"{path}: {layer}weights of feature {worst} have norm {norms[worst]:.6g}, "
            f"expected 1 within {UNIT_TOLERANCE}"
        )
    if np.abs(model.thresholds).max() > 1.0:
        raise FeastError(f"{path}: a {layer}threshold lies outside [-1, 1]")


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"]) or "header"
    got = "" if problem["type"] == "missing" else f", got {problem.get('input')!r}"
    return f"{where}: {problem['msg'].lower()}{got}"[:300]
