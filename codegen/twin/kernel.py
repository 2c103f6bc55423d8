"""What the integer twin does with each event: sections 3 to 7 of the numerics page, compiled by numba."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import BORDER, MISS, Results
from feast_codegen.codegen.base.jit import jit
from feast_codegen.codegen.fixed_point import formats

UNIT: Final = formats.UNIT
Ints = npt.NDArray[np.int64]

MISSES, AT_BORDER, WINDOW_EVENTS, WINDOW_MISSES, LAST_WINDOW, DITHER = range(6)
"""Positions in the counters of a layer; the state of the dither generator is the last of them."""


class Chunk(NamedTuple):
    """Accepted events in order, int64 (n,) each."""

    x: Ints
    y: Ints
    inputs: Ints
    """Polarities (0 or 1), or channels."""
    octaves: Ints
    mantissas: Ints
    """What the pixel is given."""


class Layer(NamedTuple):
    """The state of a layer: int64 arrays, changed in place."""

    stored: Ints
    """(surfaces, height, width): what each pixel was given at its last event, ..."""
    octaves: Ints
    """... and when."""
    weights: Ints
    """(features, D)"""
    thresholds: Ints
    """(features,)"""
    wins: Ints
    """(features,)"""
    counters: Ints


class Settings(NamedTuple):
    """What does not change from event to event; numbers in the formats of QuantModel."""

    learning: bool
    nearest: bool
    signed: bool
    skip: bool
    banks: int
    channels: int
    side: int
    eta: int
    twice_eta: int
    delta_i: int
    delta_e: int
    shift: int
    fraction: int
    """Bits of the stored weights."""


@jit()
def run(chunk: Chunk, layer: Layer, settings: Settings, results: Results) -> None:
    """Accepted events one by one; fills in `results`."""
    x, y, inputs, octaves = chunk.x, chunk.y, chunk.inputs, chunk.octaves
    stored, written = layer.stored, layer.octaves
    weights, thresholds, wins, counters = layer.weights, layer.thresholds, layer.wins, layer.counters
    side, channels = settings.side, settings.channels
    features_per_bank = len(wins) // settings.banks
    context = np.zeros(channels * side * side, np.int64)
    dots = np.zeros(features_per_bank, np.int64)
    for i in range(len(x)):
        bank = inputs[i] if settings.banks == 2 else 0
        sign = -1 if settings.signed and inputs[i] == 0 else 1
        surface = inputs[i] if channels > 1 else bank
        stored[surface, y[i], x[i]] = sign * chunk.mantissas[i]
        written[surface, y[i], x[i]] = octaves[i]
        low, high = bank * channels, (bank + 1) * channels
        whole = _context(stored[low:high], written[low:high], x[i], y[i], octaves[i], side, context)
        if settings.skip and not whole:
            counters[AT_BORDER] += 1
            results[i] = BORDER
            continue
        first = bank * features_per_bank
        for n in range(features_per_bank):
            dots[n] = _dot(weights[first + n], context)
        scale = _norm(context)
        bits = 30 - settings.fraction + scale[1]
        by_range = settings.learning or not settings.nearest
        winner = -1
        for n in range(features_per_bank):
            if by_range and dots[n] << bits < thresholds[first + n] * scale[0]:
                continue
            if winner < 0 or dots[n] > dots[winner]:
                winner = n
        if winner >= 0:
            wins[first + winner] += 1
            results[i] = first + winner
            if settings.learning:
                _learn(weights[first + winner], context, dots[winner], scale, counters, settings)
                raised = thresholds[first + winner] + settings.delta_i
                thresholds[first + winner] = min(raised, UNIT)
        else:
            counters[MISSES] += 1
            results[i] = MISS
            if settings.learning:
                for n in range(first, first + features_per_bank):
                    thresholds[n] = max(thresholds[n] - settings.delta_e, -UNIT)
        counters[WINDOW_EVENTS] += 1
        counters[WINDOW_MISSES] += winner < 0
        if counters[WINDOW_EVENTS] == formats.WINDOW_EVENTS:
            counters[LAST_WINDOW] = counters[WINDOW_MISSES]
            counters[WINDOW_EVENTS] = 0
            counters[WINDOW_MISSES] = 0


@jit()
def _context(stored: Ints, written: Ints, x: int, y: int, octave: int, side: int, context: Ints) -> bool:
    """Fill `context` with the values of the surfaces' patches; True if they lie inside the sensor."""
    channels, height, width = stored.shape
    radius = side // 2
    whole = True
    i = 0
    for row in range(y - radius, y + radius + 1):
        for channel in range(channels):
            for column in range(x - radius, x + radius + 1):
                value = 0
                if 0 <= row < height and 0 <= column < width:
                    age = octave - written[channel, row, column]
                    if age < formats.DEAD_OCTAVES:
                        magnitude = abs(stored[channel, row, column]) >> age
                        value = magnitude if stored[channel, row, column] > 0 else -magnitude
                else:
                    whole = False
                context[i] = value
                i += 1
    return whole


@jit()
def _dot(a: Ints, b: Ints) -> int:
    total = 0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@jit()
def _norm(context: Ints) -> tuple[int, int]:
    """(r, k) of section 5."""
    q = _dot(context, context)
    k = 0
    while q << (2 * k) < 2**30:
        k += 1
    scaled = q << (2 * k)
    r = int(math.sqrt(scaled))  # exact after the two corrections: scaled < 2^32
    while r * r > scaled:
        r -= 1
    while (r + 1) * (r + 1) <= scaled:
        r += 1
    return r, k


@jit()
def _mulh(a: int, b: int) -> int:
    """Upper half of the 64-bit product of two 32-bit integers."""
    return (a * b) >> 32


@jit()
def _draw(x: int) -> int:
    """The next number of the dither generator, below 2^32."""
    return (1664525 * x + 1013904223) & 0xFFFFFFFF


@jit()
def _growth(u: int) -> int:
    """1 / sqrt(1 - u) - 1 in Q28, of u in Q30."""
    inner = 9 * 2**25 + (u >> 1)
    inner = 3 * 2**27 + 4 * _mulh(inner, u)
    return _mulh(2**29 + 4 * _mulh(inner, u), u)


@jit()
def _learn(
    w: Ints, context: Ints, dot: int, scale: tuple[int, int], counters: Ints, settings: Settings
) -> None:
    """Section 6: move the winner `w` (in place) towards the context."""
    r, k = scale
    shift = settings.shift
    eta = settings.eta
    inv = (2**32 - 1) // r
    s = _mulh((dot >> 1) << k, inv << 14)
    w2 = _dot(w, w)
    u = 4 * (2**28 - (w2 >> 2) + _mulh(settings.twice_eta, (w2 >> 2) - s))
    g = _growth(u)
    p = _mulh(eta, g)
    x = _draw(counters[DITHER])
    decay = ((eta >> 4) - g + p + (x >> (4 + shift))) >> (28 - shift)
    x = _draw(x)
    gain = min(32767, (_mulh(eta + 16 * p, inv << 14) + (x >> (1 + shift + k))) >> (31 - shift - k))
    x = _draw(x)
    for i in range(len(w)):
        change = (gain * context[i] - decay * w[i] + (x >> (32 - shift))) >> shift
        w[i] = min(max(w[i] + change, -(2**15)), 2**15 - 1)
    counters[DITHER] = x
