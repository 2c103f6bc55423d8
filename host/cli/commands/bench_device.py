"""`codegen bench device`: what the generated code costs on a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from feast_codegen.host.cli.output import print_json, progress
from feast_codegen.host.cli.reading_options import remembered
from feast_codegen.host.cli.shared_options import BoardOption, JsonOption, SensorOption, parse_sensor
from feast_codegen.host.progress import note

if TYPE_CHECKING:
    from feast_codegen.host.bench.device import CostFit, Row
    from feast_codegen.host.bench.estimates import Estimate


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("device")(device)


def device(
    board: BoardOption,
    source: Annotated[
        str, typer.Option("--source", metavar="SOURCE", help="Recordings to train on and to run.")
    ] = "sim:digits?count=40",
    features: Annotated[str, typer.Option("--features", metavar="N,N,...", help="Network sizes.")] = "16",
    radius: Annotated[str, typer.Option("--radius", metavar="R,R,...", help="Patch radii.")] = "5",
    max_recordings: Annotated[
        int, typer.Option("--max-recordings", metavar="N", min=1, help="Recordings to run for each network.")
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

    Example: codegen bench device --board mps2_an386 --features 8,16,32,64 --radius 2,3,5
    """
    from feast_codegen.codegen.boards.board import get_board, load_boards
    from feast_codegen.host.bench.device import bench_device, cases, counter_for, fit_cost
    from feast_codegen.host.bench.estimates import estimate
    from feast_codegen.host.network.training import training_part
    from feast_codegen.host.recordings.open import open_source

    target = get_board(board)
    opened = remembered(open_source(source, parse_sensor(sensor)))
    held = opened.splits.get("test", opened)
    picked = min(max_recordings, len(held))
    run = held.pick([i * len(held) // picked for i in range(picked)])
    wanted = cases(target, _sizes(features), _sizes(radius))
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
    from feast_codegen.codegen.base.errors import FeastError

    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise FeastError(f"sizes {text!r}: expected numbers with commas between, e.g. 8,16")
    return sizes


def _facts(
    board: str, counter: str, cases: Sequence[Row], fit: CostFit | None, estimates: Sequence[Estimate]
) -> dict[str, object]:
    """A row for each size of the product, the first one also on top; all that was counted is in the cases."""
    sizes = dict.fromkeys((each.case.features, each.case.radius) for each in cases)
    rows = [row for size in sizes if (row := _row(*size, cases))]
    return {
        "board": board,
        "counted_on": counter,
        "emulated": True,
        **(rows[0] if rows else {}),
        "fit": asdict(fit) if fit else None,
        "rows": rows,
        "cases": [_flat(each) for each in cases],
        "estimates": [asdict(each) for each in estimates],
    }


def _row(features: int, radius: int, cases: Sequence[Row]) -> dict[str, object] | None:
    """Instructions per event of a size, frozen, learning and of the baselines; None if it does not fit."""
    same = [each for each in cases if (each.case.features, each.case.radius) == (features, radius)]
    counts = {(each.case.variant, each.case.learning): each.instructions_per_event for each in same}
    frozen = [each for each in same if (each.case.variant, each.case.learning) == ("product", False)]
    if not frozen:
        return None
    return {
        "features": features,
        "radius": radius,
        "instructions_per_event": frozen[0].instructions_per_event,
        "worst_event": frozen[0].worst_event,
        "floor": frozen[0].floor,
        "learning": counts.get(("product", True)),
        "baseline_int16": counts.get(("int16", False)),
        "baseline_float": counts.get(("float", False)),
    }


def _flat(row: Row) -> dict[str, object]:
    values = asdict(row)
    case = values.pop("case")
    return {"variant": case["variant"], "features": case["features"], "radius": case["radius"]} | {
        "mode": "learning" if case["learning"] else "frozen",
        **values,
    }


def _table(rows: Sequence[Row], fit: CostFit | None) -> list[str]:
    lines = [
        f"{'variant':9} {'N':>3} {'patch':>6} {'mode':9} {'instr/event':>11} {'worst':>6} {'per MAC':>8} "
        f"{'x floor':>8} {'flash':>7} {'RAM':>6}"
    ]
    for row in rows:
        side = 2 * row.case.radius + 1
        lines.append(
            f"{row.case.variant:9} {row.case.features:3} {f'{side}x{side}':>6} "
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
