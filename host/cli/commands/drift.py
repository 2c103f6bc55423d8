"""`codegen drift`: whether a converged network sees something new."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.output import print_facts, print_json, progress
from feast_codegen.host.cli.reading_options import ReadingOptions
from feast_codegen.host.cli.shared_options import JsonOption, ModelArgument
from feast_codegen.host.text import count


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(drift)


@with_option_groups
def drift(
    model: ModelArgument,
    known: Annotated[
        str, typer.Argument(metavar="KNOWN", help="Recordings of the kind the network was trained on.")
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Recordings to check for a change.")],
    calibration: Annotated[
        int,
        typer.Option(
            min=20,
            metavar="N",
            help="Windows of 250 events of KNOWN to calibrate the detector with.",
        ),
    ] = 2000,
    *,
    reading: ReadingOptions,
    as_json: JsonOption = False,
) -> int:
    """Say whether the input of a converged network has changed.

    The network goes on learning, on KNOWN and then on NEW; exit code 1 if the drift detector raises an alarm.
    If KNOWN is a folder with the splits train and test, its train split is used.

    Example: codegen drift model.npz 'sim:digits?seed=1&count=400' sim:bars
    """
    from feast_codegen.codegen.model.file import load_model
    from feast_codegen.host.network.drift import look_for_drift
    from feast_codegen.host.network.training import training_part

    network = load_model(model)
    usual = training_part(reading.open(known, network.camera)).shuffled(seed=0)
    other = reading.open(new, network.camera)
    with progress("drift: recordings") as report:
        seen = look_for_drift(network, usual, other, calibration=calibration, progress=report)
    if as_json:
        print_json(asdict(seen))
        return int(seen.alarm is not None)
    facts: dict[str, object] = {
        "usual": f"learned from {count(seen.calibrated_on)} events of {usual.spec}",
        "watched": f"{count(seen.watched)} events since",
    }
    if seen.alarm is None:
        facts["drift"] = "none"
    elif seen.events_until is None:
        facts["drift"] = f"within {usual.spec}: {seen.alarm.signal} after {count(seen.alarm.events)} events"
    else:
        facts["drift"] = f"{seen.alarm.signal}, {count(seen.events_until)} events into {other.spec}"
    print_facts(facts)
    return int(seen.alarm is not None)
