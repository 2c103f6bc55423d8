"""`codegen bench host`: training and inference on this machine, beside the best public library."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from host.commands.options import JsonOption, SensorOption, parse_sensor
from host.console import note, print_json, progress


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("host")(host)


def host(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Recordings to step, laid end to end.")
    ] = "sim:digits?count=25",
    events: Annotated[int, typer.Option(min=1, help="Length of the stream.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each; the best counts.")] = 3,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Also cost over N, D and stream length, and over cores.")
    ] = False,
    sensor: SensorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time training and inference with 32 and 100 features of 11x11 pixels, in one run on one thread.

    The library compared with comes with: pip install 'feast-codegen[bench]'

    Example: codegen bench host sim:digits --json
    """
    from host.bench.host import (
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
    from host.datasets import open_source

    recordings = open_source(source, parse_sensor(sensor))
    with progress("bench: measurements") as report:
        outcome = bench_host(recordings, events, rounds, report)
    if outcome.rival is None:
        note(f"codegen: {RIVAL} is not installed, no ratios; pip install 'feast-codegen[bench]'")
    facts: dict[str, object] = dict(outcome.ratios)
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
        columns = [(True, 32), (False, 32), (True, 100), (False, 100)]
        names = list(dict.fromkeys(speed.implementation for speed in bench.speeds))
        rates = {
            (speed.implementation, speed.learning, speed.neurons): speed.events_per_s
            for speed in bench.speeds
        }
        heads = [f"{'train' if learning else 'infer'} N={neurons}" for learning, neurons in columns]
        print(f"{'events per second of CPU':<26}" + "".join(f"{head:>14}" for head in heads))
        for name in names:
            print(f"{name:<26}" + "".join(f"{rates[(name, *column)]:>14,.0f}" for column in columns))
        if bench.rival:
            ratios = [bench.ratio(*column) or 0.0 for column in columns]
            print(f"{OURS + ' / ' + RIVAL:<26}" + "".join(f"{ratio:>13.1f}x" for ratio in ratios))

    table(outcome)
    print(f"{events:,} events of {outcome.source}, 11x11, border skip, {outcome.rival or 'without ' + RIVAL}")
    if scaling:
        _print_scaling(facts)


def _print_scaling(facts: dict[str, object]) -> None:
    for cost in facts["costs"]:  # type: ignore[attr-defined]
        print(
            f"N={cost['neurons']:<4} {2 * cost['radius'] + 1}x{2 * cost['radius'] + 1:<3} "
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
