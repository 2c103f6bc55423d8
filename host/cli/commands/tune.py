"""`codegen tune`: networks that are accurate and cheap on a board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from feast_codegen.host.cli.filter_options import FilterOptions
from feast_codegen.host.cli.interrupts import INTERRUPTED
from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.output import print_facts, print_json, progress, write_result
from feast_codegen.host.cli.reading_options import ReadingOptions
from feast_codegen.host.cli.shared_options import (
    JsonOption,
    SensorOption,
    SourceArgument,
    check_output,
    parse_sensor,
)
from feast_codegen.host.progress import note
from feast_codegen.host.text import count, percent

if TYPE_CHECKING:
    from feast_codegen.host.evaluation.tune import ParetoFront

ObjectiveName = Literal["accuracy", "separation", "richness"]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(tune)


@with_option_groups
def tune(
    source: SourceArgument,
    board: Annotated[
        str, typer.Option("--board", metavar="NAME", help="Board whose memory and instructions count.")
    ] = "mps2_an386",
    trials: Annotated[int, typer.Option(min=1, metavar="N", help="Trials of the study in all.")] = 50,
    objective: Annotated[
        ObjectiveName,
        typer.Option(
            help="Accuracy of a readout, or a score from few recordings; the last one needs no labels."
        ),
    ] = "accuracy",
    storage: Annotated[
        str,
        typer.Option(
            metavar="FILE|URL", help="Storage of the study: a journal file, or the URL of a database."
        ),
    ] = "tune.journal",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search and of the initial weights.")] = 0,
    jobs: Annotated[
        int, typer.Option(metavar="N", help="Workers that extract features; -1: one a core.")
    ] = 1,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="JSON to write; a picture .svg goes beside it."),
    ] = None,
    *,
    filtering: FilterOptions,
    sensor: SensorOption = None,
    reading: ReadingOptions,
    as_json: JsonOption = False,
) -> int:
    """Search for networks that are accurate and cheap on a board.

    A trial trains one network. The study is kept in the storage: the same command goes on where it
    was interrupted, and several processes or machines may share one storage.

    Example: codegen tune sim:digits --board mps2_an386 --trials 40 -o tuned.json
    """
    from feast_codegen.codegen.boards.board import get_board
    from feast_codegen.host.evaluation import tune as tuning
    from feast_codegen.host.report.curves import alone, front_picture

    if output is not None:
        check_output(output)
    recordings = reading.open(source, parse_sensor(sensor))
    filters = filtering.for_source(recordings)
    with progress("tune: trials") as report:
        search = tuning.Search(recordings, get_board(board), objective, filters)
        found = tuning.tune(search, storage=storage, trials=trials, seed=seed, jobs=jobs, progress=report)
    if output is not None:
        write_result(output, json.dumps(tuning.front_values(found), indent=1), alone(front_picture(found)))
    if found.interrupted:
        note(
            f"codegen: interrupted; {len(found.trials)} networks are kept in the storage, run again to go on"
        )
    if as_json:
        print_json(tuning.front_values(found))
    else:
        _print_front(found)
    return INTERRUPTED if found.interrupted else 0


def _print_front(found: ParetoFront) -> None:
    print(f"{found.objective:<11} instructions  RAM      flash    network")
    for each in found.best:
        made = each.params
        quality = percent(each.quality, 1) if found.objective == "accuracy" else f"{each.quality:.2f}"
        print(
            f"{quality:<11} {count(round(each.cost.instructions)):<13} {count(each.cost.ram):<8} "
            f"{count(each.cost.flash):<8} --features {made.features} --radius {made.radius} "
            f"--tau-us {made.tau_us:g} --eta {made.eta:g} --polarity {made.polarity}"
        )
    print_facts({"trials": f"{len(found.trials)} networks, {found.failed} trials without a result"})
