"""A model on an emulated board: emit, build, start, stream recordings, compare every result with the twin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import FILTERED, RESULT_NAMES, Results
from feast_codegen.codegen.boards.board import Board
from feast_codegen.codegen.emit.plan import Plan, make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.emit.write import write
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.model.readout import UNKNOWN, name_of
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.boards.build import BuildResult, build
from feast_codegen.host.boards.emulator import CONNECT_S, emulate
from feast_codegen.host.boards.firmware_project import PROJECT, check_project, prepare_project
from feast_codegen.host.boards.project_lock import project_lock
from feast_codegen.host.link.link import open_link
from feast_codegen.host.link.run_results import RunResult
from feast_codegen.host.progress import Progress, silent, tracked
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.recordings.open import Source


@dataclass(frozen=True)
class RecordingRun:
    """One recording on the device. Digests (protocol.messages) are of the results and of the whole state."""

    name: str
    events: int
    filtered: int
    """Events that the filters left out."""
    device_digest: int
    twin_digest: int
    device_snapshot_digest: int
    twin_snapshot_digest: int
    label: str | None
    """What the device's readout says, UNKNOWN where it abstains; None without one, or if no feature won."""
    wanted: str | None
    """Its own label, where the source has one."""
    ticks_total: int
    ticks_max: int
    difference: str | None
    """The first event and value that differ."""


@dataclass(frozen=True)
class DeviceRun:
    """Recordings on a board. The device computed a digest of each; all are taken together here."""

    board: str
    model_id: str
    build_id: str
    learning: bool
    classes: tuple[str, ...]
    """Labels of the classes that it keeps scores of."""
    runs: tuple[RecordingRun, ...]
    device_digest: str
    """8 hex digits: CRC-32 of all results, in order."""
    twin_digest: str
    instructions_per_event: float
    """Mean over all events, in feast_step."""
    instructions_max: int
    """Of the slowest event."""
    flash_bytes: int
    ram_bytes: int
    """Static RAM of the whole firmware, without the stack."""
    stack_bytes: int
    """High-water mark."""

    @property
    def events(self) -> int:
        """Events of all recordings."""
        return sum(run.events for run in self.runs)

    @property
    def filtered(self) -> int:
        """Events of all recordings that the filters left out."""
        return sum(run.filtered for run in self.runs)

    @property
    def accuracy(self) -> float | None:
        """Right labels among the recordings that have one; None without a readout or without labels."""
        labelled = [run for run in self.runs if run.wanted is not None]
        if not self.classes or not labelled:
            return None
        return sum(run.label == run.wanted for run in labelled) / len(labelled)

    @property
    def difference(self) -> str | None:
        """The first difference of all, or None: device and twin agree in every result and all state."""
        return next((run.difference for run in self.runs if run.difference), None)


def emit_for_board(model: Model, board: Board, options: Options, project_dir: Path = PROJECT) -> Plan:
    """Write the library of `model` into the firmware project, where a build looks for it.

    Raises FeastError if the model does not fit the board or the folder cannot be written.
    """
    plan = make_plan(quantise(model)[0], board, options)
    check_project(project_dir)
    with project_lock(project_dir):
        prepare_project(project_dir)
        write(render(plan), project_dir / "lib" / "feast")
    return plan


def build_for_board(
    model: Model,
    board: Board,
    options: Options,
    project_dir: Path = PROJECT,
    driver: Path | None = None,
) -> tuple[Plan, BuildResult]:
    """Write the library of `model` into the firmware project and build it, with nobody else in between.

    Raises FeastError as `emit_for_board` and `feast_codegen.host.boards.build.build`.
    """
    plan = make_plan(quantise(model)[0], board, options)
    return plan, build(board, project_dir, driver, render(plan))


def run_on_board(
    model: Model,
    board: Board,
    source: Source,
    options: Options = Options(),
    *,
    project_dir: Path = PROJECT,
    progress: Progress = silent,
) -> DeviceRun:
    """Run every recording of `source` on the emulated `board`; `progress` counts recordings.

    Surfaces are reset before each recording; a learning device goes on learning across them, from
    the model's state. Where the library leaves the filters out, recordings are filtered here. Raises
    FeastError if the board has no emulator, the model does not fit, a tool is missing or the link fails.
    """
    if board.qemu is None:
        raise FeastError(f"board {board.name} has no emulator: `codegen boards` lists those that have one")
    source = source.for_library(model, options)
    plan, built = build_for_board(model, board, options, project_dir)
    twin = Twin(quantise(model)[0], options)
    runs: list[RecordingRun] = []
    device_digest = twin_digest = stack_bytes = 0
    with emulate(board, built.elf) as emulator, open_link(emulator.url, connect_s=CONNECT_S) as link:
        link.hello.require(plan.ids.build, plan.ids.state, plan.ids.model)
        for stream in tracked(source, progress):
            outcome = link.run(
                stream.events, learning=options.learning, initialise=not runs, one_at_a_time=True
            )
            twin.reset()
            expected = twin.step(stream.events)
            run = _compare(stream, outcome, expected, twin)
            runs.append(run)
            device_digest = messages.result_digest(outcome.results, device_digest)
            twin_digest = messages.result_digest(expected, twin_digest)
            stack_bytes = max(stack_bytes, outcome.stack_used)
        total = emulator.instructions(sum(run.ticks_total for run in runs))
        slowest = emulator.instructions(max(run.ticks_max for run in runs))
    return DeviceRun(
        board=board.name,
        model_id=model.model_id,
        build_id=plan.ids.build,
        learning=options.learning,
        classes=twin.readout.labels if twin.readout else (),
        runs=tuple(runs),
        device_digest=f"{device_digest:08x}",
        twin_digest=f"{twin_digest:08x}",
        instructions_per_event=total / sum(run.events for run in runs),
        instructions_max=round(slowest),
        flash_bytes=built.flash_bytes,
        ram_bytes=built.ram_bytes,
        stack_bytes=stack_bytes,
    )


def _compare(stream: EventStream, device: RunResult, expected: Results, twin: Twin) -> RecordingRun:
    snapshot_digest = messages.snapshot_digest(twin.snapshot())
    return RecordingRun(
        name=stream.name,
        events=device.events,
        filtered=int(np.count_nonzero(device.results == FILTERED)),
        device_digest=device.result_digest,
        twin_digest=messages.result_digest(expected),
        device_snapshot_digest=device.snapshot_digest,
        twin_snapshot_digest=snapshot_digest,
        label=_label(twin, device),
        wanted=None if stream.label is None else str(stream.label),
        ticks_total=device.ticks_total,
        ticks_max=device.ticks_max,
        difference=_difference(stream.name, device, expected, snapshot_digest, twin.label, twin.abstains),
    )


def _label(twin: Twin, device: RunResult) -> str | None:
    if twin.readout is None or device.label < 0:
        return None
    return UNKNOWN if device.abstains else name_of(twin.readout.labels, device.label)


def _difference(
    name: str,
    device: RunResult,
    expected: Results,
    twin_snapshot_digest: int,
    twin_label: int,
    twin_abstains: bool,
) -> str | None:
    wrong = np.flatnonzero(device.results != expected)
    if wrong.size:
        first = int(wrong[0])
        got, wanted = (_result_name(int(results[first])) for results in (device.results, expected))
        return f"{name}, event {first}: device {got}, twin {wanted}"
    if device.snapshot_digest != twin_snapshot_digest:
        digests = f"device {device.snapshot_digest:08x}, twin {twin_snapshot_digest:08x}"
        return f"{name}: all results agree but the final state does not: {digests}"
    if device.label != twin_label:
        return f"{name}: the state agrees but the label does not: device {device.label}, twin {twin_label}"
    if device.abstains != twin_abstains:
        which = "device" if device.abstains else "twin"
        return f"{name}: the label agrees, but only the {which} abstains"
    return None


def _result_name(result: int) -> str:
    return RESULT_NAMES.get(result, f"feature {result}")
