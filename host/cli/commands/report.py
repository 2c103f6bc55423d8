"""`codegen report`: a model as a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.output import print_facts, print_json, progress
from feast_codegen.host.cli.reading_options import ReadingOptions
from feast_codegen.host.cli.shared_options import JsonOption, ModelArgument, check_output


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(report)


@with_option_groups
def report(
    model: ModelArgument,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE]", help="Recordings that show the network at work; see codegen train."
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="HTML file to write.")
    ] = Path("report.html"),
    show_recording: Annotated[
        int, typer.Option("--show-recording", metavar="I", min=0, help="Recording to show, counted from 0.")
    ] = 0,
    tuned: Annotated[
        Path | None,
        typer.Option("--tuned", metavar="FILE", help="Show the Pareto front that `codegen tune -o` wrote."),
    ] = None,
    *,
    reading: ReadingOptions,
    as_json: JsonOption = False,
) -> None:
    """Draw a model: features, learning curve, feature events, readouts.

    Trains once more on SOURCE, with the model's parameters and seed, to draw the learning curve.
    Without SOURCE, the page shows features and thresholds only.

    Example: codegen report model.npz sim:digits -o report.html
    """
    from feast_codegen.codegen.model.file import load_model
    from feast_codegen.host.report.page import write_report
    from feast_codegen.host.report.panels import front_panel
    from feast_codegen.host.report.summary import bare_report, model_report

    check_output(output)
    network = load_model(model)
    panels = () if tuned is None else (front_panel(tuned),)
    spec = None
    if source is None:
        page = bare_report(network, panels)
    else:
        recordings = reading.open(source, network.camera)
        spec = recordings.spec
        with progress("report: recordings") as show:
            page = model_report(network, recordings, show_recording, show, panels)
    write_report(page, output)
    if as_json:
        print_json({"report": str(output), "model_id": network.model_id, "source": spec})
    else:
        print_facts({"report": output})
