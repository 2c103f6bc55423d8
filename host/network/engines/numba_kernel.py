"""The compiled loop of the float model: the rule of FEAST, one event after another.

The cosine between a context and a feature does not change when the whole surface is scaled. So a
pixel stores, at its event, ``g(t) = exp((t - t_ref) / tau)`` once and nothing is aged per event: the
context *is* the stored patch. When ``g`` grows large the surfaces are scaled down by a power of two,
which is exact. A pixel that never fired is exactly 0, and so becomes one that is 60 octaves of decay
(41 tau) old by then, far below the rounding of the sums it would enter.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import BACKWARDS, BORDER, MISS, OUTSIDE, Results
from feast_codegen.codegen.base.jit import REORDER, jit

FloatArray = npt.NDArray[np.floating[Any]]
Float64Array = npt.NDArray[np.float64]

RESCALE_OCTAVES: Final = 40.0
"""Octaves of decay after which the surfaces are scaled down; float32 holds 2**(2*40) * D with ease."""
OLDEST: Final = 2.0**-60
"""A stored value below this after scaling is cleared."""
CLEAR_OCTAVES: Final = 110.0
"""A silence this long clears every pixel: RESCALE_OCTAVES more than OLDEST leaves."""
FAINTEST: Final = 2.0**-60
"""A weight below this is cleared: denormal numbers cost hundreds of cycles each and decide nothing."""

HITS, MISSES, BORDERS, OUTSIDES, BACKWARDSES = range(5)
"""Indices of `State.counters`."""


class Rule(NamedTuple):
    """Parameters of the loop, in plain numbers."""

    width: int
    height: int
    radius: int
    channels: int
    """Surfaces that a context spans: 1, or the features of the layer below."""
    features_per_bank: int
    octaves_per_us: float
    eta: float
    delta_i: float
    delta_e: float
    separate: bool
    signed: bool
    skip_border: bool
    learning: bool
    nearest: bool
    """Thresholds ignored; never together with `learning`."""


class State(NamedTuple):
    """What changes from event to event; arrays of one element stand for scalars."""

    surfaces: FloatArray
    """(banks * channels, height + 2*radius, width + 2*radius); the frame around the sensor stays 0."""
    weights: FloatArray
    """(features, D padded); rows of unit L2 norm, 0 beyond D."""
    thresholds: Float64Array
    """(features,); cosine, -1 to 1."""
    patch: FloatArray
    """(D padded,); context of the last compared event, unit L2 norm, 0 beyond D."""
    times_us: npt.NDArray[np.uint64]
    """(2,); t_ref and the time of the last accepted event."""
    phase: Float64Array
    """(1,); log2 of g(t_ref), from 0 to 1; negative before the first event of a recording."""
    counters: npt.NDArray[np.int64]
    """(5,); hits, misses, border, outside, backwards since the object was made."""


@jit()
def _advance(rule: Rule, state: State, now_us: np.uint64) -> float:
    """Accept the time of an event and return g(now), scaling the surfaces down first if it is large."""
    if state.phase[0] < 0.0:
        state.times_us[0] = now_us
        state.phase[0] = 0.0
    state.times_us[1] = now_us
    octaves: float = state.phase[0] + np.float64(now_us - state.times_us[0]) * rule.octaves_per_us
    if octaves >= RESCALE_OCTAVES:
        whole = min(np.floor(octaves), CLEAR_OCTAVES)
        scale = 2.0**-whole if whole < CLEAR_OCTAVES else 0.0
        values = state.surfaces.reshape(-1)
        for i in range(values.size):
            scaled = values[i] * scale
            values[i] = scaled if abs(scaled) >= OLDEST else 0.0
        octaves = octaves - whole if whole < CLEAR_OCTAVES else 0.0
        state.times_us[0] = now_us
        state.phase[0] = octaves
    return math.exp(octaves * math.log(2.0))


@jit(REORDER)
def _dot(weights: FloatArray, n: int, patch: FloatArray) -> np.floating[Any]:
    """Inner product of row n and the patch. Takes the row by index: a view costs a reference count."""
    total = patch.dtype.type(0)
    for d in range(patch.size):
        total += weights[n, d] * patch[d]
    return total


@jit(REORDER)
def _load_context(rule: Rule, state: State, bank: int, x: np.int64, y: np.int64) -> np.floating[Any]:
    """Fill `state.patch` with the context around (x, y), scaled to unit norm; returns its old norm."""
    patch = state.patch
    side = 2 * rule.radius + 1
    for row in range(side):
        for channel in range(rule.channels):
            first = (row * rule.channels + channel) * side
            for column in range(side):
                patch[first + column] = state.surfaces[bank + channel, y + row, x + column]
    energy = patch.dtype.type(0)
    for d in range(patch.size):
        energy += patch[d] * patch[d]
    norm: np.floating[Any] = np.sqrt(energy)
    inverse = patch.dtype.type(1) / norm
    for d in range(patch.size):
        patch[d] *= inverse
    return norm


@jit()
def _two_best(rule: Rule, state: State, first: int) -> tuple[float, float]:
    """The two largest cosines of a bank with the current patch, regardless of the thresholds."""
    best, second = -np.inf, -np.inf
    for n in range(first, first + rule.features_per_bank):
        score = np.float64(_dot(state.weights, n, state.patch))
        if score > best:
            best, second = score, best
        elif score > second:
            second = score
    return best, second


@jit(REORDER)
def _learn_hit(rule: Rule, state: State, winner: int) -> None:
    weights, patch = state.weights, state.patch
    eta = patch.dtype.type(rule.eta)
    energy = patch.dtype.type(0)
    for d in range(patch.size):
        weight = weights[winner, d] + eta * (patch[d] - weights[winner, d])
        weights[winner, d] = weight
        energy += weight * weight
    inverse = patch.dtype.type(1) / np.sqrt(energy)
    faintest = patch.dtype.type(FAINTEST)
    for d in range(patch.size):
        weight = weights[winner, d] * inverse
        weights[winner, d] = weight if abs(weight) >= faintest else patch.dtype.type(0)
    state.thresholds[winner] = min(1.0, state.thresholds[winner] + rule.delta_i)


@jit()
def step_events(
    rule: Rule,
    state: State,
    t_us: npt.NDArray[np.uint64],
    x: npt.NDArray[np.uint16],
    y: npt.NDArray[np.uint16],
    inputs: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
    results: Results,
    details: Float64Array,
) -> None:
    """Step events in order; writes one result each, and with `details` (n, 3) the scores too.

    `inputs` are polarities, or in a second layer channels below `rule.channels`.
    `details` columns: best and second-best cosine of the bank, and the norm of the context where
    the event's own pixel is 1. Rows of events that were not compared are left alone. A (0, 3) array
    switches this off.
    """
    weights, patch, thresholds = state.weights, state.patch, state.thresholds
    for i in range(t_us.size):
        column, line = np.int64(x[i]), np.int64(y[i])
        if column >= rule.width or line >= rule.height:
            results[i] = OUTSIDE
            state.counters[OUTSIDES] += 1
            continue
        if state.phase[0] >= 0.0 and t_us[i] < state.times_us[1]:
            results[i] = BACKWARDS
            state.counters[BACKWARDSES] += 1
            continue

        level = _advance(rule, state, t_us[i])
        bank = 1 if rule.separate and inputs[i] != 0 else 0
        surface = np.int64(inputs[i]) if rule.channels > 1 else bank
        value = -level if rule.signed and inputs[i] == 0 else level
        state.surfaces[surface, line + rule.radius, column + rule.radius] = value
        if rule.skip_border and (
            min(column, line) < rule.radius
            or column >= rule.width - rule.radius
            or line >= rule.height - rule.radius
        ):
            results[i] = BORDER
            state.counters[BORDERS] += 1
            continue

        norm = _load_context(rule, state, bank, column, line)
        first = bank * rule.features_per_bank
        winner, best = MISS, -np.inf
        for n in range(first, first + rule.features_per_bank):
            score = np.float64(_dot(weights, n, patch))
            if score > best and (rule.nearest or score >= thresholds[n]):
                winner, best = n, score
        results[i] = winner
        if details.size > 0:
            details[i, 0], details[i, 1] = _two_best(rule, state, first)
            details[i, 2] = norm / level

        if winner >= 0:
            state.counters[HITS] += 1
            if rule.learning:
                _learn_hit(rule, state, winner)
        else:
            state.counters[MISSES] += 1
            if rule.learning:
                for n in range(first, first + rule.features_per_bank):
                    thresholds[n] = max(-1.0, thresholds[n] - rule.delta_e)
