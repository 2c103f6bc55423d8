"""The console script, apart from the command line so that Ctrl-C during its imports is one line as well."""

from __future__ import annotations

import sys
from typing import Final, NoReturn

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it."""


def main() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    try:
        from host.cli import execute
    except KeyboardInterrupt:
        print("codegen: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    sys.exit(execute())


if __name__ == "__main__":
    main()
