"""Calls that reach the corners of the arithmetic: as a script for driver.c, and carried out by a twin."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import QuantModel, initial_words
from feast_codegen.codegen.fixed_point.quantise_readout import QuantFading
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor, norm_limit
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from tests.support.networks import make_events
from tests.support.proofs.driver import hostile_events, steps

Words = npt.NDArray[np.uint16]
Call = tuple[str, Any]
"""``reset``, ``init``, ``ask``; with an argument ``step`` (events), ``learn`` (bool), ``load`` (`Load`)."""


@dataclass(frozen=True)
class Load:
    """An import of `words` in any order, after some that they overwrite, and whether it is accepted."""

    words: Words
    sound: bool = True
    before: tuple[tuple[int, int], ...] = ()


def scenario(model: Model, options: Options, quant: QuantModel, dense: int = 3000) -> list[Call]:
    """Dense and hostile events, ties, the end of an epoch of octaves; under learning extreme states, too.

    3000 `dense` events fill a window of compared ones.
    """
    sensor = model.filters.camera if model.filters else model.sensor
    octave_us = quant.octave_q8 / 256
    calls: list[Call] = [("ask", None)]
    calls += [("step", make_events(dense, sensor, 1, octave_us / 40)), ("ask", None), ("reset", None)]
    calls += [("step", hostile_events(300, sensor, 2)), ("ask", None)]
    for events in (_at_edges(sensor), *_epochs(sensor, octave_us)):
        calls += [("reset", None), ("ask", None), ("step", events), ("ask", None)]
    calls += [("reset", None)]
    for event in np.split(_exact(quant.octave_q8), 14):
        calls += [("step", event), ("ask", None)]
    if model.filters:
        for events in _at_stamps(model.filters):
            calls += [("reset", None), ("step", events), ("ask", None)]
    # Every age of a cell, and pixels written together, so that features tie.
    sparse = make_events(200, sensor, 5, octave_us * 2)
    together = make_events(200, sensor, 6)
    together["t_us"] = together["t_us"][0]
    calls += [("reset", None), ("step", sparse), ("reset", None), ("step", together), ("ask", None)]
    if options.learning:
        calls += _learning_calls(model, initial_words(quant, options), sensor, octave_us)
    for seed in range(24):  # asked often: scores lead in turn
        calls += [("reset", None), ("step", make_events(4 + seed, sensor, 30 + seed)), ("ask", None)]
    return [*calls, ("init", None), ("step", make_events(100, sensor, 7)), ("ask", None)]


def _events(times: npt.NDArray[np.uint64], x: Any, y: Any) -> Events:
    events = np.zeros(len(times), EVENT_DTYPE)
    events["t_us"], events["x"], events["y"] = times, x, y
    events["polarity"] = np.arange(len(times)) % 2
    return events


def _at_edges(sensor: Sensor) -> Events:
    """Every pixel of the border and every place beside it, off the sensor too, some from outside inwards."""
    places = [(x, y) for y in range(sensor.height + 2) for x in range(sensor.width + 2)]
    edge = [(x, y) for x, y in places if not (2 < x < sensor.width - 3 and 2 < y < sensor.height - 3)]
    x, y = np.array(edge + edge[::-1]).T
    return _events(5000 + np.arange(len(x), dtype=np.uint64) * np.uint64(37), x, y)


def _pair(model: Model) -> Events:
    """A pixel of the network and the one to its left by turns; slow enough for a refractory period."""
    scale = 1 << model.filters.downsample_shift if model.filters else 1
    times = np.array([0, 0, 400, 800], np.uint64)
    events = _events(times, scale * (model.sensor.width // 2 + np.array([1, 0, 1, 0])), scale * 2)
    events["polarity"] = 1
    return events


def _exact(octave_q8: int) -> Events:
    """At the very end of an octave, one microsecond before and after, in one step and in a long one."""
    whole = octave_q8 // math.gcd(octave_q8, 256)  # microseconds that are whole octaves
    long = -(-(2**23) // whole) * whole
    gaps = [
        0,
        whole - 1,
        1,
        1,
        whole - 1,
        whole,
        long,
        long - 1,
        1,
        2**23 - 1,
        2**23,
        2**24 - 1,
        2**23 + 1,
        3,
    ]
    return _events(np.cumsum(np.array(gaps, np.uint64)), np.arange(len(gaps)) % 3 + 3, 3)


def _at_stamps(filters: Filters) -> list[Events]:
    """Pairs of neighbouring cells that are alone, and times at which stamps just fit 16 bits."""
    cell, tick = 1 << filters.cell_shift, 1 << filters.tick_shift
    pairs = [_events(np.array([10**6, 10**6 + 100], np.uint64), (0, cell), 4)]
    pairs += [_events(np.array([10**6, 10**6 + 100], np.uint64), 4, (0, cell))]
    reach = 65535 - filters.span_ticks
    for first in (reach, reach + 1, reach + 2):  # the row's first event, one that a stamp does not reach
        pairs.append(_events((tick * np.array([first, first + 1])).astype(np.uint64), (4, 4 + cell), 4))
    for end in (-2, -1, 0, 1):
        times = 200_000 + tick * np.array([0, reach, 65535 + end])
        pairs.append(_events(times.astype(np.uint64), (4, 4 + cell, 4), 4))
    return pairs


def _epochs(sensor: Sensor, octave_us: float) -> list[Events]:
    """Rows touched around octave 2^32, some before and not after, and again exactly 2^32 octaves later."""
    first = make_events(20, sensor, 4, octave_us / 20)
    first["t_us"] -= first["t_us"][0]
    around = make_events(200, sensor, 3, octave_us / 12)
    around["t_us"] += np.uint64(int((2**32 - 8) * octave_us))
    later = first[::3].copy()
    later["t_us"] += np.uint64(math.ceil(2**32 * octave_us))
    return [
        np.concatenate([first, around]),
        np.concatenate([first, later]),
        np.concatenate([first, later[-1:]]),
    ]


def _learning_calls(model: Model, own: Words, sensor: Sensor, octave_us: float) -> list[Call]:
    calls: list[Call] = []
    for load in _loads(model, own):
        seed = 10 + len(calls)
        events = make_events(150, sensor, seed, octave_us / 10)
        calls += [
            ("load", load),
            ("reset", None),
            ("step", events[:70]),
            ("step", events[70:]),
            ("ask", None),
        ]
        alone = make_events(60, sensor, seed + 1, octave_us * 20)  # contexts of the own pixel alone
        calls += [("reset", None), ("step", alone), ("ask", None)]
    for seed in range(8, 32):  # each time another dither, which alone moves a weight beyond its range
        words = extreme_state(model, seed)
        load = Load(np.concatenate([words, own[len(words) :]]))
        calls += [("load", load), ("reset", None), ("step", _pair(model)), ("ask", None)]
    calls += [("load", _loads(model, own)[3])]  # while frozen, products of either sign
    alone = make_events(60, sensor, 92, octave_us * 20)
    calls += [
        ("learn", False),
        ("reset", None),
        ("step", alone),
        ("ask", None),
        ("init", None),
        ("learn", False),
    ]
    calls += [("step", make_events(600, sensor, 90)), ("ask", None)]
    return [*calls, ("learn", True), ("reset", None), ("step", make_events(150, sensor, 91)), ("ask", None)]


def _loads(model: Model, own: Words) -> list[Load]:
    """States at the edges of what an import accepts, and beyond; `own` ends with words of a lower layer."""
    learned = [extreme_state(model, seed) for seed in range(8)]
    below = own[len(learned[0]) :]
    loads = [Load(np.concatenate([words, below])) for words in learned]
    loads += [Load(np.concatenate([words, below]), False) for words in unsound_states(model)]
    if len(below):
        for at in (len(learned[0]), len(own) - 1):
            foreign = np.concatenate([learned[0], below])
            foreign[at] ^= 1
            wrong_at_first = ((at, int(foreign[at])),)
            loads += [Load(foreign, False), Load(np.concatenate([learned[1], below]), True, wrong_at_first)]
    return loads


def extreme_state(model: Model, seed: int) -> Words:
    """A learned state at the edges of what an import accepts: norms, thresholds, weights of one component."""
    rng = np.random.default_rng(seed)
    params = model.params
    weights = np.zeros((params.total_features, params.dims), np.int64)
    shortest = formats.WEIGHT_UNIT - norm_limit(params.dims)
    alone = {2: 32767, 3: -32768, 6: -shortest}.get(seed, (32767, -32768)[seed % 2] if seed > 6 else 0)
    if alone:
        own = params.radius * params.channels * params.side + params.radius  # the event's pixel, in channel 0
        weights[:, own + (seed > 7)] = alone
    else:
        energy = formats.squared_norms(params.dims)[seed % 2]
        for row in weights:
            row[rng.permutation(params.dims)[:4]] = _squares(energy, rng)
    up, down = formats.to_unit(params.delta_i), formats.to_unit(params.delta_e)
    saturating = {2: 2**30 - up, 3: -(2**30) + down}.get(seed)
    if saturating is not None:  # by the next rise or fall, or just not
        thresholds = saturating + np.arange(params.total_features) % 5 - 2
    elif seed > 5:  # in range for either sign
        thresholds = np.full(params.total_features, -(2**30))
    else:
        thresholds = rng.choice(
            [-(2**30), -(2**30) + 1, 123_456_789, 2**30 - 1, 2**30], params.total_features
        )
    return _words(weights, thresholds, int(rng.integers(2**32)))


def _squares(total: int, rng: np.random.Generator) -> list[int]:
    """Four integers whose squares sum up to `total`, each of random sign, a large one first."""
    if total % 8 == 0:  # then all four are even
        return [2 * value for value in _squares(total // 4, rng)]
    for a in range(math.isqrt(total * 9 // 10), 0, -1):
        for b in range(math.isqrt(total - a * a), 0, -1):
            left = total - a * a - b * b
            if left > 4000**2:
                break
            for c in range(math.isqrt(left) + 1):
                d = math.isqrt(left - c * c)
                if c * c + d * d == left:
                    return [int(value) for value in np.array([a, b, c, d]) * rng.choice([-1, 1], 4)]
    raise AssertionError("Lagrange's theorem")


def unsound_states(model: Model) -> list[Words]:
    """Each just beyond one of the limits: thresholds, and the norm of one feature."""
    features, dims = model.params.total_features, model.params.dims
    rng = np.random.default_rng(0)
    unit = np.zeros((features, dims), np.int64)
    unit[:, 0] = -32768
    longer, shorter = unit.copy(), unit.copy()
    least, most = formats.squared_norms(dims)
    longer[0, :4] = _squares(most + 1, rng)
    shorter[-1, :4] = _squares(least - 1, rng)
    zeros = np.zeros(features, np.int64)
    high, low = zeros.copy(), zeros.copy()
    high[-1], low[0] = 2**30 + 1, -(2**30) - 1
    return [_words(unit, high, 5), _words(unit, low, 6), _words(longer, zeros, 7), _words(shorter, zeros, 8)]


def _words(weights: Any, thresholds: Any, dither: int) -> Words:
    parts = [weights.astype("<i2").reshape(-1), thresholds.astype("<i4"), np.array([dither], "<u4")]
    return np.concatenate([part.view("<u2") for part in parts])


def encode(calls: list[Call]) -> bytes:
    """The script for driver.c."""
    script = b""
    for name, value in calls:
        if name == "step":
            script += steps(value)
        elif name == "load":
            order = np.random.default_rng(0).permutation(len(value.words))
            for index, word in (*value.before, *((i, int(value.words[i])) for i in order)):
                script += struct.pack("<cIH", b"w", index, word)
            for beyond in (len(value.words), 2**32 - 1):  # not part of the state
                script += struct.pack("<cIH", b"w", beyond, 0xA5C3)
            script += b"f"
        elif name == "learn":
            script += struct.pack("<cB", b"l", value)
        else:
            script += {"reset": b"r", "init": b"i", "ask": b"qs"}[name]
    return script


def carry_out(calls: list[Call], make_twin: Callable[[], Twin]) -> bytes:
    """What driver.c has to answer."""
    twin = make_twin()
    answers = b""
    for name, value in calls:
        if name == "step":
            answers += twin.step(value).astype("<i2").tobytes()
        elif name == "load":
            answers += struct.pack("<H", value.sound)
            _set_learned(twin, value.words if value.sound else make_twin().learned())
        elif name == "learn":
            twin.set_learning(value)
        elif name == "reset":
            twin.reset()
        elif name == "init":
            twin = make_twin()
        else:
            answers += _query(twin) + twin.snapshot().astype("<u2").tobytes()
    return answers


def _set_learned(twin: Twin, words: Words) -> None:
    learned = twin.quant.state(twin.options).unpack(words)[f"layer{len(twin.layers)}"]
    twin.weights[:] = learned["weights"]
    twin.thresholds[:] = learned["thresholds"]
    twin.layers[-1]._counters[-1] = learned["dither"]


def _query(twin: Twin) -> bytes:
    state = twin.quant.state(twin.options).unpack(twin.snapshot())
    last, refused = state[f"layer{len(twin.layers)}"], state["acceptance"]
    signals = [
        int(twin.wins.sum()),
        int(last["misses"]),
        sum(int(values["border"]) for stage, values in state.items() if stage.startswith("layer")),
        *(int(refused[name]) for name in ("outside", "backwards")),
        *(int(last[name]) for name in ("window_events", "window_misses", "last_window_misses")),
    ]
    answers = np.array(signals, "<u4").tobytes()
    for wins, threshold in zip(twin.wins, twin.thresholds, strict=True):
        answers += struct.pack("<Ii", int(wins), int(threshold))
    if isinstance(twin.readout, QuantFading):
        return answers + struct.pack("<hIHB", *astuple(twin.decision))
    if twin.readout is not None:
        answers += twin.scores.astype("<i8").tobytes() + struct.pack("<i", twin.label)
    return answers
