"""The description of the state: one for twin, emitted C, host and documentation."""

from __future__ import annotations

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.fixed_point import state_layout
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from tests.support.networks import behind, make_events, make_model, make_stack, with_readout
from tests.support.paths import ROOT

DOCUMENT = ROOT / "docs" / "reference" / "numerics.md"
CAMERA = Sensor(13, 9)
SMALL = {"radius": 1, "features": 3}
MODELS = {
    "one layer": make_model(CAMERA, **SMALL, polarity="separate"),
    "filters": behind(Filters(CAMERA, ((1, 2),), 300, 5000, 1, 1), **SMALL),
    "everything": with_readout(
        make_stack(behind(Filters(CAMERA, refractory_us=300), **SMALL), radius=1, features=4), grid=2
    ),
}


def test_document_has_the_table_of_the_description() -> None:
    assert state_layout.markdown() in DOCUMENT.read_text(encoding="utf-8"), (
        "docs/reference/numerics.md section 8: replace its table by what "
        "`python -m feast_codegen.codegen.fixed_point.state_layout` prints"
    )


@pytest.mark.parametrize("name", MODELS)
def test_packed_values_come_back(name: str) -> None:
    model: Model = MODELS[name]
    quant, _ = quantise(model)
    layout, twin = quant.state(Options()), Twin(quant, Options())
    twin.step(make_events(500, model.camera, mean_gap_us=40.0))
    words = twin.snapshot()
    assert len(words) == layout.words
    values = layout.unpack(words)
    np.testing.assert_array_equal(layout.pack(values), words)
    np.testing.assert_array_equal(values[f"layer{len(twin.layers)}"]["wins"], twin.wins)
    learned = layout.unpack(twin.learned())
    np.testing.assert_array_equal(learned[f"layer{len(twin.layers)}"]["weights"], twin.weights)
    assert all(set(sections) == {"weights", "thresholds", "dither"} for sections in learned.values())
    with pytest.raises(FeastError, match=r"expected \d+ or \d+"):
        layout.unpack(words[:-1])


@pytest.mark.parametrize("name", MODELS)
def test_sections_spans_and_stages_cover_the_state_once(name: str) -> None:
    layout = quantise(MODELS[name])[0].state(Options())
    starts = [each.start for each in layout.placed]
    assert starts == [0, *(each.end for each in layout.placed[:-1])]
    spans = layout.spans()
    assert [span.start for span in spans] == [0, *(span.end for span in spans[:-1])]
    assert spans[-1].end == layout.words
    for stage, own in layout.stages().items():
        runs = [span for span in spans if span.stage == stage]
        assert [run.own for run in runs] == [0, *np.cumsum([run.end - run.start for run in runs])[:-1]]
        assert sum(run.end - run.start for run in runs) == own[-1].end


def test_scores_are_the_last_words() -> None:
    layout = quantise(MODELS["everything"])[0].state(Options())
    scores = layout.find(state_layout.READOUT, "scores")
    assert state_layout.score_words(scores.shape[0]) == layout.words - scores.start
    assert state_layout.score_words(0) == 0
    with pytest.raises(KeyError):
        layout.find(state_layout.READOUT, "weights")
