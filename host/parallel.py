"""One function over many recordings, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar, cast

from joblib import Parallel, delayed

from host.datasets import Source
from host.events import EventStream

Result = TypeVar("Result")


def map_recordings(
    function: Callable[[EventStream], Result], source: Source, jobs: int = -1
) -> Iterator[Result]:
    """Yield ``function(recording)`` for each recording of `source`, in order; `jobs` -1: one on each core.

    Threads do the work: compiled loops run beside each other, so `function` must not step a network
    that others share. Recordings are read when their turn comes. Errors are raised here.
    """
    run = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")
    calls = (delayed(lambda at: function(source.load(at)))(index) for index in range(len(source)))
    yield from cast("Iterator[Result]", run(calls))
