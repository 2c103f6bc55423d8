"""What the project claims, on real N-MNIST recordings: 800 to learn from, 50 held out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.boards.board import Kernel, get_board
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Hyperparameters, Model, Polarity
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.boards.firmware_project import prepare_project
from feast_codegen.host.boards.run import run_on_board
from feast_codegen.host.evaluation.fit_readout import fit_readout
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import Source, open_source
from feast_codegen.host.verify import verify
from tests.support.firmware_project import needs_compiler, needs_emulator

pytestmark = pytest.mark.data


@cache
def trained(nmnist: Path, polarity: Polarity = "merged") -> Model:
    """Learned in integers: the same model on every processor."""
    source = open_source(str(nmnist)).split("train")
    return train(source, Hyperparameters(polarity=polarity), arithmetic="fixed").model


def spread(source: Source, count: int) -> Source:
    """Recordings taken evenly over all classes."""
    return source.pick([int(i) for i in np.linspace(0, len(source) - 1, count)])


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.prove)])
@pytest.mark.parametrize(("polarity", "kernel"), [("merged", "dsp"), ("separate", "vector")])
def test_emitted_c_equals_the_twin_on_every_event(
    nmnist: Path, polarity: Polarity, kernel: Kernel, step: int
) -> None:
    """Every fifth of the 850 recordings, or all, frozen and learning: results and final states."""
    source = open_source(str(nmnist))
    streams = [stream for split in ("train", "test") for stream in source.split(split)]
    assert len(streams) == 850
    streams = streams[::step]
    report = verify(trained(nmnist, polarity), streams, kernel=kernel)
    assert report.mismatches == 0
    events = sum(stream.events.size for stream in streams)
    assert {mode.events for mode in report.modes.values()} == {events}
    assert events > 3_300_000 // step
    assert report.agreement.untied_fraction == 1.0


@pytest.mark.parametrize("polarity", ["merged", "separate", "signed"])
def test_twin_chooses_the_float_winner(nmnist: Path, polarity: Polarity) -> None:
    report = verify(trained(nmnist, polarity), open_source(str(nmnist)).split("test"))
    assert report.agreement.compared > 180_000
    assert report.agreement.fraction >= 0.999
    assert report.agreement.untied_fraction == 1.0


def test_training_in_the_twin_is_the_same_everywhere(nmnist: Path) -> None:
    """Integers only: this id holds on every machine. It changes with the numerics page, and only then."""
    source = spread(open_source(str(nmnist)).split("train"), 20)
    model = train(source, Hyperparameters(), arithmetic="fixed").model
    assert model.model_id[:16] == "0dbded6510fd3498"


@pytest.mark.firmware
@needs_compiler
@needs_emulator
@pytest.mark.parametrize("learning", [False, True], ids=["frozen", "learning"])
@pytest.mark.parametrize("board", ["mps2_an386", "netduinoplus2"])
def test_device_equals_the_twin(nmnist: Path, tmp_path: Path, board: str, learning: bool) -> None:
    prepare_project(tmp_path)
    source = spread(open_source(str(nmnist)).split("test"), 20)
    run = run_on_board(
        trained(nmnist), get_board(board), source, Options(learning=learning), project_dir=tmp_path
    )
    assert len(run.runs) == 20
    assert run.events > 60_000
    assert run.difference is None
    assert run.device_digest == run.twin_digest
    assert all(r.device_snapshot_digest == r.twin_snapshot_digest for r in run.runs)


@pytest.mark.firmware
@needs_compiler
@needs_emulator
@pytest.mark.parametrize(
    ("board", "recordings"),
    [("mps2_an386", 5), pytest.param("bbcmicrobit", 50, marks=pytest.mark.prove), ("bbcmicrobit", 2)],
)
def test_device_labels_recordings_as_the_twin_does(
    nmnist: Path, tmp_path: Path, board: str, recordings: int
) -> None:
    """The readout is fitted to the 800; the recordings are held out."""
    model = trained(nmnist)
    fitted = fit_readout(open_source(str(nmnist)).split("train"), model)
    assert fitted.accuracy > 0.93
    model = replace(model, readout=fitted.readout)
    prepare_project(tmp_path)
    source = spread(open_source(str(nmnist)).split("test"), recordings)
    run = run_on_board(model, get_board(board), source, project_dir=tmp_path)
    assert run.difference is None, "results, scores and labels"
    twin = Twin(quantise(model)[0], Options())
    for stream, recording in zip(source, run.runs, strict=True):
        twin.reset()
        twin.step(stream.events)
        assert recording.label == fitted.readout.labels[twin.label]
        assert recording.wanted == str(stream.label)
    assert run.accuracy is not None
    assert run.accuracy >= 0.8
