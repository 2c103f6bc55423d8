"""The stress stream of `verify`: what it reaches, that it is quiet about correct code, and what it finds."""

from __future__ import annotations

import os
import shutil
from typing import Any

import numpy as np
import pytest

from feast_codegen.codegen.base.events import BACKWARDS, BORDER, FILTERED, OUTSIDE
from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.compiled_library import build_native
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import effective_filters, quantise
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.host import verify as module
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.stress.check import Answer, TwinMachine, answers, first_stress_difference
from feast_codegen.host.stress.steps import Feed, Import, Script, SetLearning
from feast_codegen.host.stress.stream import stress_script
from feast_codegen.host.verify import verify
from tests.support.networks import make_events, make_model
from tests.support.proofs.products import networks
from tests.support.proofs.semantic import MISTAKES
from tests.support.proofs.semantic_bench import survey

LEAST_FOUND = 0.95
FINDABLE = [mistake for mistake in MISTAKES if not mistake.equivalent]
CONFIGURATIONS: list[tuple[str, Options, Kernel]] = [
    ("separate", Options(learning=True), "portable"),
    ("signed", Options(learning=True, select="threshold"), "dsp"),
    ("merged", Options(weights="int8"), "vector"),
    ("filtered", Options(), "small"),
    ("layers", Options(learning=True), "portable"),
]

needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork") or shutil.which("cc") is None, reason="mistakes are tried in forks, with cc"
)


def asked(name: str, options: Options) -> tuple[Model, Script, list[Answer]]:
    model = networks()[name]
    quant = quantise(model)[0]
    script = stress_script(quant, options)
    return model, script, list(answers(script, TwinMachine(quant, options)))


@pytest.mark.parametrize(("name", "options", "kernel"), CONFIGURATIONS, ids=str)
def test_correct_code_shows_no_difference(name: str, options: Options, kernel: Kernel) -> None:
    model, script, expected = asked(name, options)
    quant = quantise(model)[0]
    native = build_native(render(make_plan(quant, None, options, kernel)))
    assert first_stress_difference(script, native, expected, quant, options) is None


@pytest.mark.parametrize(("name", "options", "kernel"), CONFIGURATIONS, ids=str)
def test_the_stream_reaches_what_recordings_do_not(name: str, options: Options, kernel: Kernel) -> None:
    model, script, expected = asked(name, options)
    quant = quantise(model)[0]
    feeds = [
        (step.events, answer)
        for (_, step), answer in zip(script.steps, expected, strict=True)
        if isinstance(step, Feed)
    ]
    results = np.concatenate([answer.results for _, answer in feeds])
    counted = {
        int(code): int(count) for code, count in zip(*np.unique(results, return_counts=True), strict=True)
    }
    assert counted[OUTSIDE] > 100 and counted[BACKWARDS] > 100
    assert (counted.get(BORDER, 0) > 100) == (model.params.border == "skip")
    assert (counted.get(FILTERED, 0) > 100) == (effective_filters(quant.lower or quant, options) is not None)
    assert set(range(model.params.total_features)) <= set(counted), "every feature wins"
    events = np.concatenate([events for events, _ in feeds])
    gaps = np.concatenate([np.diff(each["t_us"]) for each, _ in feeds if len(each) > 1])
    assert ((gaps >= 8_000_000) & (gaps < 2**63)).any() and events["polarity"].max() > 1
    assert events["t_us"].max() == 2**64 - 1 and (events["t_us"] == 0).any()
    octaves = [int(answer.snapshot[at]) for at in _octave_words(model, options) for _, answer in feeds]
    assert any(octaves), "more than 2^32 octaves"
    imports = [
        answer.results
        for (_, step), answer in zip(script.steps, expected, strict=True)
        if isinstance(step, Import)
    ]
    assert (imports.count(True) > 20 and imports.count(False) > 20) == options.learning
    switched = [step.on for _, step in script.steps if isinstance(step, SetLearning)]
    assert (switched[:2] == [False, True]) == options.learning
    levels = np.concatenate([answer.thresholds for answer in expected])
    if options.learning:
        assert levels.max() == formats.UNIT and levels.min() == -formats.UNIT


def _octave_words(model: Model, options: Options) -> tuple[int, int]:
    """The upper half of the octave, in words of a snapshot."""
    quant = quantise(model)[0]
    first = TwinMachine(quant, options).twin.learned().size + 6
    return first + 2, first + 3


def test_the_script_is_the_same_each_time() -> None:
    quant = quantise(networks()["filtered"])[0]
    one, two = (stress_script(quant, Options(learning=True)) for _ in range(2))
    assert len(one.steps) == len(two.steps) and one.events == two.events
    for (name, step), (other, again) in zip(one.steps, two.steps, strict=True):
        assert (name, type(step)) == (other, type(again))
        if isinstance(step, Feed) and isinstance(again, Feed):
            assert step.events.tobytes() == again.events.tobytes()


@pytest.mark.parametrize(
    ("path", "correct", "faulty", "value"),
    [
        (
            "src/feast_layer1_step.h",
            "elapsed_us < ((uint64_t)1 << 23)",
            "elapsed_us < ((uint64_t)1 << 25)",
            "octave|phase|result",
        ),
        ("src/feast.c", "? self->layer1.wins[feature] :", "? self->layer1.wins[feature / 2u] :", "wins"),
        ("src/feast.c", "self->outside;", "self->backwards;", "signal outside"),
        (
            "src/feast_layer1_learn.c",
            "|| threshold > FEAST_LAYER1_UNIT",
            "|| threshold >= FEAST_LAYER1_UNIT",
            "results",
        ),
    ],
)
def test_verify_tells_it_apart(
    monkeypatch: pytest.MonkeyPatch, path: str, correct: str, faulty: str, value: str
) -> None:
    """The recording shows nothing; the stress stream names step, event and value."""

    def faulty_render(plan: Any) -> dict[str, str]:
        files = render(plan)
        if path in files:
            assert files[path].count(correct) == 1
            files[path] = files[path].replace(correct, faulty)
        return files

    monkeypatch.setattr(module, "render", faulty_render)
    sensor = Sensor(13, 9)
    streams = [EventStream(make_events(500, sensor), sensor, "ordinary", None)]
    report = verify(make_model(sensor, radius=2, features=4), streams)
    assert (report.mismatches, report.events) == (0, 1000)
    assert report.stress_mismatches == (1 if "learn" in path else 2)
    assert report.stress_events > 10_000
    found = report.modes["learning"].stress_difference
    assert found is not None and found.recording.startswith("stress step ")
    assert any(each in found.value for each in value.split("|")), found


def test_a_large_network_gets_fewer_events() -> None:
    small, large = (
        stress_script(
            quantise(make_model(Sensor(34, 34), radius=radius, features=features))[0],
            Options(),
        )
        for radius, features in ((1, 4), (15, 512))
    )
    assert large.events < small.events


@needs_fork
def test_some_mistakes_are_found() -> None:
    """One of every kind, for the time it takes; all of them are tried by ./run prove."""
    kinds = {
        mistake.kind: mistake for mistake in FINDABLE if not mistake.unnoticed and mistake.network != "deep"
    }
    for mistake, found in survey(list(kinds.values())).items():
        assert found != "nothing", mistake


@pytest.mark.prove
@needs_fork
def test_mistakes_are_found_by_verify_alone() -> None:
    """The rate in the verification page; those not found are listed with the reason, no others."""
    found = survey(MISTAKES)
    missed = {mistake for mistake, by in found.items() if by == "nothing"}
    assert missed == {mistake for mistake in MISTAKES if mistake.equivalent or mistake.unnoticed}
    rate = sum(found[mistake] != "nothing" for mistake in FINDABLE) / len(FINDABLE)
    assert len(FINDABLE) >= 85 and rate >= LEAST_FOUND
    alone = sum(found[mistake] == "recording" for mistake in FINDABLE)
    print(f"{len(MISTAKES)} mistakes, {len(FINDABLE)} to find, {rate:.1%} found, {alone} by the recording")
