"""The model file: an .npz of arrays and a JSON header, without pickle, checked in full when it is read."""

from __future__ import annotations

import io
import json
import math
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from feast_codegen.codegen.base import tool
from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.base.temporary import replacing
from feast_codegen.codegen.model.fading_readout import FADING_ARRAYS, FadingReadout, check_fading_readout
from feast_codegen.codegen.model.filters import Filters, check_filters
from feast_codegen.codegen.model.model import (
    FORMAT_VERSION,
    Hyperparameters,
    Model,
    Training,
    header_text,
    norm_limit,
    stacked,
    stored_arrays,
)
from feast_codegen.codegen.model.readout import Readout, check_readout
from feast_codegen.codegen.model.schema import (
    FadingSchema,
    FiltersSchema,
    HeaderSchema,
    LowerSchema,
    ReadoutSchema,
    first_problem,
)


def save_model(model: Model, path: Path) -> None:
    """Write the model file; an existing file is replaced in one step or not at all.

    Raises FeastError if the folder cannot be written, or for a model that `load_model` would refuse.
    """
    arrays = {
        "header": np.frombuffer(header_text(model).encode(), np.uint8),
        "sha256": np.frombuffer(bytes.fromhex(model.model_id), np.uint8),
        **stored_arrays(model),
    }
    _checked_model(arrays, path)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    try:
        with replacing(path) as partial:
            partial.write_bytes(buffer.getvalue())
    except OSError as error:
        raise FeastError(f"{path}: cannot write the model: {error.strerror or error}") from None


def load_model(path: Path) -> Model:
    """Read and validate a model file.

    Raises FeastError if it is missing, is no model file, has a field out of range, or does not
    match its own checksum.
    """
    return _checked_model(_read_arrays(path), path)


def _checked_model(arrays: dict[str, npt.NDArray[Any]], path: Path) -> Model:
    """The model that the arrays of a file are. Raises FeastError, naming `path`, if they are none."""
    try:
        text = arrays["header"].tobytes().decode()
        _check_version(text, path)
        header = HeaderSchema.model_validate_json(text)
    except ValidationError as error:
        raise FeastError(f"{path}: model header: {first_problem(error)}") from None
    except UnicodeDecodeError:
        raise FeastError(f"{path}: model header is not UTF-8 text") from None
    sensor = Sensor(**header.sensor.model_dump())
    if (header.lower is not None) != ("lower_weights" in arrays):
        raise FeastError(f"{path}: header and arrays disagree about a lower layer")
    filters = _load_filters(header.filters, sensor, path)
    model = _layer(header, sensor, arrays)
    if header.lower is None:
        model = replace(model, filters=filters)
    else:
        lower = replace(_layer(header.lower, sensor, arrays, "lower_"), filters=filters)
        try:
            params = stacked(lower, model.params)
        except FeastError as error:
            raise FeastError(f"{path}: {error}") from None
        model = replace(model, params=params, lower=lower)
        _check_arrays(lower, path, "lower ")
    _check_arrays(model, path)
    model = replace(model, readout=_readout(header.readout, arrays, model.params.total_features, path))
    if bytes.fromhex(model.model_id) != arrays["sha256"].tobytes():
        raise FeastError(f"{path}: checksum does not match the content: the file is damaged")
    return model


def _check_version(header: str, path: Path) -> None:
    """Raises FeastError, naming both formats, where another one than ours is written in `header`."""
    try:
        version = json.loads(header)["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return  # the schema says what is wrong
    if isinstance(version, int) and version != FORMAT_VERSION:
        way = "train again, older ones are not read" if version < FORMAT_VERSION else f"update {tool.NAME}"
        raise FeastError(
            f"{path}: model file of format {version}, this version reads {FORMAT_VERSION}: {way}"
        )


def _load_filters(stored: FiltersSchema | None, sensor: Sensor, path: Path) -> Filters | None:
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
    header: HeaderSchema | LowerSchema, sensor: Sensor, arrays: dict[str, npt.NDArray[Any]], prefix: str = ""
) -> Model:
    return Model(
        params=Hyperparameters(**header.hyperparameters.model_dump()),
        sensor=sensor,
        weights=arrays[prefix + "weights"].astype(np.float64),
        thresholds=arrays[prefix + "thresholds"].astype(np.float64),
        training=Training(**header.training.model_dump()),
    )


def _readout(
    header: FadingSchema | ReadoutSchema | None,
    arrays: dict[str, npt.NDArray[Any]],
    features: int,
    path: Path,
) -> Readout | FadingReadout | None:
    held = {name for name in arrays if name.startswith("readout_")}
    expected = {FadingSchema: _FADING_ARRAYS, ReadoutSchema: _SCORE_ARRAYS, type(None): ()}[type(header)]
    if held != set(expected):
        raise FeastError(f"{path}: header and arrays disagree about a readout")
    if header is None:
        return None
    fields: dict[str, Any] = header.model_dump(exclude={"kind"})
    fields |= {name.removeprefix("readout_"): arrays[name].astype(np.float64) for name in expected}
    try:
        if isinstance(header, FadingSchema):
            return check_fading_readout(FadingReadout(**fields), features)
        return check_readout(Readout(**fields), features)
    except FeastError as error:
        raise FeastError(f"{path}: {error}") from None


_SCORE_ARRAYS: Final = ("readout_weights", "readout_bias")
_FADING_ARRAYS: Final = tuple(f"readout_{name}" for name in FADING_ARRAYS)
_OPTIONAL_ARRAYS: Final = (("lower_weights", "lower_thresholds"), _FADING_ARRAYS, _SCORE_ARRAYS)


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
    features, dims = model.params.total_features, model.params.dims
    for name, shape in (("weights", (features, dims)), ("thresholds", (features,))):
        array = getattr(model, name)
        if array.shape != shape:
            raise FeastError(f"{path}: {layer}{name} have shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise FeastError(f"{path}: {layer}{name} hold a value that is not finite")
    with np.errstate(over="ignore"):  # rounded, so that fixed point may learn from every model of a file
        norms = np.linalg.norm(np.rint(model.weights * 2.0**15), axis=1) / 2**15
    worst = int(np.argmax(np.abs(norms - 1.0)))
    tolerance = norm_limit(dims) / 2**15
    if abs(norms[worst] - 1.0) > tolerance:
        raise FeastError(
            f"{path}: {layer}weights of feature {worst} have norm {norms[worst]:.6g}, "
            f"expected 1 within {tolerance:.4g}"
        )
    if np.abs(model.thresholds).max() > 1.0:
        raise FeastError(f"{path}: a {layer}threshold lies outside [-1, 1]")
