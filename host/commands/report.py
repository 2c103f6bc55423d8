"""`codegen report`: a model as a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from host.commands.options import JsonOption, ModelArgument, SkipOption, SourceArgument, check_output
from host.console import print_facts, print_json, progress


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(report)


def report(
    model: ModelArgument,
    source: SourceArgument,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="HTML file to write.")
    ] = Path("report.html"),
    recording: Annotated[
        int, typer.Option("--recording", metavar="I", min=0, help="Recording to show, counted from 0.")
    ] = 0,
    skip_bad_events: SkipOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw a model: features, learning curve, feature events.

    Trains once more on SOURCE, with the model's parameters and seed, to draw the learning curve.

    Example: codegen report model.npz sim:digits -o report.html
    """
    from codegen.model import load_model
    from host.datasets import open_source
    from host.report import write_report
    from host.summary import model_report

    check_output(output)
    network = load_model(model)
    recordings = open_source(source, network.sensor, skip_bad_events)
    with progress("report: recordings") as show:
        page = model_report(network, recordings, recording, show)
    write_report(page, output)
    if as_json:
        print_json({"report": str(output), "model_id": network.model_id, "source": recordings.spec})
    else:
        print_facts({"report": output})
