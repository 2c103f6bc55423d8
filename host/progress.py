"""How long work reports what is done, and notes on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from feast_codegen.host.text import printable

Item = TypeVar("Item", covariant=True)


class Sized(Protocol[Item]):
    """Something to iterate over whose length is known."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item]: ...


Progress = Callable[[int, int], None]
"""Long work calls ``progress(done, total)`` now and then; units are the worker's own (events, recordings)."""


def silent(done: int, total: int) -> None:
    """A Progress that shows nothing."""


def tracked(items: Sized[Item], report: Progress) -> Iterator[Item]:
    """Yield `items`, reporting how many are done."""
    for index, item in enumerate(items):
        report(index, len(items))
        yield item
    report(len(items), len(items))


def note(text: str) -> None:
    """Print one line to stderr, made printable; nobody may be there to read it."""
    with contextlib.suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)
