"""`codegen doctor`: what is installed, what can be done with each board, what is missing."""

from __future__ import annotations

from dataclasses import asdict

import typer

from feast_codegen.host.cli.output import print_json, print_table
from feast_codegen.host.cli.shared_options import JsonOption


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(doctor)


def doctor(as_json: JsonOption = False) -> None:
    """Say what is installed and which boards can be built, run and flashed from here.

    What is missing is listed with the command that installs it. Nothing is changed.

    Example: codegen doctor
    """
    from feast_codegen.codegen.boards.board import load_boards
    from feast_codegen.host.boards.doctor import assess, examine

    tools = examine()
    versions = {tool.name: tool.version for tool in tools}
    boards = [assess(board, lambda name: versions[name] is not None) for board in load_boards().values()]
    missing = [tool for tool in tools if tool.version is None]
    if as_json:
        print_json({"tools": [asdict(tool) for tool in tools], "boards": [asdict(board) for board in boards]})
        return
    print_table(
        [
            ("tool", "version", "for"),
            *((tool.name, tool.version or "missing", tool.purpose) for tool in tools),
        ]
    )
    print()
    print_table(
        [
            ("board", "build", "run", "flash"),
            *(
                (
                    board.name,
                    "yes" if board.build else "no",
                    "emulated" if board.run else "-",
                    ", ".join(board.flash) or "-",
                )
                for board in boards
            ),
        ]
    )
    if missing:
        print()
        for tool in missing:
            print(f"{tool.name} is missing: {tool.install}")
