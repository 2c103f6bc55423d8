"""The readout of a model: fitted to labels, the same classes event by event, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE
from feast_codegen.codegen.emit.compiled_library import build_native
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import MANIFEST, render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.model import Hyperparameters, Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.cli.app import execute
from feast_codegen.host.evaluation.fit_readout import check_readable, fit_readout, label_of
from feast_codegen.host.evaluation.pooling import Pooling, pool_sums
from feast_codegen.host.network.float_model import FloatFeast
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.source import Source
from tests.support.networks import make_model, with_readout

PARAMS = Hyperparameters(features=6, radius=2, polarity="separate")
DIGITS = "sim:digits?count=60"


@pytest.fixture(scope="module")
def digits() -> Source:
    return open_source(DIGITS)


@pytest.fixture(scope="module")
def model(digits: Source) -> Model:
    """Learned in integers: what its features are worth is the same on every machine."""
    return train(digits, PARAMS, arithmetic="fixed").model


def test_digits_are_read_and_the_device_agrees(digits: Source, model: Model) -> None:
    """Fitted and unseen recordings; the C adds rows event by event, the float model multiplies counts."""
    fitted = fit_readout(digits, model, grid=5)
    assert fitted.readout.labels == tuple("0123456789")
    assert fitted.folds == 6 and fitted.accuracy > 0.7, fitted.accuracy
    model = replace(model, readout=fitted.readout)
    native = build_native(render(make_plan(quantise(model)[0], None, Options())))
    reference = FloatFeast(model, dtype=np.float64)
    right = 0
    for stream in open_source("sim:digits?seed=1&count=30"):
        native.reset()
        reference.reset()
        results = native.step(stream.events)
        assert label_of(fitted.readout, results, stream.events, stream.sensor) == native.label
        right += native.label == stream.label
        assert native.label == label_of(
            fitted.readout, reference.step(stream.events), stream.events, stream.sensor
        )
    assert right >= 20, right


def test_scores_come_in_the_unit_of_the_fit(digits: Source, model: Model) -> None:
    """docs/reference/numerics.md: a score over 2^R and the events won is the value of the linear function."""
    readout = fit_readout(digits, model, grid=3).readout
    quant = quantise(replace(model, readout=readout))[0]
    assert quant.readout is not None
    twin = Twin(quant, Options())
    stream = digits.load(3)
    results = twin.step(stream.events)
    counts = pool_sums(results, stream.events, stream.sensor, PARAMS.total_features, Pooling(3))
    wanted = readout.weights @ (counts / counts.sum()) + readout.bias
    got = twin.scores / 2.0**quant.readout.bits / counts.sum()
    np.testing.assert_allclose(got, wanted, atol=0.5 / 2**quant.readout.bits)


def test_fitting_repeats_itself(digits: Source, model: Model) -> None:
    first, again = fit_readout(digits, model, 3), fit_readout(digits, model, 3)
    assert replace(model, readout=first.readout).model_id == replace(model, readout=again.readout).model_id


def test_labels_are_the_numbers_of_the_folders(digits: Source, model: Model) -> None:
    renamed = replace(digits, labels=tuple(3 if label == 1 else 12 for label in digits.labels))
    assert fit_readout(renamed, model, 3).readout.labels == ("3", "12")


def test_an_empty_recording_has_no_label() -> None:
    readout = with_readout(make_model(radius=1, features=2)).readout
    assert readout is not None
    nothing = np.zeros(0, EVENT_DTYPE)
    assert label_of(readout, np.zeros(0, np.int16), nothing, Sensor(34, 34)) == -1


def test_what_cannot_be_fitted_is_refused(digits: Source) -> None:
    with pytest.raises(FeastError, match="readout grid 0: expected 1 to 34 cells on a 34x34 sensor"):
        check_readable(digits, 0)
    with pytest.raises(FeastError, match="readout grid 35"):
        check_readable(digits, 35)
    with pytest.raises(FeastError, match="needs labels"):
        check_readable(replace(digits, labels=(None, *digits.labels[1:])), 3)
    with pytest.raises(FeastError, match="at least 2 recordings each; got 10 classes, the smallest of 1"):
        check_readable(digits.pick(range(15)), 3)
    with pytest.raises(FeastError, match="got 1 classes"):
        check_readable(digits.pick(range(0, 60, 10)), 3)
    assert check_readable(digits.pick(range(30)), 3) == 3


# --- command line ---


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readout") / "model.npz"
    options = [
        "--features",
        "4",
        "--radius",
        "1",
        "--arithmetic",
        "fixed",
        "--readout",
        "--readout-grid",
        "4",
    ]
    assert execute(["train", DIGITS, "-o", str(path), *options]) == 0
    return path


def test_train_says_what_to_expect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "m.npz")
    arguments = ["train", DIGITS, "-o", output, "--features", "4", "--radius", "1", "--readout"]
    assert execute([*arguments, "--arithmetic", "fixed", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    readout = found["readout"]
    assert (readout["grid"], readout["folds"], readout["labels"]) == (7, 6, list("0123456789"))
    assert 0.3 < readout["accuracy"] == found["accuracy"] <= 1.0
    assert load_model(tmp_path / "m.npz").model_id == found["model_id"]
    assert execute(arguments) == 0
    assert "10 classes, 7x7 cells" in capsys.readouterr().out


def test_verify_says_how_many_labels_are_right(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["verify", str(trained), "sim:digits?seed=1&count=20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mismatches"] == 0
    assert 0.3 < found["accuracy"] <= 1.0
    assert abs(found["accuracy"] - found["float_accuracy"]) <= 0.1
    assert execute(["verify", str(trained), "sim:digits?seed=1&count=3"]) == 0
    assert "of 3 recordings right" in capsys.readouterr().out
    assert execute(["verify", str(trained), "sim:digits?count=2", "--no-readout", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] is None


def test_emission_has_the_readout_unless_told_otherwise(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def emit(*options: str) -> dict[str, object]:
        folder = tmp_path / "_".join(("lib", *options))
        assert execute(["emit", str(trained), "--board", "mps2_an386", "-o", str(folder), *options]) == 0
        manifest: dict[str, object] = json.loads((folder / MANIFEST).read_text())
        return manifest

    assert emit()["readout"] == emit("--readout")["readout"] == {"grid": 4, "labels": list("0123456789")}
    assert "scores of 10 classes" in capsys.readouterr().out
    assert "readout" not in emit("--no-readout")


def test_a_readout_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plain.npz"
    save_model(make_model(radius=1, features=2), path)
    for command in (
        ["emit", str(path), "--board", "mps2_an386", "-o", str(tmp_path / "lib"), "--readout"],
        ["verify", str(path), "sim:digits?count=1", "--readout"],
        ["emulate", "--board", "mps2_an386", str(path), "sim:digits?count=1", "--readout"],
    ):
        assert execute(command) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "the model has no readout" in error
    assert not (tmp_path / "lib").exists()


def test_mistakes_are_found_before_any_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr("feast_codegen.host.network.training.train", never)
    output = ["-o", str(tmp_path / "m.npz")]
    for arguments, message in (
        (["sim:digits?count=12", "--readout"], "at least 2 recordings each"),
        ([DIGITS, "--readout", "--readout-grid", "99"], "readout grid 99: expected 1 to 34"),
        ([DIGITS, "--readout-grid", "5"], "--readout-grid belongs to --readout"),
    ):
        assert execute(["train", *arguments, *output]) == 2
        assert message in capsys.readouterr().err
