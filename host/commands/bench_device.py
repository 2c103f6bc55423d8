"""`codegen bench device`: what the generated code costs on a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from host.commands.options import BoardOption, JsonOption, SensorOption, parse_sensor
from host.console import note, print_json, progress

if TYPE_CHECKING:
    from host.bench.device import CostFit, Row
    from host.bench.estimates import Estimate


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("device")(device)


def device(
    board: BoardOption,
    source: Annotated[
        str, typer.Option("--source", metavar="SOURCE", help="Recordings to train on and to run.")
    ] = "sim:digits?count=40",
    neurons: Annotated[str, typer.Option("--neurons", metavar="N,N,...", help="Network sizes.")] = "16",
    radius: Annotated[str, typer.Option("--radius", metavar="R,R,...", help="Patch radii.")] = "5",
    recordings: Annotated[
        int, typer.Option("--recordings", metavar="N", min=1, help="Recordings to run of each.")
    ] = 2,
    sensor: SensorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count instructions per event on an emulated board, beside two baselines.

    The baselines are first versions as a competent engineer writes them (time stamps, decay table, context
    buffer, plain dot products; in int16_t, and in float where the core has an FPU), built with the same
    flags and run by the same firmware. Instructions are counted exactly by an emulator, of the board itself
    or of one with its core; they are not cycles. What follows from them in events per second and
    microjoules is an estimate.

    Example: codegen bench device --board mps2_an386 --neurons 8,16,32,64 --radius 2,3,5
    """
    from codegen.boards import get_board, load_boards
    from host.bench.device import bench_device, cases, counter_for, fit_cost
    from host.bench.estimates import estimate
    from host.datasets import open_source
    from host.training import training_part

    target = get_board(board)
    opened = open_source(source, parse_sensor(sensor))
    held = opened.splits.get("test", opened)
    picked = min(recordings, len(held))
    run = held.pick([i * len(held) // picked for i in range(picked)])
    wanted = cases(target, _sizes(neurons), _sizes(radius))
    counter = counter_for(target).name
    note(f"{board}: {len(wanted)} cases over {len(run)} recordings of {opened.spec}, counted on {counter}")
    with progress("bench: cases") as report:
        rows = bench_device(target, training_part(opened), run, wanted, report)
    fit = fit_cost(rows)
    same_core = [other for other in load_boards().values() if other.core == target.core]
    estimates = [estimate(other, rows[0].instructions_per_event) for other in same_core]
    if as_json:
        print_json(_facts(board, counter, rows, fit, estimates))
    else:
        print("\n".join([*_table(rows, fit), "", *_estimate_lines(estimates)]))


def _sizes(text: str) -> list[int]:
    from codegen.errors import FeastError

    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise FeastError(f"sizes {text!r}: expected numbers with commas between, e.g. 8,16")
    return sizes


def _facts(
    board: str, counter: str, rows: Sequence[Row], fit: CostFit | None, estimates: Sequence[Estimate]
) -> dict[str, object]:
    """The headline is the first frozen row of the product; all rows follow."""
    first = rows[0]
    size = (first.case.neurons, first.case.radius)
    same = [row for row in rows if (row.case.neurons, row.case.radius) == size]
    frozen = {row.case.variant: row.instructions_per_event for row in same if not row.case.learning}
    learning = [row.instructions_per_event for row in same if row.case.learning]
    return {
        "board": board,
        "counted_on": counter,
        "emulated": True,
        "neurons": first.case.neurons,
        "radius": first.case.radius,
        "instructions_per_event": first.instructions_per_event,
        "worst_event": first.worst_event,
        "floor": first.floor,
        "learning": learning[0] if learning else None,
        "baseline_int16": frozen.get("int16"),
        "baseline_float": frozen.get("float"),
        "fit": asdict(fit) if fit else None,
        "rows": [asdict(row) for row in rows],
        "estimates": [asdict(each) for each in estimates],
    }


def _table(rows: Sequence[Row], fit: CostFit | None) -> list[str]:
    lines = [
        f"{'variant':9} {'N':>3} {'patch':>6} {'mode':9} {'instr/event':>11} {'worst':>6} {'per MAC':>8} "
        f"{'x floor':>8} {'flash':>7} {'RAM':>6}"
    ]
    for row in rows:
        side = 2 * row.case.radius + 1
        lines.append(
            f"{row.case.variant:9} {row.case.neurons:3} {f'{side}x{side}':>6} "
            f"{'learning' if row.case.learning else 'frozen':9} {row.instructions_per_event:11.1f} "
            f"{row.worst_event:6} {row.per_mac:8.3f} {row.instructions_per_event / row.floor:8.2f} "
            f"{row.flash_bytes:7} {row.ram_bytes:6}"
        )
    if fit:
        lines.append(f"product, frozen: {fit.a:.0f} + {fit.b:.3f} * N * D instructions per event")
    return lines


def _estimate_lines(estimates: Sequence[Estimate]) -> list[str]:
    """Boards of the same core, for the first row."""
    lines = ["Estimates for the first row, from zero-wait memory, by bounds on cycles per instruction:"]
    for each in estimates:
        low, high = each.events_per_s
        energy = ""
        if each.microjoule_per_event:
            least, most = each.microjoule_per_event
            energy = f", {least:.2g} to {most:.2g} uJ an event"
        lines.append(f"  {each.board:18} {low:9,.0f} to {high:9,.0f} events/s{energy}")
    return lines
