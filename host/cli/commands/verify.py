"""`codegen verify`: the emitted C against the integer twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from feast_codegen.host.cli.emission_options import VerifyOptions
from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.output import print_facts, print_json, progress
from feast_codegen.host.cli.reading_options import ReadingOptions
from feast_codegen.host.cli.shared_options import (
    JsonOption,
    MaxRecordingsOption,
    ModelArgument,
    SourceArgument,
)
from feast_codegen.host.progress import note, tracked
from feast_codegen.host.text import count, percent

if TYPE_CHECKING:
    from feast_codegen.codegen.boards.board import Kernel
    from feast_codegen.host.recordings.open import Source
    from feast_codegen.host.verify import VerifyReport


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(verify)


@with_option_groups
def verify(
    model: ModelArgument,
    source: SourceArgument,
    max_recordings: MaxRecordingsOption = None,
    board: Annotated[
        str | None,
        typer.Option(
            "--board", metavar="NAME", help="Prove the code as emitted for this board. [portable C]"
        ),
    ] = None,
    *,
    emission: VerifyOptions,
    reading: ReadingOptions,
    as_json: JsonOption = False,
) -> None:
    """Prove the emitted C equal to the integer twin.

    Every result and all state, frozen and learning, over the source and over a stress stream made for the
    network: boundaries, long silences, bad events, learned states at their limits. Exit code 1 names the
    first event and value that differ.
    With a readout and labelled recordings it also says how many of them get the right label.
    The code runs on this machine, with plain C in place of a board's packed and vector instructions;
    `codegen emulate` proves the instructions themselves.

    Example: codegen verify model.npz sim:digits
    """
    from feast_codegen.codegen.boards.board import get_board
    from feast_codegen.codegen.model.file import load_model
    from feast_codegen.host.verify import verify as compare

    network = load_model(model)
    kernel = get_board(board).kernel if board else "portable"
    options = emission.options(network)
    recordings = reading.open(source, network.camera)
    if max_recordings is not None:
        recordings = recordings.pick(range(min(max_recordings, len(recordings))))
    recordings = recordings.for_library(network, options)
    with progress("verify: recordings") as report:
        outcome = compare(network, tracked(recordings, report), options, kernel)
    if as_json:
        print_json(_values(outcome, recordings, kernel))
    else:
        print_facts(_facts(outcome, given="with the same winners below, " if network.lower else ""))
    for name, mode in outcome.modes.items():
        if mode.difference:
            note(f"codegen: difference, {name}: {mode.difference}")
        if mode.stress_difference:
            note(f"codegen: difference, {name}: {mode.stress_difference}")
    if outcome.mismatches or outcome.stress_mismatches:
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
        "stress_events": outcome.stress_events,
        "stress_mismatches": outcome.stress_mismatches,
        "modes": {
            name: {
                "events": mode.events,
                "mismatches": int(mode.difference is not None),
                "difference": str(mode.difference) if mode.difference else None,
                "stress_events": mode.stress_events,
                "stress_difference": str(mode.stress_difference) if mode.stress_difference else None,
                "build_id": outcome.build_ids[name],
                "native_events_per_s": round(mode.native_events_per_s),
                "twin_events_per_s": round(mode.twin_events_per_s),
            }
            for name, mode in outcome.modes.items()
        },
        "float_agreement": agreement.fraction,
        "float_agreement_untied": agreement.untied_fraction,
        "untied_share": agreement.untied / agreement.compared if agreement.compared else None,
        "accuracy": labelled.accuracy if labelled else None,
        "float_accuracy": labelled.float_accuracy if labelled else None,
    }


def _facts(outcome: VerifyReport, given: str) -> dict[str, str]:
    """The outcome in words; `given`: a condition of the comparison without near-ties."""
    agreement, labelled = outcome.agreement, outcome.labelled
    facts = {}
    for name, mode in outcome.modes.items():
        verdict = "DIFFERENT" if mode.difference else "no difference"
        speeds = f"C {mode.native_events_per_s / 1e6:.2f}, twin {mode.twin_events_per_s / 1e6:.2f}"
        facts[name] = f"{count(mode.events)} events compared, {verdict} ({speeds} M events/s)"
    verdict = "DIFFERENT" if outcome.stress_mismatches else "equal"
    facts["stress"] = f"{count(outcome.stress_events)} synthetic events at the limits, {verdict}"
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
