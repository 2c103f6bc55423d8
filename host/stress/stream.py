"""The stress stream of `codegen verify`: calls that reach what recordings do not, made for a network.

A script is deterministic and independent of twin and C: both carry it out (host/stress/check.py). Times come
from the lengths of the octaves and of the filters' ticks, places from the geometry, states from the limits of
an import.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Final

import numpy as np

from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import QuantModel, effective_filters
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.stress.filters import filter_steps
from feast_codegen.host.stress.learning import learning_steps
from feast_codegen.host.stress.steps import (
    POLARITIES,
    SEED,
    Look,
    Named,
    Place,
    Reset,
    Script,
    instant,
    recording,
)

LAST_US: Final = 2**64 - 1
_MOST_TRIED: Final = 64
"""Values tried for a cell where some are to sum up to a number."""
_GRID: Final = 8
"""Recordings of one event each, across and down."""
_CROWD_WORK: Final = 1_000_000_000
"""Products that crowds of events may take."""
_PLACES: Final = 24
"""Most places along an edge, or pixels around an event, that are tried."""


def stress_script(quant: QuantModel, options: Options) -> Script:
    """The script for a network as emitted with `options`; steps that learn are there if these say so."""
    place = Place.of(quant, options)
    steps: list[Named] = [("the initial state", Look())]
    steps += [*_first_events(place), *_dense(place), *_edges(place), *_sweeps(place)]
    for length in place.octaves:
        steps += [*_boundaries(place, length), *_ages(place, length), *_epochs(place, length)]
    steps += [*_fractions(place, quant), *_full_patches(place), *_norms(place, quant), *_silences(place)]
    filters = effective_filters(quant.lower or quant, options)
    if filters is not None:
        steps += filter_steps(filters)
    if options.learning:
        steps += learning_steps(quant, options, place)
    return Script((*steps, *_crowds(place, quant), *_short(place), *_dense(place)))


def _first_events(place: Place) -> Iterator[Named]:
    x, y = place.middle
    wide, high = place.camera.width, place.camera.height
    off = [(5, wide, y, 0), (9, x, high, 1), (3, 65535, y, 1), (4, x, 65535, 0), (2**63, wide, high, 2)]
    t = 5_000_003
    later = [
        (t, x, y, 1),
        (t - 1, x, y, 1),
        (t, x, y, 0),
        (0, x, y, 1),
        (t + 1, wide, y, 1),
        (t - 9, wide, y, 0),
    ]
    yield from recording("off the sensor before the first event", off, later[:1], later[1:])
    yield from recording(
        "the first event at time 0", [(0, x, y, 0)], [(0, x, y, 1), (0, 0, 0, 2), (1, x, y, 0)]
    )
    yield from recording(
        "times equal and backwards", later[:4], [(t, 0, 0, 1), (t - 1, 0, 0, 0), (t + 1, x, y, 3)]
    )
    yield "reset twice", Reset()
    yield "reset twice", Reset()
    for polarity in (0, 1, 2, 3, 127, 128, 254, 255):
        near = [(i, j) for i, j in place.around(5)]
        rows = [(1000 + 10 * at, i, j, polarity) for at, (i, j) in enumerate([*near, place.middle])]
        yield from recording(f"polarity {polarity}", rows, [(1200, x, y, 0), (1210, x, y, 1)])


def _dense(place: Place) -> Iterator[Named]:
    for seed, share in enumerate((40, 4, 400)):
        rows = place.random(place.dense, seed, place.octave_us / share)
        half = len(rows) // 2
        yield from recording("dense events", rows[:half], rows[half:])
    yield from recording("one pixel an octave", place.random(place.dense // 4, 3, place.octave_us * 2))
    hostile = place.random(300, 4, place.octave_us / 20)
    rng = np.random.default_rng(SEED)
    for at in np.flatnonzero(rng.random(len(hostile)) < 0.2).tolist():
        t, x, y, _ = hostile[at]
        back = int(rng.integers(0, 2 * t))
        hostile[at] = [
            (back, x, y, 1),
            (t, int(rng.integers(0, 65536)), y, 0),
            (t, x, place.camera.height, 9),
        ][at % 3]
    yield from recording("bad events among good ones", hostile[:150], hostile[150:])


def _edges(place: Place) -> Iterator[Named]:
    """Along all edges and one beyond, wider than a patch at the corners, inwards and outwards."""
    depth = place.scale * (place.radius + 2)

    def some(size: int) -> set[int]:
        ends = {*range(min(depth, size)), *range(max(0, size - depth), size + 1)}
        most = {2, min(depth, size) - 1, size - 1, size}  # rows and columns that are followed along
        return {each for each in ends if place.radius < 8 or each in most or each < 3}

    across = {*some(place.camera.width), *np.linspace(0, place.camera.width, _PLACES, dtype=int).tolist()}
    down = {*some(place.camera.height), *np.linspace(0, place.camera.height, _PLACES, dtype=int).tolist()}
    spots = [
        (x, y)
        for y in sorted(down)
        for x in sorted(across)
        if x in some(place.camera.width) or y in some(place.camera.height)
    ]
    spots = spots[:: 1 + len(spots) // (2 * place.dense)]
    gap = max(1, int(place.octave_us / 64))
    for order in (spots, spots[::-1]):
        rows = [(7000 + gap * at, x, y, POLARITIES[at % 8]) for at, (x, y) in enumerate(order)]
        yield from recording("edges of the sensor", rows[: len(rows) // 2], rows[len(rows) // 2 :])


def _sweeps(place: Place) -> Iterator[Named]:
    """Every column and every row once: the cells of class scores, the bits that downsampling drops."""
    x, y = place.middle
    columns = [(at, y) for at in range(place.camera.width)]
    rows = [(x, at) for at in range(place.camera.height)]
    for line in (columns, rows):
        line = line[:: 1 + len(line) // place.dense]
        part = [(50 * at, i, j, POLARITIES[at % 8]) for at, (i, j) in enumerate(line)]
        yield from recording("every column and row", part[: len(part) // 2], part[len(part) // 2 :])


def _whole(length: int) -> int:
    """The fewest microseconds that are whole octaves."""
    return length // math.gcd(length, 2**formats.TIME_BITS)


def _boundaries(place: Place, length: int) -> Iterator[Named]:
    """On the end of an octave and a microsecond beside it, by short gaps and by long ones."""
    whole = _whole(length)
    long = -(-(2**23) // whole) * whole
    octave = length >> formats.TIME_BITS
    gaps = [0, whole - 1, 1, 1, whole - 1, whole, octave, 1, octave, 1, long, long - 1, 1, 2**23 - 1]
    gaps += [2**23, 2**24 - 1, 2**23 + 1, 2**24, 2**24 - 1, 8_000_000, 2 * octave + 1, 3]
    near = [place.middle, *place.around(4)]
    t, rows = 123, []
    for at, gap in enumerate(gaps):
        t += gap
        rows.append((t, *near[at % len(near)], at))
    yield from recording("boundaries of octaves", *([row] for row in rows))


def _ages(place: Place, length: int) -> Iterator[Named]:
    """A patch, and an event beside it some octaves later; rows elsewhere are left as they are."""
    octave = length / 2**formats.TIME_BITS
    patch = [*place.around(_PLACES), place.middle]
    far = [(0, 0), (place.camera.width - 1, place.camera.height - 1), (place.middle[0], 0)]
    x, y = place.middle
    dead = formats.DEAD_OCTAVES
    for age in (*range(1, dead + 3), 30, 31, 32, 33, 63, 64, 65, 255, 256, 257, 65535, 65536):
        first = [(1000 + at % 3, i, j, at) for at, (i, j) in enumerate([*far, *patch])]
        then = 1000 + math.ceil(age * octave)
        yield from recording(
            f"{age} octaves later", first, [(then, x, y, 1)], [(then + 1, *far[0], 0), (then + 2, x, y, 0)]
        )


def _epochs(place: Place, length: int) -> Iterator[Named]:
    """Around octave 2^32 and exactly as many octaves later, when the low 32 bits are the same again."""
    octave = length / 2**formats.TIME_BITS
    epoch = (2**32 * length) >> formats.TIME_BITS
    first = place.random(20, 20, octave / 20, 0)
    start = first[0][0]
    first = [(t - start, x, y, p) for t, x, y, p in first]
    x, y = place.middle
    for epochs, octaves in ((1, -2), (1, 1), (2, -2), (3, -1)):
        alive = place.random(40, 21, octave / 8, epochs * epoch + int(octaves * octave))
        beyond = place.random(60, 22, octave / 8, max(alive[-1][0], epochs * epoch - int(octave)))
        yield from recording(f"around {epochs} times 2^32 octaves", first, alive, beyond)
    for octaves in (1, 2, 3):
        later = [(t + octaves * epoch + 1, i, j, p) for t, i, j, p in first[::3]]
        yield from recording("2^32 octaves later", first, later[:1], later[1:], [(later[-1][0] + 1, x, y, 1)])
    high = 3 * epoch + int(2.5 * octave)
    yield from recording(
        "beyond 2^32 octaves", first[:1], [(high, x, y, 1)], place.random(60, 23, octave / 9, high)
    )


def _fractions(place: Place, quant: QuantModel) -> Iterator[Named]:
    """The first microsecond of each fraction of an octave and the last one of that before."""
    at_us = {0}
    for j in range(formats.MANTISSAS):
        first = -(-(j * quant.octave_q8) // (formats.MANTISSAS << formats.TIME_BITS))
        at_us |= {first, max(0, first - 1), first + 1}
    near = [place.middle, *place.around(3)]
    times = sorted(at_us)
    times = times[:: 1 + len(times) // place.dense]
    rows = [(77 + t, *near[at % len(near)], 1) for at, t in enumerate(times)]
    yield from recording("fractions of an octave", *(rows[at : at + 64] for at in range(0, len(rows), 64)))


def _full_patches(place: Place) -> Iterator[Named]:
    """All cells of a patch at once, at the least and at the greatest mantissa: the largest sums."""
    octave = place.octaves[0]
    last = (octave - 1) >> formats.TIME_BITS
    patch = place.around(min(place.dense, (2 * place.radius + 1) ** 2))
    for start in (0, last):
        for signs in ((1, 1), (0, 0), (0, 1)):
            rows = [(start + 50, x, y, signs[at % 2]) for at, (x, y) in enumerate(patch)]
            own = [(start + 50, *place.middle, polarity) for polarity in (1, 0, 1)]
            yield from recording("a full patch", [(50, 0, 0, 1), *rows], own)


def _norms(place: Place, quant: QuantModel) -> Iterator[Named]:
    """Contexts whose squares sum up to a power of 4: the norm's shift is at its bound."""
    near = place.around(4)
    mantissas = quant.mantissas.tolist()
    for fraction, own in enumerate(mantissas):
        if math.log2(own).is_integer() and (t := instant(quant, 40, fraction)) is not None:
            yield from recording("squares at a power of 4", [(0, *place.middle, 1)], [(t, *place.middle, 1)])
            break
    last = 40
    cells: dict[int, int] = {}
    """When a cell is written that has this value in octave `last`."""
    for age in range(1, formats.DEAD_OCTAVES):
        for fraction, mantissa in enumerate(mantissas):
            t = instant(quant, last - age, fraction)
            if t is not None and mantissa >> age:
                cells.setdefault(mantissa >> age, t)
    for fraction, own in reversed(list(enumerate(mantissas))):  # the largest leaves the least to find
        t = instant(quant, last, fraction)
        found = None if t is None else _four_values(4**quant.surface_bits - own**2, cells)
        if t is not None and found and len(near) == len(found):
            others = sorted((cells[value], *pixel, 1) for value, pixel in zip(found, near, strict=True))
            rows = [(0, *place.middle, 1), *others]
            yield from recording("squares at a power of 4", rows, [(t, *place.middle, 1)])
            return


def _four_values(total: int, cells: Collection[int]) -> tuple[int, int, int, int] | None:
    """Values of cells whose squares sum up to `total`. Three and an own one never make a power of 4."""
    values = sorted((value for value in cells if value**2 < total), reverse=True)[:_MOST_TRIED]
    for d in (value for value in (1, 2, 3, 5) if value in cells):
        for a in values:
            for b in values:
                left = total - d * d - a * a - b * b
                if left > 0 and (c := math.isqrt(left)) in cells and c * c == left:
                    return a, b, c, d
    return None


def _silences(place: Place) -> Iterator[Named]:
    """Gaps of every length, then the last microseconds of time."""
    near = [place.middle, *place.around(4)]
    for power in (*range(17, 26), 31, 32, 33, 40, 48, 54, 55, 56, 57, 60, 63):
        rows = [(1000 + 7 * at, i, j, at) for at, (i, j) in enumerate(near)]
        t = rows[-1][0]
        for beside in (-1, 0, 1):
            later = [(t + 2**power + beside, *place.middle, 1), (t + 2**power + beside + 1, *near[-1], 0)]
            yield from recording(f"a silence of 2^{power} us", rows, later)
    x, y = place.middle
    end = [(LAST_US - 9, x, y, 1), (LAST_US - 9, x, y, 0), (LAST_US, x, y, 1), (LAST_US, x, y, 0)]
    yield from recording(
        "the end of time", place.random(9, 30, 30.0), end, [(0, x, y, 1), (LAST_US - 1, x, y, 1)]
    )
    yield from recording("only the end of time", end, place.random(20, 31, 0.4, LAST_US - 40))


def _short(place: Place) -> Iterator[Named]:
    """Recordings of a few events each, reset in the middle of things; class scores lead in turn."""
    wide, high = place.camera.width, place.camera.height
    for seed in range(24):
        yield from recording("short recordings", place.random(1 + seed, 40 + seed, place.octave_us / 30))
    for j in range(_GRID):
        for i in range(_GRID):
            x, y = (size * (2 * at + 1) // (2 * _GRID) for size, at in ((wide, i), (high, j)))
            yield from recording("one event", [(5, x, y, (i + j) % 2)])


def _crowds(place: Place, quant: QuantModel) -> Iterator[Named]:
    """More events of a kind than a counter of 16 bits holds, where that many take no time."""
    x, y = place.middle
    many = 2**16 + 9
    start = [(10**6, x, y, 1)]
    yield from recording("many bad events", start, [(10**6, 65535, y, 1)] * many, [(9, x, y, 1)] * many)
    spots = [(x, y), (0, 0), *(place.filters.hot_pixels[:1] if place.filters else ())]
    if many * quant.weights.size <= _CROWD_WORK:
        for spot in spots:
            yield from recording("many events of one pixel", [(10**6, *spot, 1)] * many)
    if quant.readout is not None and 4 * many * quant.weights.size <= _CROWD_WORK:
        yield from recording("large scores", [(10**6, x, y, 1)] * (4 * many))
