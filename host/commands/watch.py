"""`codegen watch`: does a converged network see something new?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from host.commands.options import JsonOption, ModelArgument, SkipOption
from host.console import count, print_facts, print_json, progress


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(watch)


def watch(
    model: ModelArgument,
    known: Annotated[
        str, typer.Argument(metavar="KNOWN", help="Recordings of the kind the network was trained on.")
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Recordings in which a change is looked for.")],
    calibration: Annotated[
        int,
        typer.Option(
            min=20,
            metavar="N",
            help="Windows of 250 events of KNOWN that say what is usual.",
        ),
    ] = 2000,
    skip_bad_events: SkipOption = False,
    as_json: JsonOption = False,
) -> int:
    """Watch a converged network for a change of what it sees.

    It goes on learning, on KNOWN and then on NEW; exit code 1 if the drift detector raises an alarm.
    A folder with the splits train and test is known by its train part.

    Example: codegen watch model.npz 'sim:digits?seed=1&count=400' sim:bars
    """
    from codegen.model_file import load_model
    from host.datasets import open_source
    from host.training import training_part
    from host.watch import watch as look

    network = load_model(model)
    usual = training_part(open_source(known, network.camera, skip_bad_events)).shuffled(seed=0)
    other = open_source(new, network.camera, skip_bad_events)
    with progress("watch: recordings") as report:
        seen = look(network, usual, other, calibration=calibration, progress=report)
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
