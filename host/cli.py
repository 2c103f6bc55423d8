"""The command `codegen`: its sub-commands, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from codegen.errors import FeastError
from host.commands import (
    bench,
    boards,
    build,
    doctor,
    emit,
    filter,
    flash,
    monitor,
    report,
    run,
    state,
    stream,
    train,
    tune,
    verify,
    watch,
)
from host.console import note
from host.entry import INTERRUPTED

FAILED = 2
"""Exit code of usage and input errors. 1 is a check that found a difference."""

app = typer.Typer(
    name="codegen",
    help="From an event-camera recording to FEAST features on a microcontroller, proven bit-exact.",
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
    run,
    stream,
    state,
    monitor,
    report,
    boards,
    bench,
    flash,
    doctor,
    tune,
    watch,
):
    command.register(app)


@app.command()
def version() -> None:
    """Print the version.

    Example: codegen version
    """
    from importlib.metadata import version as installed

    print(installed("feast-codegen"))


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; every failure a user can cause is one line on stderr."""
    command = typer.main.get_command(app)
    try:
        outcome = command.main(arguments, prog_name="codegen", standalone_mode=False)
        sys.stdout.flush()
    except FeastError as error:
        return _fail(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        outcome = INTERRUPTED
    except Exception as error:
        message = _usage_message(error)
        if message is None:
            raise
        return _fail(message)
    code = outcome if isinstance(outcome, int) else 0
    if code == INTERRUPTED:
        note("codegen: interrupted")
    return code


def _fail(message: str) -> int:
    note("codegen: error: " + " ".join(message.split()))
    return FAILED


def _usage_message(error: Exception) -> str | None:
    """One line for a usage error of typer, whatever its version calls the class; None for anything else."""
    if not hasattr(error, "format_message") or not hasattr(error, "exit_code"):
        return None
    path = getattr(getattr(error, "ctx", None), "command_path", None) or "codegen"
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the whole help
        return f"a command is missing (see: {path} --help)"
    return f"{error.format_message()} (see: {path} --help)"


if __name__ == "__main__":
    sys.exit(execute())
