"""What filters do to recordings: how many events each stage leaves, and how fast."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from feast_codegen.codegen.base.events import EVENT_DTYPE
from feast_codegen.codegen.model.event_filter import PASSED, EventFilter
from feast_codegen.codegen.model.filters import Filters, make_filters
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.source import Source


@dataclass(frozen=True)
class StageCount:
    """One filter, behind those before it."""

    name: str
    """``hot pixels``, ``refractory``, ``background`` or ``limiter``."""
    passed: int
    """Events left behind it."""


@dataclass(frozen=True)
class FilterReport:
    """Filters over a source."""

    events: int
    duration_us: int
    """Of all recordings, each from its first event to its last."""
    stages: tuple[StageCount, ...]
    events_per_s: float
    """All filters together, on this machine."""

    @property
    def passed(self) -> int:
        """Events that reach the network."""
        return self.stages[-1].passed if self.stages else self.events


def partial_filters(filters: Filters) -> list[tuple[str, Filters]]:
    """The filters one after another: the first alone, the first two, ... in their order.

    Downsampling leaves nothing out and is no part of it.
    """
    given: dict[str, dict[str, Any]] = {
        "hot pixels": {"hot_pixels": filters.hot_pixels},
        "refractory": {"refractory_us": filters.refractory_us},
        "background": {"background_us": filters.background_us},
        "limiter": {"max_rate": filters.max_rate, "burst": filters.burst},
    }
    chain = []
    settings: dict[str, Any] = {}
    for name, setting in given.items():
        if not any(setting.values()):
            continue
        settings |= setting
        timed = any(settings.get(each) for each in ("refractory_us", "background_us"))
        made = make_filters(filters.camera, **settings, cell_shift=filters.cell_shift if timed else 0)
        assert made is not None
        chain.append((name, made))
    return chain


def measure_filters(filters: Filters, source: Source, progress: Progress = silent) -> FilterReport:
    """Run `filters` over every recording of `source`. Raises FeastError for bad recordings."""
    whole = EventFilter(replace(filters, downsample_shift=0))
    chain = [(name, EventFilter(each)) for name, each in partial_filters(filters)]
    whole.classify(np.zeros(0, EVENT_DTYPE))  # its loop is compiled or loaded now, unseen by the clock
    passed = dict.fromkeys((name for name, _ in chain), 0)
    events = duration_us = 0
    seconds = 0.0
    for index in range(len(source)):
        for stage in (whole, *(each for _, each in chain)):
            stage.reset()
        first = None
        for piece in source.load_chunks(index):
            if not piece.events.size:
                continue
            first = int(piece.events["t_us"][0]) if first is None else first
            last = int(piece.events["t_us"][-1])
            events += piece.events.size
            start = time.perf_counter()
            whole.classify(piece.events)
            seconds += time.perf_counter() - start
            for name, stage in chain:
                passed[name] += int(np.count_nonzero(stage.classify(piece.events) == PASSED))
        duration_us += last - first if first is not None else 0
        progress(index + 1, len(source))
    stages = tuple(StageCount(name, count) for name, count in passed.items())
    return FilterReport(events, duration_us, stages, events / max(seconds, 1e-9))
