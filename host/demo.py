"""The whole chain in one go: `./run demo [SOURCE]`. Every stage prints what came out of it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from codegen.boards import get_board
from codegen.emit import write
from codegen.errors import FeastError
from codegen.model import Hyperparameters, Model
from codegen.model_file import save_model
from codegen.options import Options
from codegen.plan import make_plan
from codegen.quantise import quantise
from codegen.render import render
from codegen.twin import Twin
from host.console import count, note, percent, progress, tracked
from host.datasets import Source, open_source, training_order
from host.device import DeviceRun, run_on_board
from host.feast import FloatFeast
from host.readout import ReadoutComparison, compare_readouts
from host.report import write_report
from host.summary import chain_report
from host.training import TrainingResult, train
from host.verify import VerifyReport, verify

DEFAULT_SOURCE: Final = "sim:digits?seed=0&count=400"
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


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; returns the exit code: 1 if anything that must be equal is not, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="./run demo", description="The whole chain: train, prove, build, run, report."
    )
    parser.add_argument("source", nargs="?", default=DEFAULT_SOURCE, help=f"recordings [{DEFAULT_SOURCE}]")
    parser.add_argument("-o", "--output", type=Path, default=Path("demo-out"), help="folder [demo-out]")
    chosen = parser.parse_args(arguments)
    try:
        return run(chosen.source, chosen.output)
    except FeastError as error:
        note("demo: error: " + " ".join(str(error).split()))
        return 2
    except KeyboardInterrupt:
        note("demo: interrupted")
        return 130


def run(spec: str, output: Path) -> int:
    """Carry a source through the chain, files to `output`; see `main`."""
    start = time.perf_counter()
    source = open_source(spec)
    parts = divide(source)
    output.mkdir(parents=True, exist_ok=True)
    print(
        f"FEAST from recording to Cortex-M: {source.spec}, {len(source)} recordings, {source.sensor} pixels\n"
    )

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
    print(f"Model   {output / 'model.npz'}\nReport  {page.resolve()}")
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
    features = model.params.features
    try:
        with progress("readout: recordings") as report:
            readouts = {
                "float features": compare_readouts(source, FloatFeast(model), features, progress=report)
            }
        with progress("readout of integer features: recordings") as report:
            twin = Twin(quantise(model)[0], Options())
            readouts["integer features"] = compare_readouts(
                source, twin, features, raw_grids=(), progress=report
            )
        with progress("readout of features learned in integers: recordings") as report:
            learned = train(source, model.params, seed=model.training.seed, arithmetic="fixed").model
            twin = Twin(quantise(learned)[0], Options())
            readouts["learned in integers"] = compare_readouts(
                source, twin, features, raw_grids=(), progress=report
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
    print(f"  {name:<22}{value}")


def _say_training(training: TrainingResult) -> None:
    made, params = training.model.training, training.model.params
    _say(
        "learned from", f"{count(made.events)} events of {count(made.recordings)} recordings, without labels"
    )
    _say("features", f"{params.features} of {params.side}x{params.side} pixels")
    _say("miss rate", f"{percent(made.miss_rate)} at the end, the law says {percent(params.law_miss_rate)}")


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
    _say("memory", f"tables {count(plan.table_bytes)} bytes of flash, state {count(plan.ram_bytes)} of RAM")


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


if __name__ == "__main__":
    sys.exit(main())
