"""`codegen bench host`: training and inference on this machine, beside the best public library."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from feast_codegen.codegen.base.limits import MOST_FEATURES_PER_BANK, MOST_RADIUS
from feast_codegen.host.cli.output import print_json, progress
from feast_codegen.host.cli.reading_options import remembered
from feast_codegen.host.cli.shared_options import JsonOption, SensorOption, parse_sensor
from feast_codegen.host.progress import note


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("host")(host)


def host(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Recordings to process, one after the other.")
    ] = "sim:digits?count=25",
    features: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_FEATURES_PER_BANK, help="Features of the network. [32, then 100]"),
    ] = None,
    radius: Annotated[int, typer.Option(min=1, max=MOST_RADIUS, help="Patch radius, pixels.")] = 5,
    events: Annotated[int, typer.Option(min=1, help="Length of the stream.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each; the best counts.")] = 3,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Also cost over N, D and stream length, and over cores.")
    ] = False,
    sensor: SensorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time training and inference, in one run on one thread.

    Needs the library to compare with: pip install 'feast-codegen[bench]'

    Example: codegen bench host sim:digits --features 32 --radius 5 --json
    """
    from feast_codegen.host.bench.host import (
        FEATURES_PER_BANK,
        OURS,
        RIVAL,
        HostBench,
        bench_host,
        costs,
        fit_costs,
        lengths,
        one_stream,
        recordings_per_core,
    )
    from feast_codegen.host.recordings.open import open_source

    recordings = remembered(open_source(source, parse_sensor(sensor)))
    with progress("bench: measurements") as report:
        sizes = FEATURES_PER_BANK if features is None else (features,)
        outcome = bench_host(recordings, events, rounds, report, features=sizes, radius=radius)
    if outcome.rival is None:
        note(f"codegen: {RIVAL} is not installed, no ratios; pip install 'feast-codegen[bench]'")
    facts: dict[str, object] = {
        "features": sizes[0],
        "radius": radius,
        "train_ratio": outcome.ratio(True, sizes[0]),
        "infer_ratio": outcome.ratio(False, sizes[0]),
        **outcome.ratios,
    }
    if scaling:
        stream = one_stream(recordings, events)
        found = costs(stream, recordings.sensor, rounds)
        cores = sorted({1, os.cpu_count() or 1})
        facts |= {
            "costs": [vars(cost) for cost in found],
            "fit": {
                name: dict(zip(("ns", "ns_per_component"), fit_costs(found, learning), strict=True))
                for name, learning in (("train", True), ("infer", False))
            },
            "lengths": [vars(length) for length in lengths(stream, recordings.sensor)],
            "recordings_events_per_s": recordings_per_core(recordings, tuple(cores)),
        }
    if as_json:
        extra = {
            "source": outcome.source,
            "events": outcome.events,
            "rival": outcome.rival,
            "speeds": [vars(speed) for speed in outcome.speeds],
        }
        print_json(facts | extra)
        return

    def table(bench: HostBench) -> None:
        columns = [(learning, number) for number in sizes for learning in (True, False)]
        names = list(dict.fromkeys(speed.implementation for speed in bench.speeds))
        rates = {
            (speed.implementation, speed.learning, speed.features): speed.events_per_s
            for speed in bench.speeds
        }
        heads = [f"{'train' if learning else 'infer'} N={features}" for learning, features in columns]
        print(f"{'events per second of CPU':<26}" + "".join(f"{head:>14}" for head in heads))
        for name in names:
            print(f"{name:<26}" + "".join(f"{rates[(name, *column)]:>14,.0f}" for column in columns))
        if bench.rival:
            ratios = [bench.ratio(*column) or 0.0 for column in columns]
            print(f"{OURS + ' / ' + RIVAL:<26}" + "".join(f"{ratio:>13.1f}x" for ratio in ratios))

    table(outcome)
    side, rival = 2 * radius + 1, outcome.rival or f"without {RIVAL}"
    print(f"{events:,} events of {outcome.source}, {side}x{side}, border skip, {rival}")
    if scaling:
        _print_scaling(facts)


def _print_scaling(facts: dict[str, object]) -> None:
    for cost in facts["costs"]:  # type: ignore[attr-defined]
        print(
            f"N={cost['features']:<4} {2 * cost['radius'] + 1}x{2 * cost['radius'] + 1:<3} "
            f"{'train' if cost['learning'] else 'infer'}: {cost['ns_per_event']:8.0f} ns per event"
        )
    for name, fit in facts["fit"].items():  # type: ignore[attr-defined]
        print(f"{name}: {fit['ns']:.0f} ns + {fit['ns_per_component']:.4f} ns * N * D")
    for length in facts["lengths"]:  # type: ignore[attr-defined]
        growth = length["peak_growth_bytes"]
        print(
            f"{length['events']:>12,} events: {length['ns_per_event']:6.0f} ns per event, "
            f"peak memory grew {'?' if growth is None else f'{growth:,}'} bytes"
        )
    for threads, rate in facts["recordings_events_per_s"].items():  # type: ignore[attr-defined]
        print(f"files to pooled features, {threads} workers: {rate:,.0f} events/s")
