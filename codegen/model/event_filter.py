"""Filters at work, by their definition in the numerics page section 14: for the twin and for the host.

It is written from the document, not from the emitted C: it keeps the full time of each cell's last event
and compares ticks of 64 bits, where the C keeps 16 bits a cell.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import BACKWARDS, FILTERED, OUTSIDE, RESULT_DTYPE, Events, Results
from feast_codegen.codegen.base.jit import jit
from feast_codegen.codegen.model.filters import Filters

PASSED: Final = 0
"""What `EventFilter.classify` says of an event that reaches the network."""
_SEEN, _LAST = range(2)
_WIDTH, _HEIGHT, _CELL, _TICK, _REFRACTORY, _BACKGROUND = range(6)
_LIMITED, _BACKLOG, _AGE = range(3)
_INTERVAL, _BUCKET, _BLOCK = range(3)


class EventFilter:
    """The filters' state within one recording.

    ``classify`` consumes events in any chunking with the same results; ``reset`` starts a new recording and
    keeps the counters. ``counts``: events so far by what became of them, by result code.
    """

    def __init__(self, filters: Filters) -> None:
        camera, cells = filters.camera, filters.cells
        self.filters = filters
        self.counts: dict[int, int] = {FILTERED: 0, OUTSIDE: 0, BACKWARDS: 0}
        self._hot = np.zeros((camera.height, camera.width), np.bool_)
        for x, y in filters.hot_pixels:
            self._hot[y, x] = True
        size = (cells.height, cells.width) if filters.keeps_times else (0, 0)
        self._fired = np.zeros(size, np.bool_)
        self._fired_us = np.zeros(size, np.uint64)
        self._clock = np.zeros(2, np.uint64)
        self._limiter = np.zeros(3, np.uint64)
        blocks = (filters.blocks.height, filters.blocks.width) if filters.max_rate else (0, 0)
        self._spent = np.zeros(blocks, np.uint64)
        self._limit = np.zeros(3, np.uint64)
        if filters.max_rate:
            self._limit[:] = filters.interval_q8, filters.bucket_q8, filters.block_shift
        self._settings = np.array(
            [
                *(camera.width, camera.height, filters.cell_shift, filters.tick_shift),
                *(filters.refractory_ticks, filters.background_ticks),
            ],
            np.uint64,
        )

    def reset(self) -> None:
        """Start a new recording: no cell has fired, any time may come first."""
        self._fired.fill(False)
        self._clock.fill(0)
        self._limiter[_BACKLOG:] = 0
        self._spent.fill(0)

    def classify(self, events: Events) -> Results:
        """int16 (n,): PASSED for events that reach the network, else FILTERED, OUTSIDE or BACKWARDS."""
        codes = np.empty(len(events), RESULT_DTYPE)
        t_us, x, y = (np.ascontiguousarray(events[name]) for name in ("t_us", "x", "y"))
        times = (self._fired, self._fired_us, self._clock, self._settings)
        _classify(t_us, x, y, codes, self._hot, *times, self._limiter, self._spent, self._limit)
        for code in self.counts:
            self.counts[code] += int(np.count_nonzero(codes == code))
        return codes

    def values(self) -> dict[str, npt.ArrayLike]:
        """The filters' sections of the state (the numerics page section 8)."""
        shift = np.uint64(self.filters.tick_shift)
        age = (self._clock[_LAST] >> shift) - (self._fired_us >> shift)
        span = np.uint64(self.filters.span_ticks)
        return {
            "filtered": self.counts[FILTERED],
            "seen": self._clock[_SEEN],
            "seen_us": self._clock[_LAST],
            "limited": self._limiter[_LIMITED],
            "backlog": self._limiter[_BACKLOG],
            "age": self._limiter[_AGE],
            "spent": self._spent,
            "ticks_left": np.where(self._fired & (age < span), span - age, np.uint64(0)),
        }


@jit()
def _classify(
    t_us: npt.NDArray[np.uint64],
    x: npt.NDArray[np.uint16],
    y: npt.NDArray[np.uint16],
    codes: Results,
    hot: npt.NDArray[np.bool_],
    fired: npt.NDArray[np.bool_],
    fired_us: npt.NDArray[np.uint64],
    clock: npt.NDArray[np.uint64],
    settings: npt.NDArray[np.uint64],
    limiter: npt.NDArray[np.uint64],
    spent: npt.NDArray[np.uint64],
    limit: npt.NDArray[np.uint64],
) -> None:
    width, height = settings[_WIDTH], settings[_HEIGHT]
    cell, shift = int(settings[_CELL]), settings[_TICK]
    refractory, background = settings[_REFRACTORY], settings[_BACKGROUND]
    keeps = refractory > 0 or background > 0
    for i in range(len(t_us)):
        if x[i] >= width or y[i] >= height:
            codes[i] = OUTSIDE
            continue
        if clock[_SEEN] > 0 and t_us[i] < clock[_LAST]:
            codes[i] = BACKWARDS
            continue
        if limit[_INTERVAL] > 0:
            elapsed_us = t_us[i] - clock[_LAST] if clock[_SEEN] > 0 else np.uint64(0)
            _earn(elapsed_us, limiter, spent, limit)
        clock[_SEEN] = 1
        clock[_LAST] = t_us[i]
        codes[i] = FILTERED
        if hot[y[i], x[i]]:
            continue
        if keeps:
            column, row = int(x[i]) >> cell, int(y[i]) >> cell
            now = t_us[i] >> shift
            if fired[row, column] and now - (fired_us[row, column] >> shift) < refractory:
                continue
            fired[row, column] = True
            fired_us[row, column] = t_us[i]
            if background > 0 and not _supported(fired, fired_us, column, row, now, shift, background):
                continue
        if limit[_INTERVAL] > 0 and not _spend(int(x[i]), int(y[i]), limiter, spent, limit):
            continue
        codes[i] = PASSED


@jit()
def _earn(
    elapsed_us: np.uint64,
    limiter: npt.NDArray[np.uint64],
    spent: npt.NDArray[np.uint64],
    limit: npt.NDArray[np.uint64],
) -> None:
    """Time that has gone by fills the bucket, and ends the period in which blocks have spent."""
    bucket = limit[_BUCKET]
    elapsed = elapsed_us * np.uint64(256) if elapsed_us < bucket else np.uint64(2) * bucket
    limiter[_BACKLOG] -= min(limiter[_BACKLOG], elapsed)
    limiter[_AGE] = min(limiter[_AGE] + elapsed, np.uint64(2) * bucket)
    if limiter[_AGE] >= bucket:
        whole = limiter[_AGE] >= np.uint64(2) * bucket
        for row in range(spent.shape[0]):
            for column in range(spent.shape[1]):
                spent[row, column] = np.uint64(0) if whole else spent[row, column] // np.uint64(2)
        limiter[_AGE] = 0


@jit()
def _spend(
    x: int,
    y: int,
    limiter: npt.NDArray[np.uint64],
    spent: npt.NDArray[np.uint64],
    limit: npt.NDArray[np.uint64],
) -> bool:
    """Whether an event may pass, which then takes its share."""
    row, column = y >> int(limit[_BLOCK]), x >> int(limit[_BLOCK])
    interval = limit[_INTERVAL]
    if limiter[_BACKLOG] + interval + spent[row, column] * interval // np.uint64(4) > limit[_BUCKET]:
        limiter[_LIMITED] += np.uint64(1)
        return False
    limiter[_BACKLOG] += interval
    spent[row, column] += np.uint64(1)
    return True


@jit()
def _supported(
    fired: npt.NDArray[np.bool_],
    fired_us: npt.NDArray[np.uint64],
    column: int,
    row: int,
    now: np.uint64,
    shift: np.uint64,
    background: np.uint64,
) -> bool:
    """Whether one of the cells around, within the camera, fired less than `background` ticks ago."""
    for r in range(max(row - 1, 0), min(row + 2, fired.shape[0])):
        for c in range(max(column - 1, 0), min(column + 2, fired.shape[1])):
            if (r != row or c != column) and fired[r, c] and now - (fired_us[r, c] >> shift) < background:
                return True
    return False
