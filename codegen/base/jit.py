"""The one way loops are compiled: numba, cached on disk, typed for mypy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])

REORDER: Final = frozenset({"reassoc", "contract", "nsz"})
"""Fast-math flags that let sums be vectorised and fused, and assume nothing about infinities or NaN."""


def jit(fastmath: frozenset[str] = frozenset()) -> Callable[[Loop], Loop]:
    """Compile a function to machine code on its first call; the result is cached beside the source."""
    return cast("Callable[[Loop], Loop]", numba.njit(cache=True, nogil=True, fastmath=set(fastmath)))
