"""The one exception type that reaches the user as a single line."""

from __future__ import annotations


class FeastError(Exception):
    """Something the user can put right: bad input, a missing tool, a model that does not fit.

    ``str(error)`` is one line that says where, what was got and what is allowed. The command
    prints it to stderr and exits with 2; no traceback is shown.
    """
