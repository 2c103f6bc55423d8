"""Who makes the emitted files, and on which terms they are given."""

from __future__ import annotations

from typing import Final

NAME: Final = "feast-codegen"
VERSION: Final = "0.2.0"
"""Of the package: pyproject.toml reads it from here."""
URL: Final = "https://pypi.org/project/feast-codegen"
EMITTED_LICENSE: Final = "0BSD"
"""Of the emitted C: any use, no conditions, no attribution."""
OLDEST_GCC: Final = 8
OLDEST_CLANG: Final = 14
"""Major versions of the compilers that the emitted C is tested with; it refuses older ones."""
