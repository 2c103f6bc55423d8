"""`codegen tune`: networks that are good and cheap on a board, or the size a network needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from codegen.errors import FeastError
from codegen.model import Polarity
from host.commands.filter_options import (
    BackgroundOption,
    CellsOption,
    DownsampleOption,
    HotPixelsOption,
    RefractoryOption,
    parse_filters,
)
from host.commands.options import (
    JsonOption,
    SensorOption,
    SkipOption,
    SourceArgument,
    check_output,
    parse_sensor,
)
from host.console import count, note, percent, print_facts, print_json, progress

if TYPE_CHECKING:
    from host.sizing import SizeCurve
    from host.tune import Front

ObjectiveName = Literal["accuracy", "separation", "richness"]
INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(tune)


def tune(
    source: SourceArgument,
    size: Annotated[
        bool, typer.Option("--size", help="Only recommend N: grow it until features encode noise.")
    ] = False,
    board: Annotated[
        str, typer.Option("--board", metavar="NAME", help="Board whose memory and instructions count.")
    ] = "mps2_an386",
    trials: Annotated[int, typer.Option(min=1, metavar="N", help="Trials of the study in all.")] = 50,
    objective: Annotated[
        ObjectiveName,
        typer.Option(help="Accuracy of a readout; or scores of few recordings, the last without labels."),
    ] = "accuracy",
    storage: Annotated[
        str,
        typer.Option(
            metavar="FILE|URL", help="Where the study is kept: a journal file, or a database's URL."
        ),
    ] = "tune.journal",
    noise_hz: Annotated[
        float, typer.Option(metavar="HZ", help="With --size: noise events mixed in, per pixel and second.")
    ] = 2.0,
    radius: Annotated[int, typer.Option(help="With --size: radius of the contexts, pixels.")] = 5,
    tau_us: Annotated[
        float, typer.Option(help="With --size: decay of the time surface, microseconds.")
    ] = 20_000.0,
    polarity: Annotated[Polarity, typer.Option(help="With --size: one surface, two, or signs.")] = "merged",
    seed: Annotated[int, typer.Option(min=0, help="Of the search and of the first weights.")] = 0,
    jobs: Annotated[
        int, typer.Option(metavar="N", help="Workers that extract features; -1: one a core.")
    ] = 1,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="JSON to write; a picture .svg goes beside it."),
    ] = None,
    hot_pixels: HotPixelsOption = None,
    refractory_us: RefractoryOption = 0,
    background_us: BackgroundOption = 0,
    filter_cells: CellsOption = 0,
    downsample: DownsampleOption = 0,
    sensor: SensorOption = None,
    skip_bad_events: SkipOption = False,
    as_json: JsonOption = False,
) -> int:
    """Search for networks that are good and cheap on a board.

    A trial trains one network. The study is kept in the storage: the same command goes on where it
    was interrupted, and several processes or machines may share one storage.

    Example: codegen tune sim:digits --board mps2_an386 --trials 40 -o tuned.json
    """
    from dataclasses import asdict

    from codegen.boards import get_board
    from codegen.model import Hyperparameters
    from host import tune as tuning
    from host.datasets import open_source
    from host.drawing.curves import alone, front_picture, size_picture
    from host.sizing import size_curve

    if output is not None:
        check_output(output)
    settings = (refractory_us, background_us, filter_cells, downsample)
    if size and (hot_pixels is not None or any(settings)):
        raise FeastError("--size takes no filters: it counts the features that encode noise")
    recordings = open_source(source, parse_sensor(sensor), skip_bad_events)
    if size:
        with progress("tune: networks") as report:
            params = Hyperparameters(radius=radius, tau_us=tau_us, polarity=polarity)
            curve = size_curve(recordings, params, noise_hz=noise_hz, seed=seed, progress=report)
        if output is not None:
            _write(output, json.dumps(asdict(curve), indent=1), alone(size_picture(curve)))
        if as_json:
            print_json(asdict(curve))
        else:
            _print_sizes(curve)
        return 0

    filters = parse_filters(recordings, hot_pixels, *settings)
    with progress("tune: trials") as report:
        search = tuning.Search(recordings, get_board(board), objective, filters)
        found = tuning.tune(search, storage=storage, trials=trials, seed=seed, jobs=jobs, progress=report)
    if output is not None:
        _write(output, json.dumps(tuning.front_values(found), indent=1), alone(front_picture(found)))
    if found.interrupted:
        note(f"codegen: interrupted; {len(found.tried)} networks are kept in the storage, run again to go on")
    if as_json:
        print_json(tuning.front_values(found))
    else:
        _print_front(found)
    return INTERRUPTED if found.interrupted else 0


def _print_sizes(curve: SizeCurve) -> None:
    print("N     features  noise features  noise they take  richness  miss rate")
    for point in curve.points:
        print(
            f"{point.neurons:<5} {point.features:<9} {point.noise_features:<15} "
            f"{percent(point.noise_wins, 0):<16} {point.richness:<9.1f} {percent(point.miss_rate)}"
        )
    print_facts({"recommended": f"N = {curve.recommended}: {curve.reason}"})


def _print_front(found: Front) -> None:
    print(f"{found.objective:<11} instructions  RAM      flash    network")
    for each in found.best:
        made = each.params
        quality = percent(each.quality, 1) if found.objective == "accuracy" else f"{each.quality:.2f}"
        print(
            f"{quality:<11} {count(round(each.cost.instructions)):<13} {count(each.cost.ram):<8} "
            f"{count(each.cost.flash):<8} --neurons {made.neurons} --radius {made.radius} "
            f"--tau-us {made.tau_us:g} --eta {made.eta:g} --polarity {made.polarity}"
        )
    print_facts({"tried": f"{len(found.tried)} networks, {found.failed} trials without a result"})


def _write(path: Path, text: str, picture: str) -> None:
    for name, content in ((path, text), (path.with_suffix(".svg"), picture)):
        partial = name.with_name(name.name + ".partial")
        partial.write_text(content, encoding="utf-8")
        partial.replace(name)
