"""The command `codegen`: its sub-commands, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.extras import missing_extra
from feast_codegen.host.cli.commands import (
    bench,
    boards,
    build,
    demo,
    doctor,
    drift,
    emit,
    emulate,
    filter,
    flash,
    monitor,
    report,
    size,
    state,
    stream,
    train,
    tune,
    verify,
)
from feast_codegen.host.cli.interrupts import INTERRUPTED, Terminated
from feast_codegen.host.cli.reading_options import say_left_out
from feast_codegen.host.progress import note

FAILED = 2
"""Exit code of usage and input errors. 1 is a check that found a difference."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from feast_codegen.codegen.base.tool import VERSION

        print(VERSION)
        raise typer.Exit


app = typer.Typer(
    name="codegen",
    epilog="Start with: codegen train sim:digits -o model.npz",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (
    train,
    emit,
    verify,
    filter,
    build,
    emulate,
    stream,
    state,
    monitor,
    report,
    boards,
    bench,
    flash,
    doctor,
    tune,
    size,
    drift,
    demo,
):
    command.register(app)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """From an event-camera recording to FEAST features on a microcontroller, proven bit-exact."""


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; every failure a user can cause is one line on stderr."""
    command = typer.main.get_command(app)
    try:
        outcome = command.main(arguments, prog_name="codegen", standalone_mode=False)
        sys.stdout.flush()
    except FeastError as error:
        return _fail(str(error))
    except BrokenPipeError:
        _drop_output()
        return 1
    except OSError as error:
        _drop_output()
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        outcome = INTERRUPTED
    except ImportError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        return _fail(f"this command {missing}")
    except Terminated as end:
        note("codegen: terminated")
        return end.exit_code
    except Exception as error:
        message = _usage_message(error)
        if message is None:
            raise
        return _fail(message)
    finally:
        say_left_out()
    code = outcome if isinstance(outcome, int) else 0
    if code == INTERRUPTED:
        note("codegen: interrupted")
    return code


def _drop_output() -> None:
    """What stdout still holds goes nowhere if it cannot be written: Python would complain at its exit."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str) -> int:
    note("codegen: error: " + " ".join(message.split()))
    return FAILED


def _usage_message(error: Exception) -> str | None:
    """One line for a usage error of typer, under any class name of its versions; None for anything else."""
    if not hasattr(error, "format_message") or not hasattr(error, "exit_code"):
        return None
    path = getattr(getattr(error, "ctx", None), "command_path", None) or "codegen"
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the whole help
        return f"a command is missing (see: {path} --help)"
    return f"{error.format_message()} (see: {path} --help)"
