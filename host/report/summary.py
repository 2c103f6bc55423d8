"""Turns what the stages returned into the facts and sections of a report."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Results
from feast_codegen.codegen.boards.board import get_board
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Hyperparameters, Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.model.readout import QuantReadout, Readout
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.boards.run import DeviceRun
from feast_codegen.host.evaluation.ablation import ReadoutComparison
from feast_codegen.host.network.training import TrainingResult, train, training_part
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.open import Source
from feast_codegen.host.report.page import Exhibit, Fact, Report, Section, win_rates
from feast_codegen.host.report.panels import Panel, noise_panel, readout_panels
from feast_codegen.host.text import count, percent
from feast_codegen.host.verify import VerifyReport

SAMPLE: Final = 100
"""Recordings, spread over the source, from which win rates are taken."""


def bare_report(model: Model, panels: tuple[Panel, ...] = ()) -> Report:
    """A report on a model without recordings: features and thresholds."""
    made, params = model.training, model.params
    headline = (
        _features(params),
        Fact(
            "miss rate",
            percent(made.miss_rate),
            f"at the end; expected in steady state {percent(params.law_miss_rate)}",
        ),
    )
    return Report(
        title=f"FEAST features of {made.source}",
        model=model,
        headline=headline,
        signals=None,
        win_rates=np.zeros(params.total_features),
        exhibit=None,
        sections=(),
        panels=panels,
    )


def model_report(
    model: Model,
    source: Source,
    shown: int,
    progress: Progress = silent,
    panels: tuple[Panel, ...] = (),
    readouts: Progress = silent,
) -> Report:
    """A report on a model alone. Trains once more on `source`, as the model was, for the learning curve.

    `panels` come behind those that are made from the recordings. Raises FeastError if `source` has no
    recording `shown`.
    """
    if shown >= len(source):
        raise FeastError(f"{source.spec}: no recording {shown}; there are 0 to {len(source) - 1}")
    made, params = model.training, model.params
    again = train(
        source,
        params,
        epochs=max(made.epochs, 1),
        seed=made.seed,
        arithmetic=made.arithmetic,
        lower=model.lower,
        filters=model.filters,
        max_events=made.events,
        progress=progress,
    )
    same = again.model.model_id == replace(model, readout=None).model_id
    headline = (
        _features(params),
        _miss_rate(again),
        Fact("trained again", "the same" if same else "another model", f"on {again.model.training.source}"),
    )
    results, rates = frozen_results(model, source, shown)
    noise, flags = noise_panel(model, training_part(source))
    return Report(
        title=f"FEAST features of {made.source}",
        model=model,
        headline=headline,
        signals=again.signals,
        win_rates=rates,
        exhibit=Exhibit(source.names[shown], source.load(shown).events, results),
        sections=(_scores_section(model, source, shown),) if isinstance(model.readout, Readout) else (),
        panels=(noise, *readout_panels(model, training_part(source), readouts), *panels),
        noise=flags,
    )


def chain_report(
    training: TrainingResult,
    shown: Source,
    readouts: dict[str, ReadoutComparison],
    verified: VerifyReport,
    runs: tuple[DeviceRun, ...],
) -> Report:
    """A report on the whole chain; it shows the first recording of `shown`.

    ``readouts``: by kind of features, the first with the raw baseline; empty without labels.
    ``runs``: at least one.
    """
    model = training.model
    results, rates = frozen_results(model, shown, 0)
    headline = [_miss_rate(training)]
    if readouts:
        first = next(iter(readouts.values()))
        headline.insert(0, Fact("readout", percent(first.best_features[1], 1), _baseline(first)))
    difference = f"differences in {count(verified.events)} events"
    frozen = runs[0]
    headline += [
        Fact("emitted C against twin", str(verified.mismatches), difference),
        Fact("on the device", _verdict(frozen), f"{frozen.board}, emulated: {count(frozen.events)} events"),
        Fact("instructions", count(round(frozen.instructions_per_event)), "per event, frozen features"),
        Fact(
            "memory", f"{frozen.flash_bytes / 1024:.1f} KiB", f"flash; {frozen.ram_bytes / 1024:.1f} KiB RAM"
        ),
    ]
    sections = [_verify_section(verified), *(_device_section(run) for run in runs)]
    if readouts:
        sections.insert(0, _readout_section(readouts))
    return Report(
        title=f"FEAST on {model.training.source}",
        model=model,
        headline=tuple(headline),
        signals=training.signals,
        win_rates=rates,
        exhibit=Exhibit(shown.names[0], shown.load(0).events, results),
        sections=tuple(sections),
    )


def frozen_results(model: Model, source: Source, shown: int) -> tuple[Results, npt.NDArray[np.float64]]:
    """Results of the integer twin on one recording, and (features,) win rates over a sample of all."""
    twin = Twin(quantise(model)[0], Options())
    sample = np.unique(np.linspace(0, len(source) - 1, SAMPLE).astype(int))
    results = []
    for index in (shown, *sample.tolist()):
        twin.reset()
        results.append(twin.step(source.load(index).events))
    return results[0], win_rates(np.concatenate(results[1:]), model.params.total_features)


def _scores_section(model: Model, source: Source, shown: int) -> Section:
    """What the device's class scores come to at the end of one recording, in integers."""
    twin = Twin(quantise(model)[0], Options())
    assert isinstance(twin.readout, QuantReadout)
    stream = source.load(shown)
    hits = int(np.count_nonzero(twin.step(stream.events) >= 0))
    values = twin.scores / 2.0**twin.readout.bits / max(hits, 1)
    facts = tuple(
        Fact(f"class {name}", f"{value:+.3f}", "the largest: its label" if index == twin.label else "")
        for index, (name, value) in enumerate(zip(twin.readout.labels, values, strict=True))
    )
    own = "" if stream.label is None else f", whose own label is {stream.label}"
    text = (
        "A device keeps a score for each class: every event that a feature won adds a row. These are the "
        f"scores after recording {stream.name}{own}, a mean over {count(hits)} events, in its integers."
    )
    return Section("Class scores", text, facts)


def _features(params: Hyperparameters) -> Fact:
    above = f", on {params.channels} features below" if params.channels > 1 else ""
    return Fact("features", str(params.total_features), f"{params.side}×{params.side} pixels{above}")


def _miss_rate(training: TrainingResult) -> Fact:
    law = training.model.params.law_miss_rate
    return Fact(
        "miss rate",
        percent(training.signals.steady_miss_rate),
        f"at the end; expected in steady state {percent(law)}",
    )


def _baseline(readout: ReadoutComparison) -> str:
    (kind, grid), accuracy = readout.best_raw
    return f"raw events {kind} at best {percent(accuracy, 1)} ({grid}×{grid} cells)"


def _verdict(run: DeviceRun) -> str:
    return "bit-exact" if run.difference is None else "DIFFERENT"


def _readout_section(readouts: dict[str, ReadoutComparison]) -> Section:
    facts = []
    for name, readout in readouts.items():
        grid, accuracy = readout.best_features
        others = ", ".join(
            f"{percent(value, 1)} at {each}×{each}" for each, value in readout.features.items()
        )
        facts.append(
            Fact(name, percent(accuracy, 1), others if len(readout.features) > 1 else f"{grid}×{grid}")
        )
    first = next(iter(readouts.values()))
    facts.append(Fact("raw events", percent(first.best_raw[1], 1), _baseline(first)))
    text = (
        "How much the features say about the class: a linear readout (ridge) on counts pooled over a grid, "
        "by five-fold cross-validation. Raw events are counted and read out in the same way, at every grid."
    )
    return Section("What the features are worth", text, tuple(facts))


def _verify_section(verified: VerifyReport) -> Section:
    agreement = verified.agreement
    facts = [
        Fact(
            f"{name} features",
            "no difference" if mode.difference is None else "DIFFERENT",
            f"{count(mode.events)} events: every result and all state, bit for bit"
            if mode.difference is None
            else str(mode.difference),
        )
        for name, mode in verified.modes.items()
    ]
    facts += [
        Fact("twin and float model", percent(agreement.fraction, 3), "of events have the same winner"),
        Fact(
            "without near-ties",
            percent(agreement.untied_fraction, 3),
            f"of the {count(agreement.untied)} events whose best two features lie further apart than the "
            "quantiser's bound",
        ),
    ]
    text = (
        "The emitted C is compiled on the host and compared with an independent integer model, the twin. "
        "The twin in turn is measured against the float model."
    )
    return Section("From float to integers to C", text, tuple(facts))


def _device_section(run: DeviceRun) -> Section:
    board = get_board(run.board)
    facts = (
        Fact(
            "results",
            _verdict(run),
            run.difference or f"{count(run.events)} events of {len(run.runs)} recordings",
        ),
        Fact("digest, device", run.device_digest, "CRC-32 of all results"),
        Fact("digest, twin", run.twin_digest, ""),
        Fact(
            "instructions per event",
            count(round(run.instructions_per_event)),
            "counted in the emulator; not cycles",
        ),
        Fact("slowest event", count(run.instructions_max), "instructions"),
        Fact("flash", f"{count(run.flash_bytes)} bytes", f"of {count(board.code.bytes)}"),
        Fact("RAM", f"{count(run.ram_bytes)} bytes", f"of {count(board.ram.bytes)}, stack not included"),
        Fact("stack", f"{count(run.stack_bytes)} bytes", "high-water mark"),
    )
    mode = "learning on the device" if run.learning else "frozen features"
    text = (
        f"{board.title}, {board.core}, emulated by QEMU, not silicon. Recordings are streamed over its "
        "serial port and the result of every event comes back."
    )
    return Section(f"On the device: {mode}", text, facts)
