"""Emission options: one declaration for all commands; a device is met with the options it was built with."""

from __future__ import annotations

import base64
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.fixed_point.quantise import quantise, stored_weights
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options, every_combination
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.boards.connect import device_at
from feast_codegen.host.cli.app import app, execute
from feast_codegen.host.cli.emission_options import EmissionOptions
from feast_codegen.host.monitor.session import Session
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.streaming.learned_state import from_words, to_words
from feast_codegen.host.streaming.streamer import Recorded, Streamer
from tests.support import link_device
from tests.support.networks import behind, make_model, make_stack, with_readout
from tests.support.waiting import wait_until

SOURCE = "sim:bars?seed=3&count=2"
BOARD = "mps2_an386"
FILTERS = Filters(Sensor(34, 34), ((3, 4), (20, 11)), 2000, 5000, 1, 1)
COMMANDS = ("emit", "build", "flash", "emulate", "verify", "stream", "monitor", "state")
WITHOUT_LEARNING = {"verify": "proves both modes", "state": "the device says it"}


@pytest.fixture(scope="module")
def model() -> Model:
    return with_readout(behind(FILTERS, radius=1, features=3))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.npz"
    save_model(model, path)
    return path


def options_of(command: str) -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return {parameter.name: parameter for parameter in group.commands[command].params}


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = execute([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_every_option_with_one_meaning(command: str) -> None:
    """A new field of `EmissionOptions` reaches all commands, and each of `Options` has an option."""
    found, reference = options_of(command), options_of("emit")
    for field in fields(EmissionOptions):
        if field.name == "learning" and command in WITHOUT_LEARNING:
            assert field.name not in found
            continue
        assert found[field.name].default == reference[field.name].default
        if field.name != "no_filters":
            assert found[field.name].opts == reference[field.name].opts
            assert found[field.name].help == reference[field.name].help
    assert {each.name for each in fields(Options)} - {"prefix", "input"} == {
        each.name.replace("no_filters", "filters") for each in fields(EmissionOptions)
    }


@pytest.mark.parametrize("options", list(every_combination()), ids=lambda each: each.flags or "defaults")
def test_flags_give_the_build_id_of_their_options(
    capsys: pytest.CaptureFixture[str], model: Model, file: Path, tmp_path: Path, options: Options
) -> None:
    code, out, _ = run(
        capsys, "emit", file, "--board", BOARD, "-o", tmp_path / "lib", *options.flags.split(), "--json"
    )
    assert code == 0
    wanted = make_plan(quantise(model)[0], None, options)
    assert json.loads(out)["build_id"] == wanted.ids.build


def test_every_combination_has_an_id_of_its_own(model: Model) -> None:
    ids = [make_plan(quantise(model)[0], None, options).ids.build for options in every_combination()]
    assert len(ids) == len(set(ids)) == 2**5 - 2**3


class Device:
    """The firmware's own link around an emitted library, restarted for each connection."""

    def __init__(self, folder: Path, model: Model) -> None:
        self._folder, self._model = folder, model
        self._programs: dict[Options, Path] = {}

    def program(self, options: Options) -> Path:
        if options not in self._programs:
            folder = self._folder / str(len(self._programs))
            folder.mkdir()
            self._programs[options] = link_device.build_real_process(folder, self._model, options)
        return self._programs[options]


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Device:
    return Device(tmp_path_factory.mktemp("device"), model)


BUILT = (
    Options(weights="int8"),
    Options(weights="int8", select="threshold", readout=False),
    Options(select="threshold", filters=False),
    Options(weights="int8", filters=False),
    Options(learning=True, select="threshold", readout=False),
)


@pytest.mark.parametrize("options", BUILT, ids=lambda options: options.flags)
def test_a_device_is_streamed_with_its_own_model_and_options(
    capsys: pytest.CaptureFixture[str], device: Device, model: Model, file: Path, options: Options
) -> None:
    """Results are those of the twin; without the options, the refusal names them."""
    recordings = open_source(SOURCE)
    source = recordings if options.filters else recordings.filtered(FILTERS)
    twin = Twin(quantise(model)[0], options)
    for stream in source:
        twin.reset()
        expected = twin.step(stream.events)
    flags = options.flags.replace("--no-filters", "--host-filters").split()
    with link_device.on_pty(device.program(options)) as port:
        arguments = ("stream", "--port", port, "--model", file, SOURCE, "--json")
        code, _, error = run(capsys, *arguments)
        assert code == 2 and error.count("\n") == 1
        assert f" with {options.flags}: give the same options" in error
        code, out, error = run(capsys, *arguments, *flags)
    assert code == 0, error
    facts = json.loads(out)
    assert facts["build_id"] == make_plan(quantise(model)[0], None, options).ids.build
    assert facts["last_result_digest"] == f"{messages.result_digest(expected):08x}"
    assert (facts["labels"] is not None) == options.readout


def test_the_state_of_a_device_is_read_with_the_weights_it_was_built_with(
    capsys: pytest.CaptureFixture[str], device: Device, file: Path, tmp_path: Path
) -> None:
    with link_device.on_pty(device.program(Options(weights="int8"))) as port:
        arguments = ("state", "--port", port, "--model", file, "--download", tmp_path / "out.npz", "--json")
        code, _, error = run(capsys, *arguments)
        assert code == 2 and " with --weights int8: give the same options" in error
        code, out, error = run(capsys, *arguments, "--weights", "int8")
    assert code == 0, error
    assert load_model(tmp_path / "out.npz").model_id == load_model(file).model_id
    plan = make_plan(quantise(load_model(file))[0], None, Options(weights="int8"))
    assert json.loads(out)["state_id"] == f"{plan.ids.state:08x}"


def test_the_state_of_a_frozen_device_is_read_without_saying_so(
    capsys: pytest.CaptureFixture[str], device: Device, file: Path, tmp_path: Path
) -> None:
    with link_device.on_pty(device.program(Options(select="threshold", filters=False))) as port:
        arguments = ("state", "--port", port, "--model", file, "--select", "threshold", "--no-filters")
        assert run(capsys, *arguments, "--download", tmp_path / "out.npz")[0] == 0
    assert (to_words(load_model(tmp_path / "out.npz")) == to_words(load_model(file))).all()


def test_the_monitor_shows_and_saves_int8_features(device: Device, model: Model, tmp_path: Path) -> None:
    """The page is given Q15, for any fraction that the device stores; what is saved is the model."""
    options = Options(weights="int8")
    stored = stored_weights(quantise(model)[0], options)
    expected = (stored.values << (15 - stored.fraction)).astype("<i2")
    assert abs(expected - quantise(model)[0].weights.astype(int)).max() <= 1 << (14 - stored.fraction)
    recordings = [Recorded(stream) for stream in open_source(SOURCE)]
    with (
        link_device.listening(device.program(options)) as url,
        device_at(url, model=model, options=options) as at,
    ):
        session = Session(Streamer(at), lambda: iter(recordings), model, tmp_path, options)
        session.start()
        session.order("save")
        view = session.view
        wait_until(lambda: "weights" in view() and view()["note"].startswith("saved"), "shown and saved")
        saved = tmp_path / view()["note"].removeprefix("saved ")
        session.close()
    assert session.view()["weights"] == base64.b64encode(expected.tobytes()).decode()
    assert load_model(saved).model_id == model.model_id


def test_int8_words_that_are_not_the_models_are_refused(model: Model) -> None:
    options = Options(weights="int8")
    words = to_words(model, options)
    assert from_words(words, model, options) is model
    assert not np.array_equal(words, to_words(model))
    words = words.copy()
    words[0] += 1
    with pytest.raises(FeastError, match="cannot learn"):
        from_words(words, model, options)


def test_words_of_two_layers_with_int8() -> None:
    stack = make_stack(make_model(features=2, radius=1), features=3, radius=1)
    options = Options(weights="int8")
    state_id = make_plan(quantise(stack)[0], None, options).ids.state
    assert messages.snapshot_digest(to_words(stack, options)) == state_id


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["build", "--board", BOARD, "--weights", "int8", "--no-readout"], "--weights, --no-readout: "),
        (
            ["flash", "--board", "nrf52840dk", "--no-filters"],
            "--no-filters: an option of emission: give MODEL too",
        ),
        (["stream", "--port", "x", SOURCE, "--host-filters"], "--host-filters: name the model"),
        (["stream", "--port", "x", SOURCE, "--learning", "--weights", "int8"], "--weights: name the model"),
        (["monitor", "--port", "x", SOURCE, "--readout"], "--readout: name the model"),
    ],
)
def test_options_that_need_the_model(
    capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    code, _, error = run(capsys, *arguments)
    assert code == 2 and problem in error and error.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_what_does_not_suit_the_model_is_refused_everywhere(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    save_model(make_model(features=2, radius=1), tmp_path / "bare.npz")
    bare = tmp_path / "bare.npz"
    arguments = {
        "emit": [bare, "--board", BOARD, "-o", tmp_path / "lib"],
        "build": [bare, "--board", BOARD],
        "flash": [bare, "--board", "nrf52840dk"],
        "emulate": [bare, "--board", BOARD, SOURCE],
        "verify": [bare, SOURCE],
        "stream": ["--port", "/dev/none", "--model", bare, SOURCE],
        "monitor": ["--port", "/dev/none", "--model", bare, SOURCE],
        "state": ["--port", "/dev/none", "--model", bare],
    }[command]
    code, _, error = run(capsys, command, *arguments, "--readout")
    assert code == 2 and "--readout: the model has no readout" in error
    if command not in WITHOUT_LEARNING:
        code, _, error = run(capsys, command, *arguments, "--learning", "--weights", "int8")
        assert code == 2 and "weights int8: learning needs weights int16" in error
