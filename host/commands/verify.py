"""`codegen verify`: the emitted C against the integer twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from host.commands.filter_options import FilterHereOption
from host.commands.options import (
    JsonOption,
    ModelArgument,
    ReadoutOption,
    SelectOption,
    SkipOption,
    SourceArgument,
    WeightsOption,
    wants_readout,
)
from host.console import count, note, percent, print_facts, print_json, progress, tracked

if TYPE_CHECKING:
    from codegen.boards import Kernel
    from host.datasets import Source
    from host.verify import VerifyReport


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(verify)


def verify(
    model: ModelArgument,
    source: SourceArgument,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Only the first N recordings.")
    ] = None,
    board: Annotated[
        str | None,
        typer.Option("--board", metavar="NAME", help="The code as emitted for this board; else portable C."),
    ] = None,
    select: SelectOption = "nearest",
    weights: WeightsOption = "int16",
    readout: ReadoutOption = None,
    no_filters: FilterHereOption = False,
    skip_bad_events: SkipOption = False,
    as_json: JsonOption = False,
) -> None:
    """Prove the emitted C equal to the integer twin.

    Every result and all state, frozen and learning. Exit code 1 names the first event and value that differ.
    With a readout and labelled recordings it also says how many of them get the right label.
    The code runs on this machine: packed and vector instructions of a board are done by the plain C beside
    them, and `codegen run` proves the instructions themselves.

    Example: codegen verify model.npz sim:digits
    """
    from codegen.boards import get_board
    from codegen.model_file import load_model
    from codegen.options import Options
    from host.datasets import open_source
    from host.verify import verify as compare

    network = load_model(model)
    kernel = get_board(board).kernel if board else "portable"
    options = Options(False, select, weights, wants_readout(readout, network), not no_filters)
    recordings = open_source(source, network.camera, skip_bad_events)
    if limit is not None:
        recordings = recordings.pick(range(min(limit, len(recordings))))
    if no_filters and network.input_filters:
        recordings = recordings.filtered(network.input_filters)
    with progress("verify: recordings") as report:
        outcome = compare(network, tracked(recordings, report), options, kernel)
    if as_json:
        print_json(_values(outcome, recordings, kernel))
    else:
        print_facts(_facts(outcome, given="with the same winners below, " if network.lower else ""))
    for name, mode in outcome.modes.items():
        if mode.difference:
            note(f"codegen: difference, {name}: {mode.difference}")
    if outcome.mismatches:
        raise typer.Exit(1)


def _values(outcome: VerifyReport, recordings: Source, kernel: Kernel) -> dict[str, object]:
    """The outcome for machines."""
    agreement, labelled = outcome.agreement, outcome.labelled
    return {
        "model_id": outcome.model_id,
        "source": recordings.spec,
        "kernel": kernel,
        "recordings": len(recordings),
        "events": outcome.events,
        "filtered": outcome.filtered,
        "mismatches": outcome.mismatches,
        "modes": {
            name: {
                "events": mode.events,
                "mismatches": int(mode.difference is not None),
                "difference": str(mode.difference) if mode.difference else None,
                "build_id": outcome.build_ids[name],
                "native_events_per_s": round(mode.native_events_per_s),
                "twin_events_per_s": round(mode.twin_events_per_s),
            }
            for name, mode in outcome.modes.items()
        },
        "float_agreement": agreement.fraction,
        "float_agreement_untied": agreement.untied_fraction,
        **({"accuracy": labelled.accuracy, "float_accuracy": labelled.float_accuracy} if labelled else {}),
    }


def _facts(outcome: VerifyReport, given: str) -> dict[str, str]:
    """The outcome in words; `given`: a condition of the comparison without near-ties."""
    agreement, labelled = outcome.agreement, outcome.labelled
    facts = {}
    for name, mode in outcome.modes.items():
        verdict = "DIFFERENT" if mode.difference else "no difference"
        speeds = f"C {mode.native_events_per_s / 1e6:.2f}, twin {mode.twin_events_per_s / 1e6:.2f}"
        facts[name] = f"{count(mode.events)} events compared, {verdict} ({speeds} M events/s)"
    if outcome.filtered:
        facts["filters"] = f"{count(outcome.filtered)} of the {count(outcome.events)} events left out"
    facts["float model"] = (
        f"{percent(agreement.fraction, 3)} of {count(agreement.compared)} events have the same winner; "
        f"{given}{percent(agreement.untied_fraction, 3)} of the {count(agreement.untied)} that are no "
        "near-ties"
    )
    if labelled:
        facts["labels"] = (
            f"{percent(labelled.accuracy, 1)} of {count(labelled.recordings)} recordings right, "
            f"{percent(labelled.float_accuracy, 1)} in the float model"
        )
    return facts
