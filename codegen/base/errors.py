"""The one exception type that reaches the user as a single line."""

from __future__ import annotations


class FeastError(Exception):
    """Something the user can put right: bad input, a missing tool, a model that does not fit.

    ``str(error)`` is one line that says where, what was got and what is allowed. The command
    prints it to stderr and exits with 2; no traceback is shown. Characters that are not printable, as a
    hostile file may hold in its names, stand in it as their escapes.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))
