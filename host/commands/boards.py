"""`codegen boards`: what boards there are, and what fits them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from host.commands.options import JsonOption
from host.console import count, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(boards)


def boards(
    fit: Annotated[
        Path | None,
        typer.Option(
            "--fit", metavar="MODEL", help="Say whether this model fits each board, and what would."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the boards: core, memory, and how far each is verified.

    With --fit: for each board the most features per bank that a network of MODEL's sensor, patch and
    polarity could have, frozen and learning, and whether MODEL itself fits.

    Example: codegen boards
    """
    from codegen.boards import load_boards

    if fit is not None:
        _fit(fit, as_json)
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


def _fit(path: Path, as_json: bool) -> None:
    from codegen.model_file import load_model
    from host.boards.fitting import fit_boards

    model = load_model(path)
    found = fit_boards(model.shape)
    if as_json:
        print_json({"model_id": model.model_id, "boards": [asdict(board) for board in found]})
        return
    rows: list[tuple[str, ...]] = [("name", "frozen", "at most", "learning", "at most")]
    for board in found:
        modes = (
            cell
            for mode in (board.frozen, board.learning)
            for cell in ("fits" if mode.fits else "no", count(mode.largest_neurons))
        )
        rows.append((board.name, *modes))
    print(f"{model.sensor}, {model.params.neurons} neurons a bank, {model.params.banks} bank(s):")
    print_table(rows)
