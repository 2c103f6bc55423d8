"""`codegen emulate`: recordings through the firmware on an emulated board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from feast_codegen.host.cli.emission_options import DeviceOptions
from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.output import print_facts, print_json, progress
from feast_codegen.host.cli.reading_options import ReadingOptions
from feast_codegen.host.cli.shared_options import (
    BoardOption,
    JsonOption,
    MaxRecordingsOption,
    ModelArgument,
)
from feast_codegen.host.progress import note
from feast_codegen.host.text import count, percent

if TYPE_CHECKING:
    from feast_codegen.codegen.boards.board import Board
    from feast_codegen.host.boards.run import DeviceRun

_SHOWN_LABELS: Final = 10


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(emulate)


@with_option_groups
def emulate(
    board: BoardOption,
    model: ModelArgument,
    recording: Annotated[
        str,
        typer.Argument(metavar="RECORDING", help="A file of events, or any source of several recordings."),
    ],
    max_recordings: MaxRecordingsOption = None,
    *,
    emission: DeviceOptions,
    reading: ReadingOptions,
    as_json: JsonOption = False,
) -> None:
    """Run recordings on an emulated board and compare.

    Emits and builds MODEL in the folder firmware/, starts the board's QEMU machine, streams every
    event over its serial port and compares every result, and the final state, with the integer twin.
    Exit code 1 names the first event that differs. Instructions are counted exactly; they are not cycles.

    Example: codegen emulate --board mps2_an386 model.npz 'sim:digits?count=2'
    """
    from feast_codegen.codegen.boards.board import get_board
    from feast_codegen.codegen.model.file import load_model
    from feast_codegen.host.boards.run import run_on_board

    target, network = get_board(board), load_model(model)
    source = reading.open(recording, network.camera)
    if max_recordings is not None:
        source = source.pick(range(min(max_recordings, len(source))))
    options = emission.options(network)
    with progress("emulate: recordings") as report:
        outcome = run_on_board(network, target, source, options, progress=report)
    if as_json:
        print_json(_values(outcome, target))
    else:
        print_facts(_facts(outcome, target))
    if outcome.difference:
        note(f"codegen: difference: {outcome.difference}")
        raise typer.Exit(1)


def _values(outcome: DeviceRun, board: Board) -> dict[str, object]:
    """The outcome for machines."""
    return {
        "board": board.name,
        "emulated": True,
        "model_id": outcome.model_id,
        "build_id": outcome.build_id,
        "learning": outcome.learning,
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
