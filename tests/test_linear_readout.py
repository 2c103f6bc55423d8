"""The readout of a model: fitted to labels, the same classes event by event, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codegen.errors import FeastError
from codegen.model import Hyperparameters, Sensor
from codegen.model_file import load_model, save_model
from codegen.native import build_native
from codegen.options import Options
from codegen.plan import make_plan
from codegen.quantise import quantise
from codegen.records import EVENT_DTYPE
from codegen.render import MANIFEST, render
from codegen.twin import Twin
from host.cli import execute
from host.datasets import open_source
from host.feast import FloatFeast
from host.linear_readout import cell_counts, check_readable, fit_readout, label_of
from host.pooling import Pooling, pool_sums
from host.source import Source
from host.training import train
from tests.networks import make_events, make_model, with_readout

PARAMS = Hyperparameters(neurons=6, radius=2, polarity="separate")
DIGITS = "sim:digits?count=60"


@pytest.fixture(scope="module")
def digits() -> Source:
    return open_source(DIGITS)


def test_counts_are_those_of_side_by_side_pooling() -> None:
    sensor = Sensor(13, 9)
    events = make_events(2000, sensor)
    results = np.random.default_rng(1).integers(-4, 5, len(events)).astype(np.int16)
    for grid in (1, 3, 9):
        counts = cell_counts(results, events, sensor, 5, grid)
        np.testing.assert_array_equal(counts, pool_sums(results, events, sensor, 5, Pooling(grid)))


def test_digits_are_read_and_the_device_agrees(digits: Source) -> None:
    """Fitted and unseen recordings; the C adds rows event by event, the float model multiplies counts."""
    model = train(digits, PARAMS).model
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


def test_scores_come_in_the_unit_of_the_fit(digits: Source) -> None:
    """docs/numerics.md: a score over 2^R and the events won is the value of the linear function."""
    model = replace(train(digits, PARAMS).model)
    readout = fit_readout(digits, model, grid=3).readout
    quant = quantise(replace(model, readout=readout))[0]
    assert quant.readout is not None
    twin = Twin(quant, Options())
    stream = digits.load(3)
    results = twin.step(stream.events)
    counts = cell_counts(results, stream.events, stream.sensor, PARAMS.features, 3)
    wanted = readout.weights @ (counts / counts.sum()) + readout.bias
    got = twin.scores / 2.0**quant.readout.bits / counts.sum()
    np.testing.assert_allclose(got, wanted, atol=0.5 / 2**quant.readout.bits)


def test_fitting_repeats_itself(digits: Source) -> None:
    model = train(digits, PARAMS).model
    first, again = fit_readout(digits, model, 3), fit_readout(digits, model, 3)
    assert replace(model, readout=first.readout).model_id == replace(model, readout=again.readout).model_id


def test_labels_are_the_numbers_of_the_folders(digits: Source) -> None:
    renamed = replace(digits, labels=tuple(3 if label == 1 else 12 for label in digits.labels))
    assert fit_readout(renamed, train(digits, PARAMS).model, 3).readout.labels == ("3", "12")


def test_an_empty_recording_has_no_label() -> None:
    readout = with_readout(make_model(radius=1, neurons=2)).readout
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
    options = ["--neurons", "4", "--radius", "1", "--readout", "--readout-grid", "4"]
    assert execute(["train", DIGITS, "-o", str(path), *options]) == 0
    return path


def test_train_says_what_to_expect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "m.npz")
    arguments = ["train", DIGITS, "-o", output, "--neurons", "4", "--radius", "1", "--readout"]
    assert execute([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    readout = found["readout"]
    assert (readout["grid"], readout["folds"], readout["labels"]) == (7, 6, list("0123456789"))
    assert 0.3 < readout["accuracy"] <= 1.0
    assert load_model(tmp_path / "m.npz").model_id == found["model_id"]
    assert execute([*arguments, "--fixed"]) == 0
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
    assert "accuracy" not in json.loads(capsys.readouterr().out)


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
    save_model(make_model(radius=1, neurons=2), path)
    for command in (
        ["emit", str(path), "--board", "mps2_an386", "-o", str(tmp_path / "lib"), "--readout"],
        ["verify", str(path), "sim:digits?count=1", "--readout"],
        ["run", "--board", "mps2_an386", str(path), "sim:digits?count=1", "--readout"],
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

    monkeypatch.setattr("host.training.train", never)
    output = ["-o", str(tmp_path / "m.npz")]
    for arguments, message in (
        (["sim:digits?count=12", "--readout"], "at least 2 recordings each"),
        ([DIGITS, "--readout", "--readout-grid", "99"], "readout grid 99: expected 1 to 34"),
        ([DIGITS, "--readout-grid", "5"], "--readout-grid belongs to --readout"),
    ):
        assert execute(["train", *arguments, *output]) == 2
        assert message in capsys.readouterr().err
