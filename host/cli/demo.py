"""The stages of `codegen demo`: each prints its outcome and the time it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.boards.board import get_board
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.emit.write import write
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.file import save_model
from feast_codegen.codegen.model.model import Hyperparameters, Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.boards.run import DeviceRun, run_on_board
from feast_codegen.host.cli.output import progress
from feast_codegen.host.cli.reading_options import remembered
from feast_codegen.host.evaluation.ablation import ReadoutComparison, compare_readouts
from feast_codegen.host.network.training import TrainingResult, train
from feast_codegen.host.progress import note, tracked
from feast_codegen.host.recordings.open import Source, open_source, training_order
from feast_codegen.host.report.page import write_report
from feast_codegen.host.report.summary import chain_report
from feast_codegen.host.text import count, percent, printable
from feast_codegen.host.verify import VerifyReport, verify

BOARD: Final = "mps2_an386"
HELD_OUT: Final = 10
"""Of a source without splits, one recording in so many is kept from training."""
FROZEN_RUNS: Final = 5
LEARNING_RUNS: Final = 2
"""Recordings streamed to the emulated device."""


@dataclass(frozen=True)
class Parts:
    """What is learned from, and what the device is shown afterwards."""

    learn: Source
    held: Source


def run(spec: str, output: Path) -> int:
    """Carry a source through the chain, files to `output`.

    Returns the exit code: 1 if results that must be equal are not. Raises FeastError for bad input.
    """
    start = time.perf_counter()
    source = remembered(open_source(spec))
    parts = divide(source)
    output.mkdir(parents=True, exist_ok=True)
    title = f"FEAST from recording to Cortex-M: {source.spec}, {len(source)} recordings"
    print(printable(f"{title}, {source.sensor} pixels") + "\n")

    with stage("Train"):
        with progress("train: recordings") as report:
            training = train(parts.learn, Hyperparameters(), progress=report)
        _say_training(training)
    model = training.model
    save_model(model, output / "model.npz")

    with stage("Readout"):
        readouts = compare(parts.learn, model)
        _say_readouts(readouts)

    with stage("Emit"):
        _say_emitted(model, output / "feast")

    with stage("Verify"):
        with progress("verify: recordings") as report:
            verified = verify(model, tracked(parts.learn, report), kernel=get_board(BOARD).kernel)
        _say_verified(verified)

    runs = []
    for learning, recordings in ((False, FROZEN_RUNS), (True, LEARNING_RUNS)):
        with stage("Device, learning" if learning else "Device, frozen"):
            shown = parts.held.pick(range(min(recordings, len(parts.held))))
            with progress("device: recordings") as report:
                outcome = run_on_board(
                    model,
                    get_board(BOARD),
                    shown,
                    Options(learning),
                    project_dir=output / "firmware",
                    progress=report,
                )
            _say_device(outcome)
            runs.append(outcome)

    page = output / "report.html"
    write_report(chain_report(training, parts.held, readouts, verified, tuple(runs)), page)
    equal = verified.mismatches == 0 and all(each.difference is None for each in runs)
    print(
        f"{'All equal, bit for bit.' if equal else 'NOT EQUAL.'} {time.perf_counter() - start:.0f} s in all."
    )
    print(printable(f"Model   {output / 'model.npz'}"))
    print(printable(f"Report  {page.resolve()}"))
    return 0 if equal else 1


def divide(source: Source) -> Parts:
    """The splits of a source that has both; else every HELD_OUT-th recording is held; one alone is both."""
    if {"train", "test"} <= source.splits.keys():
        held = source.split("test")
        return Parts(source.split("train"), held.pick(training_order(held.labels, 0)))
    order = training_order(source.labels, 0)
    cut = len(order) // HELD_OUT
    if cut == 0:
        return Parts(source, source)
    return Parts(source.pick(sorted(order[cut:])), source.pick(order[:cut]))


def compare(source: Source, model: Model) -> dict[str, ReadoutComparison]:
    """Readouts by kind of features, the first with the raw baseline; empty without enough labels."""
    if None in source.labels:
        return {}
    try:
        with progress("readout: recordings") as report:
            readouts = {"float features": compare_readouts(source, model, progress=report)}
        with progress("readout of integer features: recordings") as report:
            readouts["integer features"] = compare_readouts(
                source, model, "fixed", raw_grids=(), progress=report
            )
        with progress("readout of features learned in integers: recordings") as report:
            learned = train(source, model.params, seed=model.training.seed, arithmetic="fixed").model
            readouts["learned in integers"] = compare_readouts(
                source, learned, "fixed", raw_grids=(), progress=report
            )
    except FeastError as error:
        note(f"no readout: {error}")
        return {}
    return readouts


@contextmanager
def stage(title: str) -> Iterator[None]:
    """Head a stage, and close it with the time it took."""
    start = time.perf_counter()
    print(title, flush=True)
    yield
    print(f"  {time.perf_counter() - start:.1f} s\n", flush=True)


def _say(name: str, value: str) -> None:
    print(printable(f"  {name:<22}{value}"))


def _say_training(training: TrainingResult) -> None:
    made, params = training.model.training, training.model.params
    _say(
        "learned from", f"{count(made.events)} events of {count(made.recordings)} recordings, without labels"
    )
    _say("features", f"{params.total_features} of {params.side}x{params.side} pixels")
    _say(
        "miss rate",
        f"{percent(made.miss_rate)} at the end, expected in steady state {percent(params.law_miss_rate)}",
    )


def _say_readouts(readouts: dict[str, ReadoutComparison]) -> None:
    if not readouts:
        _say("none", "too few labelled recordings")
        return
    for name, readout in readouts.items():
        grid, accuracy = readout.best_features
        _say(name, f"{percent(accuracy, 1)} ({grid}x{grid} cells, 5-fold cross-validation)")
    first = next(iter(readouts.values()))
    (kind, grid), accuracy = first.best_raw
    _say("raw events", f"{percent(accuracy, 1)} (at best, {kind}, {grid}x{grid} cells)")


def _say_emitted(model: Model, folder: Path) -> None:
    plan = make_plan(quantise(model)[0], get_board(BOARD), Options())
    emission = write(render(plan), folder)
    _say("library", f"{folder}, {len(emission.written) + len(emission.unchanged)} files")
    _say(
        "memory", f"tables {count(plan.budget.tables)} bytes of flash, state {count(plan.budget.ram)} of RAM"
    )


def _say_verified(verified: VerifyReport) -> None:
    for name, mode in verified.modes.items():
        verdict = f"DIFFERENT: {mode.difference}" if mode.difference else "no difference between C and twin"
        _say(name, f"{verdict} in {count(mode.events)} events")
    agreement = verified.agreement
    untied = f"{percent(agreement.untied_fraction, 3)} without near-ties"
    _say("twin and float model", f"{percent(agreement.fraction, 3)} same winner, {untied}")


def _say_device(run: DeviceRun) -> None:
    _say("board", f"{get_board(run.board).title}, emulated")
    _say("streamed", f"{count(run.events)} events of {len(run.runs)} recordings, over its serial port")
    _say("digest of results", f"device {run.device_digest}, twin {run.twin_digest}")
    _say(
        "verdict", f"DIFFERENT: {run.difference}" if run.difference else "bit-exact, results and final state"
    )
    _say("instructions", f"{count(round(run.instructions_per_event))} per event")
    memory = (
        f"flash {count(run.flash_bytes)}, RAM {count(run.ram_bytes)}, stack {count(run.stack_bytes)} bytes"
    )
    _say("memory", memory)
