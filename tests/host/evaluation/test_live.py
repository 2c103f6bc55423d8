"""Live streams: their times, their instants, what a score counts, and the readout that is fitted to them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.fixed_point.quantise_readout import quantise_fading, quantise_histogram
from feast_codegen.codegen.model.file import load_model
from feast_codegen.codegen.model.hyperparameters import ReadoutParameters
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.cli.app import app
from feast_codegen.host.cli.readout_options import chosen_readout
from feast_codegen.host.evaluation.fit_fading import fit_fading, measure_fading, predicted
from feast_codegen.host.evaluation.live import (
    GAP_US,
    Instants,
    Playback,
    live_instants,
    live_recordings,
    live_score,
    wilson,
)
from feast_codegen.host.recordings.open import open_source
from tests.support.networks import make_model, with_fading_readout

SOURCE = "sim:digits?seed=3&count=20"
PARAMS = ReadoutParameters(grid=3, hidden=4)


def test_a_stream_plays_every_recording_once_after_the_gap() -> None:
    source = open_source(SOURCE)
    played = list(live_recordings(source, Playback(speed=2.0, seed=5)))
    assert sorted(index for index, _ in played) == list(range(20))
    assert [index for index, _ in played] != list(range(20))
    last = None
    for index, events in played:
        original = source.load(index).events
        assert (events["x"] == original["x"]).all() and (np.diff(events["t_us"].astype(np.int64)) >= 0).all()
        if last is not None:
            assert int(events["t_us"][0]) == last + GAP_US
        last = int(events["t_us"][-1])
        length = int(original["t_us"][-1] - original["t_us"][0])
        assert last - int(events["t_us"][0]) == length // 2


def test_a_shift_moves_events_and_leaves_out_what_leaves_the_sensor() -> None:
    source = open_source(SOURCE)
    moved = dict(live_recordings(source, Playback(seed=1, shift=2)))
    offsets = {index: offset_of(source.load(index).events, events) for index, events in moved.items()}
    assert None not in offsets.values() and len(set(offsets.values())) > 1


def offset_of(original: Events, moved: Events) -> tuple[int, int] | None:
    """The shift that makes `moved` of `original` on a 34x34 sensor; None if none does."""
    for across in range(-2, 3):
        for down in range(-2, 3):
            x, y = original["x"].astype(int) + across, original["y"].astype(int) + down
            inside = (x >= 0) & (x < 34) & (y >= 0) & (y < 34)
            if np.array_equal(x[inside], moved["x"]) and np.array_equal(y[inside], moved["y"]):
                return across, down
    return None


@pytest.mark.parametrize("reset", [False, True])
def test_instants_are_what_the_network_twin_holds_then(reset: bool) -> None:
    source = open_source(SOURCE).pick(range(4))
    model = with_fading_readout(make_model(source.sensor, radius=1, features=3), tau_us=80_000.0)
    histogram = quantise_histogram(3, 80_000.0, source.sensor)
    playback = Playback(seed=2, reset=reset)
    instants = live_instants(source, model, histogram, playback)
    twin = Twin(quantise(model)[0], Options())
    ends = instants.histograms[instants.ends]
    labels = predicted(quantise_fading(model.readout, model.sensor), ends)  # type: ignore[arg-type]
    for (_, events), row, label in zip(live_recordings(source, playback), ends, labels, strict=True):
        if reset:
            twin.reset()
        twin.step(events)
        np.testing.assert_array_equal(twin.histogram, row)
        assert twin.label == label


def instants_of(*recordings: list[int]) -> Instants:
    """Instants at so many milliseconds, the last of each recording its end."""
    at = [1000 * ms for times in recordings for ms in times]
    number = [index for index, times in enumerate(recordings) for _ in times]
    ends = [i == len(times) - 1 for times in recordings for i in range(len(times))]
    empty = np.zeros((len(at), 1), np.uint16)
    return Instants(empty, np.array(number), np.array(at), np.array(ends))


def test_score_counts_ends_time_and_the_label_that_stays() -> None:
    instants = instants_of([10, 50, 60], [10, 50, 70], [10, 20])
    score = live_score(instants, np.array([True, False, True, True, True, True, False, False]))
    assert (score.recordings, score.right_at_end) == (3, 2)
    assert (score.instants, score.right_instants) == (4, 3)
    assert score.lasting_us == 60_000.0  # of 60, 10 ms and never
    short = live_score(instants_of([10, 20]), np.array([True, False]))
    assert short.time_right is None and np.isinf(short.lasting_us)
    low, high = wilson(0, 10)
    assert low == pytest.approx(0.0, abs=1e-12) and 0.2 < high < 0.35


def test_fitted_readout_is_measured_in_integers() -> None:
    source = open_source("sim:digits?seed=3&count=40")
    model = make_model(source.sensor, radius=1, features=4, polarity="separate")
    fitted = fit_fading(source, model, PARAMS)
    own = measure_fading(source, model, fitted.readout, speeds=(1.0,))
    assert own.live[1.0].recordings == own.reset.recordings == 40
    assert own.live[1.0].accuracy > 0.5, "ten classes, and the recordings that it was fitted to"


def test_options_of_another_readout_are_refused() -> None:
    assert chosen_readout(False, None, None, None, None) is None
    assert chosen_readout(True, "fading", None, None, 0) == ReadoutParameters(hidden=0)
    with pytest.raises(FeastError, match="--readout-hidden belongs to a fading readout"):
        chosen_readout(True, "linear", None, None, 3)
    with pytest.raises(FeastError, match="--readout-kind belongs to --readout"):
        chosen_readout(False, "fading", None, None, None)


def test_train_gives_the_live_figures(tmp_path: Path) -> None:
    model = tmp_path / "model.npz"
    network = ["--features", "2", "--radius", "1", "--readout", "--readout-kind", "fading"]
    size = ["--readout-grid", "2", "--readout-hidden", "0"]
    done = CliRunner().invoke(app, ["train", SOURCE, "-o", str(model), *network, *size, "--json"])
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert 0.0 <= values["live_accuracy"] <= 1.0 and 0.0 <= values["accuracy"] <= 1.0
    assert set(values["readout"]["speeds"]) == {"0.5", "1", "2", "4"}
    assert load_model(model).readout is not None
