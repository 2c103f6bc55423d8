"""The trained network: hyperparameters, weights, thresholds, and its file format."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from codegen.errors import FeastError

FORMAT_VERSION: Final = 1
MOST_NEURONS: Final = 4096
UNIT_TOLERANCE: Final = 2e-3
"""Largest deviation of a stored weight vector's L2 norm from 1: Q15 rounding at D = 31*31 fits."""

Polarity = Literal["merged", "separate", "signed"]
Border = Literal["zero", "skip"]
Arithmetic = Literal["float", "fixed"]


@dataclass(frozen=True)
class Sensor:
    """Sensor size in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @staticmethod
    def parse(text: str) -> Sensor:
        """Read ``"34x34"``. Raises FeastError unless both sides are 1 to 4096."""
        match = re.fullmatch(r"(\d{1,4})[xX](\d{1,4})", text.strip())
        if match:
            width, height = int(match[1]), int(match[2])
            if 1 <= width <= 4096 and 1 <= height <= 4096:
                return Sensor(width, height)
        raise FeastError(f"sensor size {text!r}: expected WIDTHxHEIGHT, each 1 to 4096, e.g. 34x34")


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

    @property
    def side(self) -> int:
        """K, the side of the context in pixels."""
        return 2 * self.radius + 1

    @property
    def dims(self) -> int:
        """D = K*K, the components of a context."""
        return self.side**2

    @property
    def banks(self) -> int:
        """Number of surfaces that have features of their own."""
        return 2 if self.polarity == "separate" else 1

    @property
    def features(self) -> int:
        """Features over all banks; ids continue across banks."""
        return self.banks * self.neurons

    @property
    def law_miss_rate(self) -> float:
        """Steady miss rate while thresholds stay in bounds: 1 / (1 + N * delta_e / delta_i)."""
        return 1.0 / (1.0 + self.neurons * self.delta_e / self.delta_i)


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

    ``weights``: float64 (features, D), rows of unit L2 norm, D in row-major patch order.
    ``thresholds``: float64 (features,), each in [-1, 1].
    """

    params: Hyperparameters
    sensor: Sensor
    weights: npt.NDArray[np.float64]
    thresholds: npt.NDArray[np.float64]
    training: Training

    @property
    def model_id(self) -> str:
        """sha256 (64 hex digits) over the header and the array bytes."""
        digest = hashlib.sha256(_header_text(self).encode())
        for array in (self.weights, self.thresholds):
            digest.update(np.ascontiguousarray(array, "<f8").tobytes())
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


class _TrainingSchema(_Strict):
    source: Annotated[str, Field(max_length=1000)]
    recordings: Annotated[int, Field(ge=0)]
    events: Annotated[int, Field(ge=0)]
    epochs: Annotated[int, Field(ge=0)]
    seed: int
    arithmetic: Arithmetic
    miss_rate: Annotated[float, Field(ge=0, le=1)]


class _HeaderSchema(_Strict):
    format: Literal["feast-model"]
    version: Literal[1]
    units: dict[str, str]
    hyperparameters: _ParamsSchema
    sensor: _SensorSchema
    training: _TrainingSchema


_UNITS: Final = {
    "tau_us": "microseconds",
    "thresholds": "cosine, -1 to 1",
    "weights": "unit L2 norm, row-major patch",
}


def _header_text(model: Model) -> str:
    header = {
        "format": "feast-model",
        "version": FORMAT_VERSION,
        "units": _UNITS,
        "hyperparameters": asdict(model.params),
        "sensor": asdict(model.sensor),
        "training": asdict(model.training),
    }
    return json.dumps(header, sort_keys=True, allow_nan=False)


def check_hyperparameters(params: Hyperparameters) -> Hyperparameters:
    """Return `params` if every field is in its range, else raise FeastError naming the field."""
    try:
        _ParamsSchema(**asdict(params))
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
        weights=np.ascontiguousarray(model.weights, "<f8"),
        thresholds=np.ascontiguousarray(model.thresholds, "<f8"),
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
    params = Hyperparameters(**header.hyperparameters.model_dump())
    model = Model(
        params=params,
        sensor=Sensor(**header.sensor.model_dump()),
        weights=arrays["weights"].astype(np.float64),
        thresholds=arrays["thresholds"].astype(np.float64),
        training=Training(**header.training.model_dump()),
    )
    _check_arrays(model, path)
    if bytes.fromhex(model.model_id) != arrays["sha256"].tobytes():
        raise FeastError(f"{path}: checksum does not match the content: the file is damaged")
    return model


_UNREADABLE: Final = (
    *(OSError, ValueError, EOFError, KeyError, OverflowError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error, RuntimeError),  # RuntimeError: an "encrypted" member
)
"""What numpy and zipfile raise for damaged files."""


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    expected = {"header": "|u1", "sha256": "|u1", "weights": "<f8", "thresholds": "<f8"}
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile) or set(archive.files) != set(expected):
                raise FeastError(f"{path}: not a model file (expected the arrays {sorted(expected)})")
            arrays = {name: archive[name] for name in expected}
    except FileNotFoundError:
        raise FeastError(f"{path}: no such model file") from None
    except _UNREADABLE as error:
        if isinstance(error, ValueError):  # numpy takes it for a pickle, and advises to load it
            raise FeastError(f"{path}: not a model file, expected the .npz of `codegen train`") from None
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FeastError(f"{path}: not a readable model file ({reason})") from None
    for name, dtype in expected.items():
        if arrays[name].dtype.str != dtype:
            raise FeastError(f"{path}: array {name} is {arrays[name].dtype.str}, expected {dtype}")
    return arrays


def _check_arrays(model: Model, path: Path) -> None:
    features, dims = model.params.features, model.params.dims
    for name, shape in (("weights", (features, dims)), ("thresholds", (features,))):
        array = getattr(model, name)
        if array.shape != shape:
            raise FeastError(f"{path}: {name} have shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise FeastError(f"{path}: {name} hold a value that is not finite")
    norms = np.linalg.norm(model.weights, axis=1)
    worst = int(np.argmax(np.abs(norms - 1.0)))
    if abs(norms[worst] - 1.0) > UNIT_TOLERANCE:
        raise FeastError(
            f"{path}: weights of feature {worst} have norm {norms[worst]:.6g}, "
            f"expected 1 within {UNIT_TOLERANCE}"
        )
    if np.abs(model.thresholds).max() > 1.0:
        raise FeastError(f"{path}: a threshold lies outside [-1, 1]")


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"]) or "header"
    got = "" if problem["type"] == "missing" else f", got {problem.get('input')!r}"
    return f"{where}: {problem['msg'].lower()}{got}"[:300]
