"""The report's optional parts: there when they can be, refused or left out when they cannot."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.emit.instruction_model import DeviceCost
from feast_codegen.codegen.model.file import save_model
from feast_codegen.codegen.model.model import Hyperparameters, Model
from feast_codegen.host.cli.app import execute
from feast_codegen.host.evaluation.tune import ParetoFront, Trial, front_values
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import Source, open_source
from feast_codegen.host.report.page import render_report
from feast_codegen.host.report.panels import front_panel, noise_panel, readout_panels
from feast_codegen.host.report.summary import bare_report, model_report


@pytest.fixture(scope="module")
def source() -> Source:
    return open_source("sim:bars?count=40")


@pytest.fixture(scope="module")
def model(source: Source) -> Model:
    return train(source, Hyperparameters(features=4, radius=2)).model


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    trials = tuple(
        Trial(Hyperparameters(features=n), 0.5 + n / 100, DeviceCost(1000 * n, 2000, 100.0 * n), n != 3)
        for n in (2, 3, 4)
    )
    path = tmp_path / "tuned.json"
    path.write_text(json.dumps(front_values(ParetoFront("sim:bars", "mps2_an386", "accuracy", trials, 0))))
    return path


def test_noise_features_are_named_and_marked(model: Model, source: Source) -> None:
    panel, flags = noise_panel(model, source)
    assert len(flags) == 4 and len(panel.rows) == sum(flags)
    page = render_report(model_report(model, source, 0))
    assert page.count('class="tag"') == sum(flags)
    assert f"There are {sum(flags)} among 4" in page


def test_readouts_have_a_table_and_a_matrix_of_all_recordings(model: Model, source: Source) -> None:
    stages, matrix = readout_panels(model, source)
    assert [row[0].text for row in stages.rows[-3:]] == ["features"] * 3
    assert sum(cell.marked for row in stages.rows for cell in row) >= 1
    numbers = [int(cell.text or 0) for row in matrix.rows for cell in row[1:]]
    assert len(numbers) == 16 and sum(numbers) == 40
    assert [row[1 + at].marked for at, row in enumerate(matrix.rows)] == [True] * 4
    for part in (source.pick(range(8)), replace(source, labels=(None,) * 40)):
        assert readout_panels(model, part) == ()


def test_front_is_drawn_and_listed(tuned: Path, model: Model) -> None:
    panel = front_panel(tuned)
    assert panel.picture.startswith("<svg") and len(panel.rows) == 2
    assert "Accuracy/cost front" in render_report(bare_report(model, (panel,)))


def test_other_files_are_no_front(tmp_path: Path) -> None:
    with pytest.raises(FeastError, match="no such file; `codegen tune -o"):
        front_panel(tmp_path / "none.json")
    for content in ("{", "{}", '{"trials": 3}', "\x00"):
        (tmp_path / "file").write_text(content)
        with pytest.raises(FeastError, match="not a file written by `codegen tune -o`"):
            front_panel(tmp_path / "file")


def test_a_model_alone_makes_a_page(model: Model, tmp_path: Path, tuned: Path) -> None:
    save_model(model, tmp_path / "model.npz")
    page = tmp_path / "page.html"
    assert execute(["report", str(tmp_path / "model.npz"), "--tuned", str(tuned), "-o", str(page)]) == 0
    text = page.read_text()
    assert text.count('alt="Feature') == 4 and "Accuracy/cost front" in text
    assert "What the camera sends" not in text and "recording-data" not in text and "wins" not in text
    assert text.rstrip().endswith("</html>")
