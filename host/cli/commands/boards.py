"""`codegen boards`: what boards there are, and what fits them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feast_codegen.host.cli.output import print_json, print_table
from feast_codegen.host.cli.shared_options import JsonOption
from feast_codegen.host.text import count

if TYPE_CHECKING:
    from feast_codegen.codegen.boards.board import Board
    from feast_codegen.codegen.model.model import Shape


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(boards)


def boards(
    model: Annotated[
        Path | None,
        typer.Option(
            "--for", metavar="MODEL", help="Say whether this model fits each board, and what would."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the boards: core, memory, and how far each is verified.

    With --for: for each board the most features per bank that a network of MODEL's sensor, patch and
    polarity could have, frozen and learning, and whether MODEL itself fits.

    Example: codegen boards
    """
    from feast_codegen.codegen.boards.board import load_boards

    if model is not None:
        _print_fit(model, as_json)
        return
    known = load_boards()
    if as_json:
        print_json({"boards": [asdict(board) for board in known.values()]})
        return
    rows: list[tuple[str, ...]] = [("name", "core", "clock", "flash", "RAM", "verified", "board")]
    for board in known.values():
        clock = f"{board.clock.hz / 1e6:g} MHz"
        sizes = (f"{region.bytes // 1024} KiB" for region in (board.flash, board.ram))
        rows.append((board.name, board.core, clock, *sizes, board.verified, board.title))
    print_table(rows)


def _print_fit(path: Path, as_json: bool) -> None:
    from feast_codegen.codegen.boards.board import load_boards
    from feast_codegen.codegen.model.file import load_model
    from feast_codegen.host.boards.capacity import fit_boards

    model = load_model(path)
    found = fit_boards(model.shape)
    if as_json:
        known = load_boards()
        fits = [_speeds(known[each.name], model.shape) | asdict(each) for each in found]
        print_json({"model_id": model.model_id, "boards": fits})
        return
    rows: list[tuple[str, ...]] = [("name", "frozen", "at most", "learning", "at most")]
    for board in found:
        modes = (
            cell
            for mode in (board.frozen, board.learning)
            for cell in ("fits" if mode.fits else "no", count(mode.most_features))
        )
        rows.append((board.name, *modes))
    print(f"{model.sensor}, {model.params.features} features a bank, {model.params.banks} bank(s):")
    print_table(rows)


def _speeds(board: Board, shape: Shape) -> dict[str, object]:
    """What a board may do with a network: bounds of its line and of its core, for frozen features."""
    from feast_codegen.codegen.emit.instruction_model import instructions_per_event
    from feast_codegen.host.bench.estimates import estimate
    from feast_codegen.host.boards.capacity import link_events_per_s

    layers = [shape] if shape.lower is None else [shape, shape.lower]
    instructions = sum(instructions_per_event(each.params, board.kernel) for each in layers)
    least, _ = estimate(board, instructions).events_per_s
    return {
        "name": board.name,
        "core": board.core,
        "verified": board.verified,
        "link_events_per_s": link_events_per_s(board),
        "core_events_per_s": round(least),
    }
