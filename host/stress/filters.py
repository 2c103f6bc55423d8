"""Steps of the stress stream about filters: ticks, stamps that run out, neighbours, hot pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from feast_codegen.codegen.model.filters import Filters
from feast_codegen.host.stress.steps import Named, Row, recording

_MOST_HOT: Final = 24
_STAMPS: Final = 2**16
"""An implementation may keep 16 bits of a cell's time: where these repeat, nothing else may."""


def filter_steps(filters: Filters) -> Iterator[Named]:
    """Named steps for these filters, in camera pixels."""
    yield from _hot_pixels(filters)
    if filters.keeps_times:
        yield from _neighbours(filters)
        yield from _periods(filters)
        yield from _reach(filters)


def _hot_pixels(filters: Filters) -> Iterator[Named]:
    """Hot pixels and those beside them; what is left out moves the time that others must not precede."""
    wide, high = filters.camera.width, filters.camera.height
    step = 1 + len(filters.hot_pixels) // _MOST_HOT
    for x, y in filters.hot_pixels[::step]:
        beside = [(x, y), (x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)]
        inside = [(i, j) for i, j in beside if 0 <= i < wide and 0 <= j < high]
        rows = [(9000 + 2 * at, i, j, 1) for at, (i, j) in enumerate(inside)]
        late = [(9500, x, y, 1), (9499, x, y, 0), (9499, *inside[-1], 1), (9500, *inside[-1], 0)]
        yield from recording("hot pixels", rows, rows[::-1], late)


def _cells(filters: Filters) -> list[tuple[int, int]]:
    """Cells in the corners, at edges and in the middle."""
    columns, rows = filters.cells.width, filters.cells.height
    return sorted({(x, y) for x in (0, columns // 2, columns - 1) for y in (0, rows // 2, rows - 1)})


def _pixel(filters: Filters, cell: tuple[int, int], last: bool = False) -> tuple[int, int]:
    """The first or the last pixel of a cell that the camera has."""
    size, shift = 1 << filters.cell_shift, filters.cell_shift
    x, y = cell[0] << shift, cell[1] << shift
    if last:
        return min(x + size, filters.camera.width) - 1, min(y + size, filters.camera.height) - 1
    return x, y


def _neighbours(filters: Filters) -> Iterator[Named]:
    """One event, and another in each cell around and two cells away."""
    columns, rows = filters.cells.width, filters.cells.height
    around = [(i, j) for j in range(-2, 3) for i in range(-2, 3)]
    for cell in _cells(filters):
        for i, j in around:
            other = cell[0] + i, cell[1] + j
            if 0 <= other[0] < columns and 0 <= other[1] < rows:
                first = [(4000, *_pixel(filters, cell, True), 1)]
                yield from recording("cells around", first, [(4001, *_pixel(filters, other), 0)])


def _periods(filters: Filters) -> Iterator[Named]:
    """Pairs in one cell and in two, as far apart as the periods and one tick beside."""
    tick = 1 << filters.tick_shift
    cell = filters.cells.width // 2, filters.cells.height // 2
    own = _pixel(filters, cell)
    beside = _pixel(filters, (max(cell[0] - 1, 0), cell[1]), True)
    for period in {filters.refractory_ticks, filters.background_ticks, filters.span_ticks} - {0}:
        for start in (20 * tick, 21 * tick - 1, _STAMPS * 3 * tick):
            for gap in (period - 1, period, period + 1):
                for late in {0, -1, 1 - tick}:
                    t = start + gap * tick + late
                    if t >= start:
                        yield from recording("periods", [(start, *own, 1), (t, *own, 1)], [(t, *beside, 1)])
                        yield from recording(
                            "periods", [(start, *beside, 1)], [(t, *own, 1), (t + 1, *own, 1)]
                        )


def _reach(filters: Filters) -> Iterator[Named]:
    """Rows first touched, or touched again, where stamps of 16 bits run out or repeat."""
    tick = 1 << filters.tick_shift
    reach = _STAMPS - 1 - filters.span_ticks
    cell = filters.cells.width // 2, filters.cells.height // 2
    own, beside = _pixel(filters, cell), _pixel(filters, (max(cell[0] - 1, 0), cell[1]))
    below = _pixel(filters, (cell[0], max(cell[1] - 1, 0)))
    spans = (filters.span_ticks, reach, _STAMPS - filters.span_ticks, _STAMPS // 2, _STAMPS - 1, _STAMPS)
    gaps = {each + off for each in (*spans, 3 * _STAMPS, 2**32, 2**40) for off in (-2, -1, 0, 1, 2)}
    for gap in sorted(gap for gap in gaps if gap > 0):
        t = gap * tick
        yield from recording("stamps from time 0", [(t, *own, 1)], _after(t, tick, own, beside, below))
        start = 200_000 * tick
        first = [(start, *own, 1), (start, *below, 0)]
        mid = [(start + reach * tick, *beside, 1)] if gap > reach else []
        t += start
        yield from recording("stamps later", first, [(t, *beside, 1)], _after(t, tick, own, beside, below))
        yield from recording("stamps later", first, mid, [(t, *own, 1)], _after(t, tick, beside, own, below))
    aged = [(0, *own, 1), (1, *beside, 1), (reach * tick, *own, 1)]
    for t in (reach * tick + tick, reach * tick + 3 * tick, (reach + filters.span_ticks) * tick):
        yield from recording("stamps aged", aged, [(t, *below, 1), (t, *own, 1)], [(t + tick, *beside, 1)])


def _after(t: int, tick: int, *pixels: tuple[int, int]) -> list[Row]:
    """Each of the pixels a little later, and the first one again."""
    return [(t + 1 + at * tick, *pixel, at) for at, pixel in enumerate((*pixels, pixels[0]))]
