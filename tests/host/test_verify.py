"""verify finds every planted fault, says where, and is quiet about correct code."""

from __future__ import annotations

import re

import pytest

from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.host import verify as module
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.verify import verify
from tests.support.networks import make_events, make_model, with_readout

SENSOR = Sensor(13, 9)


def streams(count: int = 2) -> list[EventStream]:
    return [
        EventStream(make_events(2000, SENSOR, seed), SENSOR, f"recording {seed}", None)
        for seed in range(count)
    ]


def test_correct_code_has_no_difference() -> None:
    report = verify(make_model(SENSOR, radius=2, features=4), streams())
    assert report.mismatches == 0
    assert set(report.modes) == {"frozen", "learning"}
    assert report.events == 8000
    assert report.agreement.compared == 4000
    assert report.agreement.untied_fraction == 1.0
    assert report.agreement.fraction > 0.99


STEP, LEARN = "src/feast_layer1_step.h", "src/feast_layer1_learn.c"
FAULTS = [
    (STEP, "dot > winner.dot", "dot >= winner.dot", "result"),
    ("src/feast.c", "self->outside++", "self->backwards++", "counter of outside|counter of backwards"),
    (
        "src/feast_layer1_step.h",
        "phase + ((uint32_t)elapsed_us << 8)",
        "phase + ((uint32_t)elapsed_us << 7)",
        "phase",
    ),
    (LEARN, "- growth_q28 + extra_q28", "- growth_q28", "weight"),
    (
        "src/feast_layer1_learn.c",
        " + FEAST_LAYER1_DELTA_I_Q30;",
        " + FEAST_LAYER1_DELTA_I_Q30 + 1;",
        "threshold",
    ),
    (LEARN, "1664525u", "1664527u", "weight|dither"),
    ("src/feast_readout.c", "+= row[i]", "+= row[i] + (x == 0u)", "score of class"),
    ("src/feast_readout.c", "self->scored = true", "self->scored = false", "scored flag"),
    ("src/feast_readout.c", "self->scores[i] > ", "self->scores[i] < ", "label"),
]


@pytest.mark.parametrize(("path", "correct", "faulty", "value"), FAULTS)
def test_planted_faults_are_found_and_named(
    monkeypatch: pytest.MonkeyPatch, path: str, correct: str, faulty: str, value: str
) -> None:
    def faulty_render(plan: object) -> dict[str, str]:
        files = render(plan)  # type: ignore[arg-type]
        if path in files:
            assert correct in files[path]
            files[path] = files[path].replace(correct, faulty)
        return files

    monkeypatch.setattr(module, "render", faulty_render)
    recordings = streams(1)
    recordings[0].events["x"][7] = SENSOR.width
    report = verify(model_with_a_tie(), recordings)
    assert report.mismatches >= 1
    difference = next(m.difference for m in report.modes.values() if m.difference)
    assert difference.recording == "recording 0"
    assert 0 <= difference.event < 2000
    assert re.search(value, difference.value), difference


def model_with_a_tie() -> Model:
    """Two features are equal, so that the order of ties matters."""
    model = with_readout(make_model(SENSOR, radius=1, features=4, eta=0.01))
    model.weights[2] = model.weights[1]
    return model
