"""`codegen run`: recordings through the firmware on an emulated board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from host.commands.filter_options import FilterHereOption
from host.commands.options import (
    BoardOption,
    JsonOption,
    LearningOption,
    ModelArgument,
    ReadoutOption,
    SelectOption,
    SkipOption,
    WeightsOption,
    wants_readout,
)
from host.console import count, note, percent, print_facts, print_json, progress

if TYPE_CHECKING:
    from codegen.boards import Board
    from host.device import DeviceRun

_SHOWN_LABELS: Final = 10


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(run)


def run(
    board: BoardOption,
    model: ModelArgument,
    recording: Annotated[
        str,
        typer.Argument(metavar="RECORDING", help="A file of events, or any source of several recordings."),
    ],
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Only the first N recordings.")
    ] = None,
    learning: LearningOption = False,
    select: SelectOption = "nearest",
    weights: WeightsOption = "int16",
    readout: ReadoutOption = None,
    no_filters: FilterHereOption = False,
    skip_bad_events: SkipOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run recordings on an emulated board and compare.

    Emits and builds MODEL in the folder firmware/, starts the board's QEMU machine, streams every
    event over its serial port and compares every result, and the final state, with the integer twin.
    Exit code 1 names the first event that differs. Instructions are counted exactly; they are not cycles.

    Example: codegen run --board mps2_an386 model.npz 'sim:digits?count=2'
    """
    from codegen.boards import get_board
    from codegen.model_file import load_model
    from codegen.options import Options
    from host.datasets import open_source
    from host.device import run_on_board

    target, network = get_board(board), load_model(model)
    source = open_source(recording, network.camera, skip_bad_events)
    if limit is not None:
        source = source.pick(range(min(limit, len(source))))
    options = Options(learning, select, weights, wants_readout(readout, network), not no_filters)
    with progress("run: recordings") as report:
        outcome = run_on_board(network, target, source, options, progress=report)
    if as_json:
        print_json(_values(outcome, target, learning))
    else:
        print_facts(_facts(outcome, target))
    if outcome.difference:
        note(f"codegen: difference: {outcome.difference}")
        raise typer.Exit(1)


def _values(outcome: DeviceRun, board: Board, learning: bool) -> dict[str, object]:
    """The outcome for machines."""
    return {
        "board": board.name,
        "emulated": True,
        "model_id": outcome.model_id,
        "build_id": outcome.build_id,
        "learning": learning,
        "recordings": len(outcome.runs),
        "events": outcome.events,
        "filtered": outcome.filtered,
        "device_digest": outcome.device_digest,
        "twin_digest": outcome.twin_digest,
        "device_state_digest": f"{outcome.runs[-1].device_snapshot_digest:08x}",
        "twin_state_digest": f"{outcome.runs[-1].twin_snapshot_digest:08x}",
        "labels": [run.label for run in outcome.runs] if outcome.classes else None,
        "accuracy": outcome.accuracy,
        "difference": outcome.difference,
        "instructions_per_event": round(outcome.instructions_per_event, 1),
        "instructions_max": outcome.instructions_max,
        "flash_bytes": outcome.flash_bytes,
        "ram_bytes": outcome.ram_bytes,
        "stack_bytes": outcome.stack_bytes,
    }


def _facts(outcome: DeviceRun, board: Board) -> dict[str, str]:
    """The outcome in words."""
    last = outcome.runs[-1]
    states = f"device {last.device_snapshot_digest:08x}, twin {last.twin_snapshot_digest:08x}"
    return {
        "board": f"{board.title}, emulated",
        "streamed": f"{count(outcome.events)} events of {count(len(outcome.runs))} recordings"
        + (f", {count(outcome.filtered)} left out by filters" if outcome.filtered else ""),
        "results": f"device {outcome.device_digest}, twin {outcome.twin_digest}",
        "final state": states,
        **({"labels": _labels_text(outcome)} if outcome.classes else {}),
        "verdict": "DIFFERENT" if outcome.difference else "bit-exact: every result and all state",
        "instructions": f"{count(round(outcome.instructions_per_event))} per event, "
        f"{count(outcome.instructions_max)} at most",
        "flash": f"{count(outcome.flash_bytes)} of {count(board.code.bytes)} bytes",
        "RAM": f"{count(outcome.ram_bytes)} of {count(board.ram.bytes)} bytes, "
        f"and {count(outcome.stack_bytes)} of stack used",
    }


def _labels_text(outcome: DeviceRun) -> str:
    """How many labels are right, and the first few of the device."""
    shown = ", ".join(run.label or "none" for run in outcome.runs[:_SHOWN_LABELS])
    more = ", ..." if len(outcome.runs) > _SHOWN_LABELS else ""
    right = "" if outcome.accuracy is None else f", {percent(outcome.accuracy, 1)} of the labelled ones right"
    return f"{shown}{more}{right}"
