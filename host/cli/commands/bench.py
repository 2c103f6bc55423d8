"""`codegen bench`: how fast things are."""

from __future__ import annotations

import typer

from feast_codegen.host.cli.commands import bench_device, bench_host

bench = typer.Typer(
    help="Count instructions on a device, or time this machine.\n\nExample: codegen bench host sim:digits",
    no_args_is_help=True,
    rich_markup_mode=None,
)
for command in (bench_device, bench_host):
    command.register(bench)


def register(app: typer.Typer) -> None:
    """Add the group of commands to `app`."""
    app.add_typer(bench, name="bench")
