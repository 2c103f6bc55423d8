"""Steps of the stress stream that learn: states at the limits of an import and beyond, then events."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import (
    INITIAL_DITHER,
    QuantModel,
    initial_words,
)
from feast_codegen.codegen.fixed_point.state_layout import Values, layer_names
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.stress.steps import (
    SEED,
    Beyond,
    Feed,
    Import,
    Named,
    Place,
    Reset,
    SetLearning,
    Words,
    instant,
    recording,
    to_events,
)

Ints = npt.NDArray[np.int64]
_LIMIT: Final = formats.UNIT
_LARGEST: Final = formats.WEIGHT_UNIT - 1
_LARGE: Final = 1_000_000
"""Weights from which on fewer states are given: each takes as many calls."""


def learning_steps(quant: QuantModel, options: Options, place: Place) -> Iterator[Named]:
    """Named steps for a network that learns; learning is on again at the end, with the model's own state."""
    own = initial_words(quant, options)
    below = own[_upper_words(quant) :]
    states = _sound_states(quant)
    if quant.weights.size > _LARGE:
        states = states[:: 1 + len(states) // 6]
    for index, (name, words) in enumerate(states):
        yield name, Import(np.concatenate([words, below]))
        yield from _exercise(name, place, index)
    yield from _along(quant, place, below)
    name = "many missed events"
    away = _words(quant, -np.abs(_random_weights(quant, 11)), _filled(quant, _LIMIT))
    yield name, Import(np.concatenate([away, below]))
    yield from recording(name, place.random(place.dense // 2, 320, place.octave_us / 40))
    yield from _frozen_for_now(quant, place, below)
    for name, words in _refused_states(quant):
        yield name, Import(np.concatenate([words, below]))
        yield from recording(name, place.random(12, 300, place.octave_us / 9))
    if below.size:
        yield from _foreign(quant, own, place)
    yield "words beyond the state", Import(own)
    for index in (len(own), len(own) + 1, 2**31, 2**32 - 1):
        yield "words beyond the state", Beyond(index, 0xA5C3)
    yield from recording("words beyond the state", place.random(30, 301, place.octave_us / 9))


def _exercise(name: str, place: Place, seed: int) -> Iterator[Named]:
    """Events after an import: dense ones, lonely ones, a pair, those of one polarity."""
    dense = place.random(60, 100 + seed, place.octave_us / 10)
    lonely = place.random(24, 200 + seed, place.octave_us * 20)
    x, y = place.middle
    left = max(x - place.scale, 0)
    pair = [(0, x, y, 1), (0, left, y, 1), (400, x, y, 1), (800, left, y, 1), (801, left, y, 0)]
    yield from recording(name, dense[:20], dense[20:])
    yield from recording(name, lonely)
    yield from recording(name, pair)
    one_sided = [(t, i, j, seed % 2) for t, i, j, _ in dense[:16]]
    yield from recording(name, one_sided)


def _along(quant: QuantModel, place: Place, below: Words) -> Iterator[Named]:
    """The longest weights and a context along them: the largest product that a norm allows."""
    name = "a context along the longest weights"
    own = _own_component(quant)
    weights = _alone(quant, own, _LARGEST)
    left = formats.squared_norms(quant.params.dims)[1] - _LARGEST**2
    weights[:, own - 1] = math.isqrt(left)
    ratio = math.log2(_LARGEST / math.isqrt(left))
    x, y = place.middle
    words = np.concatenate([_words(quant, weights, _filled(quant, -_LIMIT)), below])
    for fraction in (formats.MANTISSAS - 1, formats.MANTISSAS - 2, 0):
        octaves, part = divmod(
            (40 + fraction / formats.MANTISSAS - ratio) * formats.MANTISSAS, formats.MANTISSAS
        )
        beside, then = instant(quant, int(octaves), int(part)), instant(quant, 40, fraction)
        if beside is not None and then is not None and x >= place.scale:
            yield name, Import(words)
            yield from recording(name, [(0, x, y, 1), (beside, x - place.scale, y, 1)], [(then, x, y, 1)])


def _frozen_for_now(quant: QuantModel, place: Place, below: Words) -> Iterator[Named]:
    """Learning off: nothing adapts, the nearest wins, also among features that are equal or point away."""
    name = "learning off"
    yield name, SetLearning(False)
    yield from recording(name, place.random(80, 90, place.octave_us / 9))
    for state, weights in (("equal", _equal(quant)), ("opposite", -np.abs(_random_weights(quant, 7)))):
        yield name, Import(np.concatenate([_words(quant, weights, _filled(quant, _LIMIT), 3), below]))
        yield from recording(f"{name}, features {state}", place.random(60, 91, place.octave_us / 9))
        yield from recording(f"{name}, features {state}", place.random(20, 92, place.octave_us * 20))
    yield f"{name}, a state refused", Import(np.concatenate([_refused_states(quant)[0][1], below]))
    yield from recording(name, place.random(20, 93, place.octave_us / 9))
    yield "learning on again", SetLearning(True)
    yield from recording("learning on again", place.random(40, 94, place.octave_us / 9))
    yield "learning on again", Reset()
    yield "learning on twice", SetLearning(True)
    yield "learning on twice", Feed(to_events(place.random(40, 95, place.octave_us / 9)))


def _sound_states(quant: QuantModel) -> list[tuple[str, Words]]:
    """States that an import accepts, each at some limit."""
    features = quant.params.total_features
    up, down = quant.delta_i_q30, quant.delta_e_q30
    some = np.arange(features) % 5 - 2
    mixed = np.array([-_LIMIT, -_LIMIT + 1, 123_456_789, _LIMIT - 1, _LIMIT])[np.arange(features) % 5]
    low, high = _filled(quant, -_LIMIT), _filled(quant, _LIMIT)
    short, long = (_norm_weights(quant, energy) for energy in formats.squared_norms(quant.params.dims))
    own, beside = _own_component(quant), _own_component(quant) + 1
    states = [
        ("the longest weights", long, low),
        ("the shortest weights", short, low),
        ("the longest weights, mixed thresholds", long, mixed),
        (
            "thresholds about to saturate at 1",
            _random_weights(quant, 1),
            np.clip(_LIMIT - up + some, -_LIMIT, _LIMIT),
        ),
        (
            "thresholds about to saturate at -1",
            _random_weights(quant, 2),
            np.clip(down - _LIMIT + some, -_LIMIT, _LIMIT),
        ),
        (
            "thresholds about to rise to 1",
            _alone(quant, own, 32767),
            np.clip(_LIMIT - up + some, -_LIMIT, _LIMIT - 2**20),
        ),
        ("thresholds of 1", _random_weights(quant, 3), high),
        ("thresholds of -1", _random_weights(quant, 4), low),
        ("thresholds of -1, features that point away", -np.abs(_random_weights(quant, 5)), low),
        ("equal features", _equal(quant), low),
        ("equal features, unequal thresholds", _equal(quant), mixed),
        ("thresholds just met", *_just_met(quant, 0)),
        ("thresholds just not met", *_just_met(quant, 1)),
    ]
    for value in (32767, -32768, -32640):
        for at in (own, beside):
            states.append((f"one weight of {value}", _alone(quant, at, value), low))
    words = [(name, _words(quant, weights, at, 12345 + i)) for i, (name, weights, at) in enumerate(states)]
    # The dither alone moves a weight beyond its range: by which draw depends on the state of the generator.
    for value in (32767, -32768):
        for seed in range(8):
            dither = (seed * 0x1F123BB5 + 1) % 2**32
            words.append(("weights that saturate", _words(quant, _alone(quant, beside, value), low, dither)))
    for dither in (0, 2**31, 2**32 - 1):
        words.append((f"dither {dither}", _words(quant, _random_weights(quant, 6), low, dither)))
    return words


def _refused_states(quant: QuantModel) -> list[tuple[str, Words]]:
    """States just beyond one limit: in the first feature, in the last one, in one between."""
    features = quant.params.total_features
    good = _random_weights(quant, 8)
    zeros = _filled(quant, 0)
    least, most = formats.squared_norms(quant.params.dims)
    refused = []
    for n in sorted({0, features // 2, features - 1}):
        for beyond in (_LIMIT + 1, -_LIMIT - 1, 2**31 - 1, -(2**31)):
            thresholds = zeros.copy()
            thresholds[n] = beyond
            refused.append((f"a threshold of {beyond}", _words(quant, good, thresholds, 5)))
        for energy in (most + 1, least - 1, 0):
            weights = good.copy()
            weights[n] = 0
            weights[n, :4] = _four_squares(energy)
            refused.append((f"squares of {energy}", _words(quant, weights, zeros, 6)))
        weights = good.copy()
        weights[n] = -32768  # a norm that does not fit 32 bits from 4 components on
        refused.append(("the longest weights there are", _words(quant, weights, zeros, 7)))
    return refused


def _foreign(quant: QuantModel, own: Words, place: Place) -> Iterator[Named]:
    """A lower layer that is not its own, and one that is put right before the end."""
    upper = _upper_words(quant)
    for at in (upper, (upper + len(own)) // 2, len(own) - 1):
        foreign = own.copy()
        foreign[at] ^= 1
        foreign[0] ^= 2  # this one would be accepted
        yield "a foreign lower layer", Import(foreign)
        yield from recording("a foreign lower layer", place.random(12, 310, place.octave_us / 9))
        yield "a lower layer put right", Import(own, ((at, int(foreign[at])),))
        yield from recording("a lower layer put right", place.random(12, 311, place.octave_us / 9))


def _upper_words(quant: QuantModel) -> int:
    return int(quant.weights.size) + 2 * quant.params.total_features + 2


def _own_component(quant: QuantModel) -> int:
    """The component of the event's own pixel, of channel 0."""
    params = quant.params
    return params.radius * params.channels * params.side + params.radius


def _filled(quant: QuantModel, value: int) -> Ints:
    return np.full(quant.params.total_features, value, np.int64)


def _alone(quant: QuantModel, at: int, value: int) -> Ints:
    weights = np.zeros(quant.weights.shape, np.int64)
    weights[:, at] = value
    return weights


def _random_weights(quant: QuantModel, seed: int) -> Ints:
    """Of unit norm, with components of either sign that differ much."""
    weights = np.random.default_rng((SEED, seed)).normal(size=quant.weights.shape) ** 3
    weights /= np.linalg.norm(weights, axis=1)[:, None]
    return formats.to_weights(weights).astype(np.int64)


def _equal(quant: QuantModel) -> Ints:
    """The same weights for pairs of features, and for the last two of a bank."""
    weights = np.abs(_random_weights(quant, 9)).reshape(quant.params.banks, quant.params.features, -1)
    weights[:, 1::2] = weights[:, : quant.params.features - 1 : 2]
    return weights.reshape(quant.weights.shape)


def _just_met(quant: QuantModel, above: int) -> tuple[Ints, Ints]:
    """Thresholds that an event's own pixel alone meets exactly, or misses by one unit."""
    weights = np.abs(_random_weights(quant, 10))
    return weights, weights[:, _own_component(quant)] * 2**formats.WEIGHT_BITS + above


def _norm_weights(quant: QuantModel, energy: int) -> Ints:
    """Four components whose squares sum up to `energy`, at places that differ between features."""
    weights = np.zeros(quant.weights.shape, np.int64)
    rng = np.random.default_rng(energy)
    squares = np.array(_four_squares(energy))
    for row in weights:
        row[rng.permutation(len(row))[:4]] = squares * rng.choice([-1, 1], 4)
    return weights


def _four_squares(total: int) -> list[int]:
    """Four integers up to 32767 whose squares sum up to `total`, largest first."""
    if total and total % 8 == 0:  # then all four are even
        return [2 * value for value in _four_squares(total // 4)]
    for a in range(min(math.isqrt(total), _LARGEST), -1, -1):
        for b in range(min(a, math.isqrt(total - a * a)), -1, -1):
            left = total - a * a - b * b
            if left > 2**20:
                break
            for c in range(math.isqrt(left) + 1):
                d = math.isqrt(left - c * c)
                if c * c + d * d == left:
                    return [a, b, c, d]
    raise ValueError(f"no four squares of 16 bits sum up to {total}")


def _words(quant: QuantModel, weights: Ints, thresholds: Ints, dither: int = INITIAL_DITHER) -> Words:
    """The learned part of the last layer, in words."""
    last = replace(quant, lower=None)
    values: Values = {"weights": weights, "thresholds": thresholds, "dither": dither}
    layer = layer_names(last.shape)[-1]
    return last.state(Options(learning=True)).pack({layer: values}, learned_only=True)
