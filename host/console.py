"""What a person or a program sees: progress on a terminal's stderr, results on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item", covariant=True)


class Sized(Protocol[Item]):
    """Something to iterate over whose length is known."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item]: ...


Progress = Callable[[int, int], None]
"""Long work calls ``progress(done, total)`` now and then; units are the worker's own (events, recordings)."""


def silent(done: int, total: int) -> None:
    """A Progress that shows nothing."""


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


def tracked(items: Sized[Item], report: Progress) -> Iterator[Item]:
    """Yield `items`, reporting how many are done."""
    for index, item in enumerate(items):
        report(index, len(items))
        yield item
    report(len(items), len(items))


def note(text: str) -> None:
    """Print one line to stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(values: Mapping[str, Any]) -> None:
    """Print exactly one JSON object to stdout; NaN and infinities become null."""
    print(json.dumps(_finite(values), allow_nan=False))


def print_facts(facts: Mapping[str, object]) -> None:
    """Print ``name  value`` lines to stdout, names padded to one width."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of cells to stdout, columns padded to one width; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0.0:
        return None
    return value


def count(number: int) -> str:
    """A whole number for people.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{number:,}"


def percent(share: float | None, digits: int = 2) -> str:
    """A share of one for people; a dash for None.

    >>> percent(0.0204)
    '2.04 %'
    """
    return "-" if share is None else f"{100 * share:.{digits}f} %"
