"""Where a command starts: streams and signals are put in order before the imports, which take a second."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line of this process and exit with its code: a signal that ends it is one line."""
    # The handler of the first moments is the least that can be: even `interrupts` takes imports.
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: _leave())
    open_streams()
    from feast_codegen.host.cli import interrupts

    interrupts.end_at_once()
    try:
        from feast_codegen.host.cli.app import execute

        interrupts.end_in_order()
        code = execute()
    except KeyboardInterrupt:
        code = interrupts.INTERRUPTED
        interrupts.say(signal.SIGINT)
    except interrupts.Terminated as end:
        code = end.exit_code
        interrupts.say(end.number)
    interrupts.end_at_once()  # what Python does at exit is no place for exceptions
    sys.exit(code)


def open_streams() -> None:
    """Standard streams that are closed become the null device; characters that one cannot show, escapes.

    A closed one would be None to Python, and the next file to be opened would take its number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        null = os.open(os.devnull, os.O_RDWR)  # the lowest free number: of a closed stream, its own
        setattr(sys, name, open(null, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 (for good)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _leave() -> None:
    try:
        os.write(2, b"codegen: interrupted\n")
    finally:
        os._exit(130)


if __name__ == "__main__":
    main()
