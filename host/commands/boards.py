"""`codegen boards`: what boards there are."""

from __future__ import annotations

from dataclasses import asdict

import typer

from host.commands.options import JsonOption
from host.console import print_json


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(boards)


def boards(as_json: JsonOption = False) -> None:
    """List the boards: core, memory, and how far each is verified.

    Example: codegen boards
    """
    from codegen.boards import load_boards

    known = load_boards()
    if as_json:
        print_json({"boards": [asdict(board) for board in known.values()]})
        return
    rows: list[tuple[str, ...]] = [("name", "core", "clock", "flash", "RAM", "verified", "board")]
    for board in known.values():
        clock = f"{board.clock.hz / 1e6:g} MHz"
        sizes = (f"{region.bytes // 1024} KiB" for region in (board.flash, board.ram))
        rows.append((board.name, board.core, clock, *sizes, board.verified, board.title))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
