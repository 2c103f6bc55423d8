"""What a command prints: results on stdout, a progress bar on the stderr of a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from feast_codegen.codegen.base.temporary import replacing
from feast_codegen.host.cli.reading_options import has_opened, left_out_values
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.text import printable


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show a bar named `title` on stderr while the block runs; nothing unless stderr is a terminal."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def write_result(path: Path, text: str, picture: str) -> None:
    """Write `text` to `path` and an SVG picture beside it, each whole or not at all."""
    for name, content in ((path, text), (path.with_suffix(".svg"), picture)):
        with replacing(name) as partial:
            partial.write_text(content, encoding="utf-8", errors="backslashreplace")


def print_json(values: Mapping[str, Any]) -> None:
    """Print exactly one JSON object to stdout; NaN and infinities become null.

    A command that has opened recordings says in `left_out` what of them was not read.
    """
    opened = {"left_out": left_out_values()} if has_opened() else {}
    print(json.dumps(_finite({**values, **opened}), allow_nan=False))


def print_facts(facts: Mapping[str, object]) -> None:
    """Print ``name  value`` lines to stdout, names padded to one width."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        print(printable(f"{name:<{width}}  {value}"))


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of cells to stdout, columns padded to one width; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        print(printable(line))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0.0:
        return None
    return value
