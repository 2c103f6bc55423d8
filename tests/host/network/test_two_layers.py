"""Two layers through training, verification, reports and an emulated board."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.boards.board import get_board
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Hyperparameters, Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.boards.capacity import fit_boards
from feast_codegen.host.boards.run import run_on_board
from feast_codegen.host.cli.app import app
from feast_codegen.host.network.receptive_field import receptive_field
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.streaming.learned_state import from_words, to_words
from feast_codegen.host.verify import verify
from tests.support.firmware_project import needs_compiler, needs_emulator
from tests.support.networks import make_events, make_model, make_stack

SENSOR = Sensor(13, 9)
SOURCE = "sim:digits?count=4"
LOWER = Hyperparameters(features=4, radius=1, tau_us=1e5, eta=0.01, polarity="separate")
UPPER = Hyperparameters(features=6, radius=2, tau_us=2e4, eta=0.01)


@pytest.fixture(scope="module")
def lower() -> Model:
    """Learned in integers, the same on every machine; so is the layer above."""
    return train(open_source(SOURCE), LOWER, arithmetic="fixed").model


@pytest.fixture(scope="module")
def stack(lower: Model) -> Model:
    return train(open_source(SOURCE), UPPER, lower=lower, arithmetic="fixed").model


def small_stack() -> Model:
    return make_stack(
        make_model(SENSOR, radius=1, features=3, tau_us=3000.0),
        radius=2,
        features=4,
        eta=0.01,
    )


@pytest.mark.parametrize("arithmetic", ["float", "fixed"])
def test_training_moves_the_upper_layer_alone(lower: Model, arithmetic: str) -> None:
    outcome = train(open_source(SOURCE), UPPER, lower=lower, arithmetic=arithmetic)  # type: ignore[arg-type]
    model = outcome.model
    assert model.lower is not None and model.lower.model_id == lower.model_id
    assert model.params == replace(UPPER, channels=8)
    assert 0.0 < outcome.signals.steady_miss_rate < 0.2
    assert len(set(np.round(model.thresholds, 6))) > 1
    again = train(open_source(SOURCE), UPPER, lower=lower, arithmetic=arithmetic)  # type: ignore[arg-type]
    assert again.model.model_id == model.model_id


def test_another_sensor_is_refused(lower: Model) -> None:
    with pytest.raises(FeastError, match="the lower layer was learned on 34x34"):
        train(open_source("sim:planes?count=1"), UPPER, lower=lower)


@pytest.mark.parametrize("downsample", [0, 1])
def test_verify_measures_the_layers_given_the_same_winners(downsample: int) -> None:
    """In pixels of the network, where filters in front of it make them larger."""
    model = small_stack()
    camera = SENSOR
    if downsample:
        assert model.lower is not None
        camera = Sensor(2 * SENSOR.width, 2 * SENSOR.height)
        filters = Filters(camera, downsample_shift=downsample)
        model = replace(model, lower=replace(model.lower, filters=filters))
    streams = [EventStream(make_events(2000, camera, seed), camera, str(seed), None) for seed in range(2)]
    report = verify(model, streams)
    assert report.mismatches == 0 and report.events == 8000
    assert report.agreement.compared == 4000
    assert report.agreement.fraction > 0.98
    assert report.agreement.untied > 2000 and report.agreement.untied_fraction == 1.0


def test_learned_state_becomes_a_model_of_two_layers() -> None:
    origin = small_stack()
    twin = Twin(quantise(origin)[0], Options(learning=True))
    twin.step(make_events(2000, SENSOR))
    model = from_words(twin.learned(), origin)
    assert model.lower is origin.lower
    np.testing.assert_array_equal(to_words(model)[:-2], _with_dither_of(model, twin.learned())[:-2])
    foreign = twin.learned()
    foreign[-5] ^= 1
    with pytest.raises(FeastError, match="another lower layer"):
        from_words(foreign, origin)
    with pytest.raises(FeastError, match="not those of 4 features"):
        from_words(twin.learned()[:-1], origin)


def _with_dither_of(model: Model, words: np.ndarray) -> np.ndarray:
    """`words`, with the dither a model starts from."""
    at = model.params.total_features * (model.params.dims + 2)
    changed = words.copy()
    changed[at : at + 2] = to_words(model)[at : at + 2]
    return changed


def test_receptive_field_of_a_single_feature_below_is_that_feature() -> None:
    model = small_stack()
    assert model.lower is not None
    weights = np.zeros((4, 5, 3, 5))
    weights[:, 4, 1, 0] = 1.0  # bottom row, channel 1, left column
    field = receptive_field(model, weights.reshape(4, -1)[2])
    below = model.lower.weights.reshape(3, 3, 3)
    np.testing.assert_allclose(field[4:, :3], below[1] - below.mean(axis=0))
    assert field.shape == (7, 7) and not field[:4].any() and not field[:, 3:].any()
    np.testing.assert_array_equal(receptive_field(model.lower, model.lower.weights[1]), below[1])


def test_boards_that_fit_one_layer_may_not_fit_two(stack: Model) -> None:
    assert stack.lower is not None
    fits = {board.name: board.frozen for board in fit_boards(stack.shape)}
    assert fits["mps2_an386"].fits and not fits["bbcmicrobit"].fits
    assert fits["bbcmicrobit"].most_features == 0


def test_a_context_too_long_for_the_stack_of_the_board_is_refused() -> None:
    wide = make_stack(make_model(radius=1, features=64), radius=4, features=2)
    with pytest.raises(FeastError, match=r"bytes of stack.*smaller radius or fewer"):
        make_plan(quantise(wide)[0], get_board("mps3_an547"), Options())
    make_plan(quantise(wide)[0], get_board("mps2_an386"), Options())


def test_command_line(lower: Model, tmp_path: Path) -> None:
    run = CliRunner().invoke
    save_model(lower, tmp_path / "lower.npz")
    files = [str(tmp_path / name) for name in ("lower.npz", "stack.npz")]
    options = ["--features", "6", "--radius", "2", "--json"]
    trained = run(app, ["train", SOURCE, "--lower-layer", files[0], "-o", files[1], *options])
    assert trained.exit_code == 0, trained.output
    assert json.loads(trained.stdout)["channels"] == 8
    assert load_model(Path(files[1])).lower is not None
    library = str(tmp_path / "lib")
    emitted = run(app, ["emit", files[1], "--board", "mps2_an386", "-o", library])
    assert emitted.exit_code == 0 and "on 8 features of" in emitted.stdout
    report = str(tmp_path / "report.html")
    drawn = run(app, ["report", files[1], "-o", report])
    assert drawn.exit_code == 0 and "blue where darker" in Path(report).read_text()


@needs_compiler
@needs_emulator
@pytest.mark.parametrize("learning", [False, True], ids=["frozen", "learning"])
def test_the_board_gives_the_results_and_the_state_of_the_twin(
    stack: Model, tmp_path: Path, learning: bool
) -> None:
    source = open_source("sim:digits?seed=1&count=1")
    run = run_on_board(stack, get_board("mps2_an386"), source, Options(learning), project_dir=tmp_path / "fw")
    assert run.difference is None
    assert run.device_digest == run.twin_digest
    assert run.runs[0].device_snapshot_digest == run.runs[0].twin_snapshot_digest
