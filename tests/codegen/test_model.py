"""The model file: what is written is read back, and nothing else is accepted."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.hyperparameters import DEFAULTS
from feast_codegen.codegen.model.model import FORMAT_VERSION, Hyperparameters, Sensor
from feast_codegen.codegen.model.schema import check_hyperparameters
from feast_codegen.host.cli.commands.size import size as size_command
from feast_codegen.host.cli.commands.train import train as train_command
from feast_codegen.host.network.float_model import initial_model
from feast_codegen.host.sklearn_api import Feast
from tests.support.networks import behind, make_model, save_unchecked, with_readout


def test_round_trip(tmp_path: Path) -> None:
    for polarity in ("merged", "separate", "signed"):
        model = make_model(polarity=polarity, radius=2, features=3)
        path = tmp_path / f"{polarity}.npz"
        save_model(model, path)
        loaded = load_model(path)
        assert (loaded.params, loaded.sensor, loaded.training) == (model.params, model.sensor, model.training)
        np.testing.assert_array_equal(loaded.weights, model.weights)
        np.testing.assert_array_equal(loaded.thresholds, model.thresholds)
        assert loaded.model_id == model.model_id


def test_same_content_same_id_and_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save_model(make_model(), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert make_model().model_id != make_model(seed=1).model_id
    assert make_model().model_id != make_model(eta=0.002).model_id


def test_a_readout_is_part_of_the_file_and_of_the_id_only_where_there_is_one(tmp_path: Path) -> None:
    plain = make_model()
    before = "8f26a5cc692470c8926ceabc268c468820bdb658621231d9df63a1473674623f"
    assert plain.model_id == before, "a model without a readout says nothing of one"
    model = with_readout(plain, grid=5, classes=10)
    save_model(model, tmp_path / "model.npz")
    loaded = load_model(tmp_path / "model.npz")
    assert loaded.model_id == model.model_id != plain.model_id != with_readout(plain, seed=1).model_id
    assert loaded.readout is not None and model.readout is not None
    assert (loaded.readout.grid, loaded.readout.labels) == (5, model.readout.labels)
    np.testing.assert_array_equal(loaded.readout.weights, model.readout.weights)
    np.testing.assert_array_equal(loaded.readout.bias, model.readout.bias)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": 0}, "grid 0: expected 1 to 64"),
        ({"grid": 4}, r"weights have shape \(3, 144\), expected \(3, 256\)"),
        ({"labels": ("0", "1")}, r"weights have shape"),
        ({"labels": ("0",)}, "1 classes: expected 2 to 256"),
        ({"labels": ("0", "1", "1")}, "same label"),
        ({"labels": ("0", "1", "two\n")}, r"'two\\n' cannot name a class: expected 1 to 64 bytes"),
        ({"labels": ("0", "1", " two")}, "' two' cannot name a class"),
        ({"labels": ("0", "1", "")}, "'' cannot name a class"),
        ({"labels": ("0", "1", "\u00e9" * 33)}, "cannot name a class: expected 1 to 64 bytes"),
        ({"bias": np.zeros(2)}, "bias have shape"),
        ({"bias": np.array([0.0, np.inf, 0.0])}, "bias hold a value that is not finite"),
    ],
)
def test_hostile_readouts_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    model = with_readout(make_model())
    assert model.readout is not None
    readout = dataclasses.replace(model.readout, **change)
    hostile = dataclasses.replace(model, readout=readout)
    with pytest.raises(FeastError, match=message):
        save_model(hostile, tmp_path / "model.npz")
    save_unchecked(hostile, tmp_path / "model.npz")
    with pytest.raises(FeastError, match=message):
        load_model(tmp_path / "model.npz")


@pytest.mark.parametrize("missing", ["readout_weights", "readout_bias", "header"])
def test_half_a_readout_is_refused(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "model.npz"
    save_model(with_readout(make_model()), path)
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(arrays["header"].tobytes())
    if missing == "header":
        del header["readout"]
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    else:
        del arrays[missing]
    np.savez(path, **arrays)
    with pytest.raises(FeastError, match=r"not a model file|disagree about a readout"):
        load_model(path)


@settings(max_examples=150, deadline=None)
@example(position=0.85546875, bit=0)  # marks a member as encrypted
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_flipped_bits_are_refused(tmp_path_factory: Any, position: float, bit: int) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "flipped.npz"
    model = make_model(radius=1, features=2)
    save_model(model, path)
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 1 << bit
    path.write_bytes(content)
    try:
        loaded = load_model(path)
    except FeastError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
    else:  # a bit that zip does not use, such as a time stamp
        assert loaded.model_id == model.model_id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"radius": 0}, "radius.*got 0"),
        ({"features": "16"}, "features"),
        ({"tau_us": -1.0}, "tau_us"),
        ({"polarity": "both"}, "polarity"),
        ({"features": 17}, "weights have shape"),
        ({"extra": 1}, "extra"),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "model.npz"
    save_model(make_model(), path)
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(arrays["header"].tobytes())
    header["hyperparameters"] |= change
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)
    with pytest.raises(FeastError, match=message):
        load_model(path)


@pytest.mark.parametrize(("version", "way"), [(1, "train again"), (FORMAT_VERSION + 1, "update")])
def test_another_format_is_refused_and_named(tmp_path: Path, version: int, way: str) -> None:
    path = tmp_path / "model.npz"
    save_model(make_model(), path)
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(arrays["header"].tobytes()) | {"version": version}
    del header["hyperparameters"]["features"]
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)
    with pytest.raises(FeastError, match=f"model.npz: model file of format {version}, .*{way}"):
        load_model(path)


@pytest.mark.parametrize("array", ["weights", "thresholds"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3.0])
def test_hostile_numbers_are_refused(tmp_path: Path, array: str, value: float) -> None:
    model = make_model()
    numbers = getattr(model, array).copy()
    numbers.flat[5] = value
    path = tmp_path / "model.npz"
    hostile = dataclasses.replace(model, **{array: numbers})
    with pytest.raises(FeastError, match=str(path)):
        save_model(hostile, path)
    save_unchecked(hostile, path)
    with pytest.raises(FeastError, match=str(path)):
        load_model(path)


def test_pickles_and_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    with pytest.raises(FeastError, match="no such model file"):
        load_model(path)
    for content in (b"", b"hello", b"PK\x03\x04" + bytes(40)):
        path.write_bytes(content)
        with pytest.raises(FeastError, match="not a"):
            load_model(path)
    np.save(tmp_path / "object.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(FeastError, match="not a"):
        load_model(tmp_path / "object.npy")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    with pytest.raises(FeastError, match="cannot write"):
        save_model(make_model(), tmp_path / "missing" / "model.npz")
    assert not any(tmp_path.iterdir())


def test_sensor_sizes() -> None:
    assert Sensor.parse("346x260") == Sensor(346, 260)
    for text in ("34", "0x4", "34x", "5000x1", "axb", "-1x4"):
        with pytest.raises(FeastError, match="WIDTHxHEIGHT"):
            Sensor.parse(text)


def test_hyperparameters_are_checked_by_name() -> None:
    with pytest.raises(FeastError, match="eta"):
        check_hyperparameters(make_model(eta=float("nan")).params)


FILTERS = Filters(Sensor(69, 68), ((3, 4), (68, 67)), 1000, 20_000, 1, 1)


def test_filters_travel_with_the_model(tmp_path: Path) -> None:
    model = behind(FILTERS, radius=1, features=2)
    save_model(model, tmp_path / "model.npz")
    loaded = load_model(tmp_path / "model.npz")
    assert loaded.filters == FILTERS
    assert (loaded.sensor, loaded.camera) == (Sensor(35, 34), Sensor(69, 68))
    assert loaded.model_id == model.model_id
    others = (None, dataclasses.replace(FILTERS, background_us=20_001))
    assert len({model.model_id} | {dataclasses.replace(model, filters=each).model_id for each in others}) == 3


def test_a_model_without_filters_says_nothing_of_them(tmp_path: Path) -> None:
    model = initial_model(Hyperparameters(features=2, radius=1), Sensor(34, 34), seed=0)
    assert model.model_id == "1e82834fa6b73f9e9f67315ce9a0601af46c9ca4b846e64dc85235b966d99995"
    save_model(model, tmp_path / "model.npz")
    content = hashlib.sha256((tmp_path / "model.npz").read_bytes()).hexdigest()
    assert content == "8db824ddf0ebe2895d1dbf0558a4f92498f2954729e562fd050aff12a39f0373"
    assert model.camera == model.sensor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"refractory_us": -5}, "refractory -5 us"),
        ({"refractory_us": 1.5}, "filters.refractory_us: .*integer"),
        ({"hot_pixels": [[3, 4, 5]]}, "filters.hot_pixels.0"),
        ({"hot_pixels": [[68, 67], [3, 4]]}, "in the order of rows"),
        ({"hot_pixels": [[69, 0]]}, "outside the 69x68 camera"),
        ({"downsample_shift": 2}, "filters give a 18x17 sensor, the network has 35x34"),
        ({"more": 1}, "filters.more"),
        ({"camera": {"width": 0, "height": 1}}, "filters.camera.width"),
    ],
)
def test_filters_are_validated(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "model.npz"
    save_model(behind(FILTERS, radius=1, features=2), path)
    arrays = dict(np.load(path))
    header = json.loads(arrays["header"].tobytes())
    header["filters"] |= change
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)
    with pytest.raises(FeastError, match=message):
        load_model(path)


def test_defaults_are_those_of_hyperparameters_everywhere() -> None:
    """Of the estimator, of `codegen train` and of `codegen size`."""
    defaults = dataclasses.asdict(DEFAULTS)
    for function, names in (
        (Feast.__init__, set(defaults) - {"channels"}),
        (train_command, set(defaults) - {"channels"}),
        (size_command, {"radius", "tau_us", "polarity"}),
    ):
        given = inspect.signature(function).parameters
        called = {
            name: "features" if function is train_command and name == "features" else name for name in names
        }
        assert {name: given[called[name]].default for name in names} == {
            name: defaults[name] for name in names
        }
