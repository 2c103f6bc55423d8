"""The integer twin: docs/numerics.md carried out in Python integers, compiled by numba.

It is written from the document, not from the emitted C: it keeps what each pixel was given and
when, and computes every surface value from its definition, where the C shifts rows in place.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from codegen import qformat
from codegen.event_filter import PASSED, EventFilter
from codegen.jit import jit
from codegen.options import Options
from codegen.quantise import (
    INITIAL_DITHER,
    QuantModel,
    learned_words,
    stored_weights,
    used_filters,
    used_readout,
)
from codegen.records import BACKWARDS, BORDER, MISS, OUTSIDE, RESULT_DTYPE, Events, Results, feature_events

UNIT: Final = qformat.UNIT
Ints = npt.NDArray[np.int64]

# Positions in the counter array; `_LEARNING` to `_FRACTION` in the settings array.
_MISSES, _BORDER, _WINDOW_EVENTS, _WINDOW_MISSES, _LAST_WINDOW, _DITHER = range(6)
_LEARNING, _NEAREST, _SIGNED, _SKIP, _BANKS, _CHANNELS, _SIDE = range(7)
_ETA, _ETA2, _DELTA_I, _DELTA_E, _SHIFT, _FRACTION = range(7, 13)


class Twin:
    """The state of one integer network, of one layer or two.

    ``step`` consumes events in any chunking with the same results; ``reset`` starts a new
    recording and keeps what was learned and counted. Of two layers, ``weights``, ``thresholds`` and
    ``wins`` are the upper one's; ``lower`` is the network below. ``scores``: int64 (classes,), empty
    without a readout.
    """

    def __init__(self, quant: QuantModel, options: Options) -> None:
        """Raises FeastError if `options` ask for learning with parameters fixed point cannot express."""
        params = quant.params
        stored = stored_weights(quant, options)
        self.lower = Twin(quant.lower, options.below) if quant.lower else None
        self.quant = quant
        self.options = options
        self.weights = stored.values.astype(np.int64)
        self.thresholds = quant.thresholds.astype(np.int64)
        self.wins = np.zeros(params.features, np.int64)
        self.readout = used_readout(quant, options)
        self.scores = np.zeros(len(self.readout.labels) if self.readout else 0, np.int64)
        self._counters = np.zeros(6, np.int64)
        self._counters[_DITHER] = INITIAL_DITHER
        self._outside = 0
        self._backwards = 0
        self._settings = np.array(
            [
                options.learning,
                options.select == "nearest",
                params.polarity == "signed",
                params.border == "skip",
                params.banks,
                params.channels,
                params.side,
                quant.eta_q32,
                quant.twice_eta_q32,
                quant.delta_i_q30,
                quant.delta_e_q30,
                quant.learning_shift,
                stored.fraction,
            ],
            np.int64,
        )
        shape = (params.surfaces, quant.sensor.height, quant.sensor.width)
        self._stored = np.zeros(shape, np.int64)
        self._octaves = np.zeros(shape, np.int64)
        filters = used_filters(quant, options)
        self._filter = EventFilter(filters) if filters else None
        self.reset()

    def reset(self) -> None:
        """Start a new recording: surfaces, time and scores are cleared."""
        if self.lower is not None:
            self.lower.reset()
        self._stored.fill(0)
        self._octaves.fill(0)
        self._t_first: int | None = None
        self._t_last = 0
        self.scores.fill(0)
        self._scored = False
        if self._filter:
            self._filter.reset()

    def set_learning(self, learning: bool) -> None:
        """Switch learning on or off; raises FeastError as the constructor does."""
        if learning:
            stored_weights(self.quant, replace(self.options, learning=True))
        self._settings[_LEARNING] = learning

    def step(self, events: Events) -> Results:
        """Process events (``EVENT_DTYPE``) in order; int16 results of the same length."""
        if self.lower is None:
            results = self.step_layer(events)
        else:
            results = self.lower.step(events)
            results[results >= 0] = self.step_layer(feature_events(self.placed(events), results))
        if self.readout is not None:
            self._score(results, self.placed(events))
        return results

    def placed(self, events: Events) -> Events:
        """`events` in pixels of the network."""
        if self.lower is not None:
            return self.lower.placed(events)
        return self._filter.filters.downsampled(events) if self._filter else events

    @property
    def label(self) -> int:
        """Index of the class with the largest score; -1 before a feature has won, or without a readout."""
        return int(np.argmax(self.scores)) if self._scored else -1

    def step_layer(self, events: Events) -> Results:
        """This layer alone, without scores; takes ``FEATURE_EVENT_DTYPE`` if there is one below."""
        results = np.empty(len(events), RESULT_DTYPE)
        if self._filter:
            results = self._filter.classify(events)
            accepted = results == PASSED
            chosen = self._filter.filters.downsampled(events[accepted])
        else:
            accepted = self._accept(events, results)
            chosen = events[accepted]
        if len(chosen) == 0:
            return results
        if self._t_first is None:
            self._t_first = int(chosen["t_us"][0])
        octaves, phases = self._octave_of(chosen["t_us"])
        self._t_last = int(chosen["t_us"][-1])
        fractions = (phases * self.quant.fraction_factor) >> 32
        out = np.empty(len(chosen), RESULT_DTYPE)
        _run(
            chosen["x"].astype(np.int64),
            chosen["y"].astype(np.int64),
            self._inputs(chosen),
            octaves,
            self.quant.mantissas[fractions].astype(np.int64),
            out,
            self._stored,
            self._octaves,
            self.weights,
            self.thresholds,
            self.wins,
            self._counters,
            self._settings,
        )
        results[accepted] = out
        return results

    def surface(self) -> npt.NDArray[np.int16]:
        """Values of all surfaces at the octave of the last event: int16 (surfaces, height, width).

        Of two layers, the upper one's: (channels, height, width).
        """
        octave, _ = self._now()
        age = np.minimum(octave - self._octaves, qformat.DEAD_OCTAVES)
        return (np.sign(self._stored) * (np.abs(self._stored) >> age)).astype(np.int16)

    def learned(self) -> npt.NDArray[np.uint16]:
        """The learned state in words (docs/numerics.md sections 8 and 12)."""
        words = learned_words(
            self.weights.astype(np.int16), self.thresholds.astype(np.int32), int(self._counters[_DITHER])
        )
        return words if self.lower is None else np.concatenate([words, self.lower.learned()])

    @property
    def state_id(self) -> int:
        """CRC-32 of the learned state."""
        return zlib.crc32(self.learned().tobytes())

    def snapshot(self) -> npt.NDArray[np.uint16]:
        """The whole state in words, in the order of docs/numerics.md sections 8, 12 and 13."""
        below = [] if self.lower is None else [self.lower._passing()]
        return np.concatenate([self.learned(), self._passing(), *below, *self._score_words()])

    def _passing(self) -> npt.NDArray[np.uint16]:
        """The state of this layer without what it has learned."""
        octave, phase = self._now()
        counters = self._counters
        outside, backwards = self._outside, self._backwards
        if self._filter:
            outside, backwards = (self._filter.counts[code] for code in (OUTSIDE, BACKWARDS))
        totals = [counters[_MISSES], counters[_BORDER], outside, backwards]
        window = [counters[_WINDOW_EVENTS], counters[_WINDOW_MISSES], counters[_LAST_WINDOW]]
        return np.concatenate(
            [
                np.array([self._settings[_LEARNING], self._t_first is not None], "<u2"),
                np.array([self._t_last, octave], "<u8").view("<u2"),
                np.array([phase], "<u4").view("<u2"),
                (self.wins % 2**32).astype("<u4").view("<u2"),
                np.array([int(total) % 2**32 for total in totals], "<u4").view("<u2"),
                np.array(window, "<u2"),
                *([self._filter.words()] if self._filter else []),
                self._in_order(self.surface()).reshape(-1).astype("<i2").view("<u2"),
            ]
        )

    def _score(self, results: Results, events: Events) -> None:
        """Section 13: add the rows of the events that a feature won."""
        won = results >= 0
        if self.readout is None or not won.any():
            return
        sensor, grid = self.quant.sensor, self.readout.grid
        x, y = (events[axis][won].astype(np.int64) for axis in ("x", "y"))
        cell = y * grid // sensor.height * grid + x * grid // sensor.width
        rows = self.readout.rows[cell * self.quant.params.features + results[won]]
        self.scores += rows.sum(axis=0, dtype=np.int64)
        self._scored = True

    def _score_words(self) -> list[npt.NDArray[np.uint16]]:
        if self.readout is None:
            return []
        return [self.scores.astype("<i8").view("<u2"), np.array([self._scored], "<u2")]

    def _in_order(self, surface: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Surface by surface; above another layer row by row, within a row channel by channel."""
        return surface if self.lower is None else np.ascontiguousarray(surface.swapaxes(0, 1))

    def _inputs(self, events: Events) -> Ints:
        """What tells events of one pixel apart: the polarity, or the channel."""
        inputs = events["polarity"] != 0 if self.lower is None else events["channel"]
        return np.asarray(inputs, np.int64)

    def _accept(self, events: Events, results: Results) -> npt.NDArray[np.bool_]:
        """Mark rejected events in `results`, count them, and return the mask of the others."""
        sensor = self.quant.sensor
        inside = (events["x"] < sensor.width) & (events["y"] < sensor.height)
        times = events["t_us"]
        latest = np.maximum.accumulate(np.where(inside, times, np.uint64(self._t_last)))
        # Before the first event t_last is 0, so nothing is backwards of it.
        previous = np.concatenate([[np.uint64(self._t_last)], latest[:-1]]) if len(events) else latest
        previous = np.maximum(previous, np.uint64(self._t_last))
        backwards = inside & (times < previous)
        results[~inside] = OUTSIDE
        results[backwards] = BACKWARDS
        self._outside += int(np.count_nonzero(~inside))
        self._backwards += int(np.count_nonzero(backwards))
        accepted: npt.NDArray[np.bool_] = inside & ~backwards
        return accepted

    def _octave_of(
        self, times: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
        length = self.quant.octave_q8
        elapsed = times - np.uint64(self._t_first or 0)
        if int(elapsed[-1]) < 2**55:
            position = elapsed << np.uint64(qformat.TIME_BITS)
            return (position // np.uint64(length)).astype(np.int64), position % np.uint64(length)
        pairs = [divmod(int(value) << qformat.TIME_BITS, length) for value in elapsed]
        return np.array([p[0] for p in pairs], np.int64), np.array([p[1] for p in pairs], np.uint64)

    def _now(self) -> tuple[int, int]:
        if self._t_first is None:
            return 0, 0
        return divmod((self._t_last - self._t_first) << qformat.TIME_BITS, self.quant.octave_q8)


@jit()
def _run(
    x: Ints,
    y: Ints,
    inputs: Ints,
    octaves: Ints,
    mantissas: Ints,
    out: Results,
    stored: Ints,
    written: Ints,
    weights: Ints,
    thresholds: Ints,
    wins: Ints,
    counters: Ints,
    settings: Ints,
) -> None:
    """Sections 3 to 7 of docs/numerics.md for accepted events; all arrays int64 but `out`.

    `inputs`: polarities (0 or 1), or channels.
    """
    side = settings[_SIDE]
    channels = settings[_CHANNELS]
    neurons = len(wins) // settings[_BANKS]
    context = np.zeros(channels * side * side, np.int64)
    dots = np.zeros(neurons, np.int64)
    for i in range(len(x)):
        bank = inputs[i] if settings[_BANKS] == 2 else 0
        sign = -1 if settings[_SIGNED] and inputs[i] == 0 else 1
        surface = inputs[i] if channels > 1 else bank
        stored[surface, y[i], x[i]] = sign * mantissas[i]
        written[surface, y[i], x[i]] = octaves[i]
        low, high = bank * channels, (bank + 1) * channels
        whole = _context(stored[low:high], written[low:high], x[i], y[i], octaves[i], side, context)
        if settings[_SKIP] and not whole:
            counters[_BORDER] += 1
            out[i] = BORDER
            continue
        first = bank * neurons
        for n in range(neurons):
            dots[n] = _dot(weights[first + n], context)
        scale = _norm(context)
        bits = 30 - settings[_FRACTION] + scale[1]
        learning = settings[_LEARNING] == 1
        by_range = learning or settings[_NEAREST] == 0
        winner = -1
        for n in range(neurons):
            if by_range and dots[n] << bits < thresholds[first + n] * scale[0]:
                continue
            if winner < 0 or dots[n] > dots[winner]:
                winner = n
        if winner >= 0:
            wins[first + winner] += 1
            out[i] = first + winner
            if learning:
                _learn(weights[first + winner], context, dots[winner], scale, counters, settings)
                raised = thresholds[first + winner] + settings[_DELTA_I]
                thresholds[first + winner] = min(raised, UNIT)
        else:
            counters[_MISSES] += 1
            out[i] = MISS
            if learning:
                for n in range(first, first + neurons):
                    thresholds[n] = max(thresholds[n] - settings[_DELTA_E], -UNIT)
        counters[_WINDOW_EVENTS] += 1
        counters[_WINDOW_MISSES] += winner < 0
        if counters[_WINDOW_EVENTS] == qformat.WINDOW_EVENTS:
            counters[_LAST_WINDOW] = counters[_WINDOW_MISSES]
            counters[_WINDOW_EVENTS] = 0
            counters[_WINDOW_MISSES] = 0


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
                    if age < qformat.DEAD_OCTAVES:
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
def _learn(w: Ints, context: Ints, dot: int, scale: tuple[int, int], counters: Ints, settings: Ints) -> None:
    """Section 6: move the winner `w` (in place) towards the context."""
    r, k = scale
    shift = settings[_SHIFT]
    eta = settings[_ETA]
    inv = (2**32 - 1) // r
    s = _mulh((dot >> 1) << k, inv << 14)
    w2 = _dot(w, w)
    u = 4 * (2**28 - (w2 >> 2) + _mulh(settings[_ETA2], (w2 >> 2) - s))
    g = _mulh(2**29 + 4 * _mulh(3 * 2**27 + _mulh(5 * 2**28, u), u), u)
    p = _mulh(eta, g)
    x = _draw(counters[_DITHER])
    decay = ((eta >> 4) - g + p + (x >> (4 + shift))) >> (28 - shift)
    x = _draw(x)
    gain = min(32767, (_mulh(eta + 16 * p, inv << 14) + (x >> (1 + shift + k))) >> (31 - shift - k))
    x = _draw(x)
    for i in range(len(w)):
        change = (gain * context[i] - decay * w[i] + (x >> (32 - shift))) >> shift
        w[i] = min(max(w[i] + change, -(2**15)), 2**15 - 1)
    counters[_DITHER] = x
