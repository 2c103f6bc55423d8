"""The norm of learned weights: one bound (the numerics page section 6), reached by nothing, kept by all."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.base.jit import jit
from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.emit.compiled_library import NativeFeast, build_native, compile_library
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import ETA_RANGE, quantise
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.model import MOST_DIMS, Hyperparameters, Model, Sensor, norm_limit
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.kernel import _growth
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.streaming.learned_state import from_words
from tests.support.networks import make_events, make_model, make_stack, save_unchecked

LEARNING = Options(learning=True)
SENSOR = Sensor(9, 7)
KERNELS: tuple[Kernel, ...] = ("portable", "vector", "dsp")
U_RANGE = (-0.024, 0.38)
"""What u of section 6 can be; a multiple of 4 in Q30."""
SERIES_ERROR = 1.5e-4


def u_limits() -> tuple[int, int]:
    first, last = (round(value * 2**28) * 4 for value in U_RANGE)
    return first, last


@jit()
def growth_of_all(first: int, last: int) -> tuple[int, float, float]:
    """Over every u: a hash of the values, and the largest relative error of a norm, of all and below 0.04."""
    hashed, worst, near = np.uint64(0), 0.0, 0.0
    for u in range(first, last + 1, 4):
        value = _growth(u)
        hashed = hashed * np.uint64(31) + np.uint64(value & 0xFFFFFFFF)
        error = abs((1.0 + value / 2.0**28) * np.sqrt(1.0 - u / 2.0**30) - 1.0)
        worst = max(worst, error)
        if abs(u) < 0.04 * 2**30:
            near = max(near, error)
    return hashed, worst, near


def test_normalisation_is_right_for_every_u(tmp_path: Path) -> None:
    """All of them, in the twin; the emitted C gives the same bits for each."""
    first, last = u_limits()
    hashed, worst, near = growth_of_all(first, last)
    assert worst < SERIES_ERROR
    assert near < 1.5e-6
    files = render(make_plan(quantise(make_model(SENSOR, radius=1, features=1))[0], None, LEARNING))
    files["src/feast_layer1_learn.c"] += """
uint64_t growth_of_all(int32_t first, int32_t last);
uint64_t growth_of_all(int32_t first, int32_t last)
{
    uint64_t hashed = 0;
    for (int32_t u = first; u <= last; u += 4) {
        hashed = hashed * 31u + (uint32_t)feast_layer1_growth(u);
    }
    return hashed;
}
"""
    library = ctypes.CDLL(str(compile_library(files, tmp_path, "-O2", ())))
    library.growth_of_all.restype = ctypes.c_uint64
    assert library.growth_of_all(first, last) == hashed


def steepest(dims: int) -> list[float]:
    """The largest eta of each shift S with contexts of `dims` components, and the ends of its range."""
    bits = formats.surface_bits(dims)
    etas = [(2 ** (33 + bits - shift) + 2) // 5 / 2**32 for shift in range(1, 17)]
    low, high = ETA_RANGE
    return [low, *(eta for eta in etas if low < eta < high), high]


def reach(dims: npt.NDArray[np.int64], bits: int, eta: float) -> npt.NDArray[np.float64]:
    """Most that one update leaves the norm off 1, units of Q15, if `norm_limit` held before it.

    The sum of section 6, term by term: what every update adds to the moved vector, each a vector's length.
    """
    shift = formats.learning_shift(round(eta * 2**32), bits)
    limit = np.array([norm_limit(int(d)) for d in dims])
    rho = limit / 2**15
    twice = 2 * eta * (1 - eta)
    largest_u = 1 - (1 - rho) ** 2 + twice * ((1 - rho) ** 2 + (1 - rho)) + 1e-5
    assert largest_u.max() < U_RANGE[1]
    assert (1 - (1 + rho) ** 2).min() > U_RANGE[0] + 1e-5
    y = 1 / np.sqrt(1 - largest_u)
    components = np.sqrt(dims)
    decay = (1 + rho) * 2.0 ** (15 - shift)
    gain = np.sqrt(dims) * (2**bits - 1) * 2.0**-shift
    cut = eta * 2**15 * y * (1 + SERIES_ERROR) - 32767 * 2.0 ** (bits - 1 - shift)  # by B <= 32767
    left_out = eta**2 * (2 * rho + rho**2) + twice * 2.0**-13
    series = 2**15 * (SERIES_ERROR + left_out / 2 * y**2)
    others = eta * y * 2.0**15 * 2.0**-13 + 1  # r and 1/r in the gain, and all that is rounded to Q28
    return np.asarray(components + decay + np.maximum(gain, cut) + series + others, np.float64)


def test_one_update_stays_within_the_limit_for_every_dims_and_eta() -> None:
    """Terms grow with eta as long as the shift is the same, so the largest eta of each shift is enough."""
    every = np.arange(9, MOST_DIMS + 1)
    bits = np.array([formats.surface_bits(int(dims)) for dims in every])
    tightest = np.inf
    for width in np.unique(bits):
        dims = every[bits == width]
        limits = np.array([norm_limit(int(d)) for d in dims])
        for eta in steepest(int(dims[0])):
            tightest = min(tightest, float((limits - reach(dims, int(width), eta)).min()))
        energy = [int(d) * (2 ** int(width) - 1) ** 2 * (2**15 + norm_limit(int(d))) ** 2 for d in dims]
        assert max(energy) < 2**62
    assert 0 < tightest < 40


@pytest.mark.parametrize("bits", range(8, 15))
def test_mantissas_lie_within_their_bits(bits: int) -> None:
    """At 8 bits the last one would round to 2^8."""
    table = formats.mantissas(bits).astype(int)
    assert table.min() >= 2 ** (bits - 1)
    assert table.max() < 2**bits
    exact = 2.0 ** (bits - 1 + (np.arange(256) + 0.5) / 256)
    assert (np.abs(table - exact) <= np.maximum(0.5, exact - (2**bits - 1))).all()
    assert (np.abs(table / exact - 1) <= 2.0**-bits).all()


@pytest.mark.parametrize("tau_us", [10.0, 20_000.0, 1e6, 9.99e6, 1e7])
def test_table_error_is_as_stated(tau_us: float) -> None:
    """At both ends of every step of the table; with a long octave the index falls behind."""
    length = formats.octave_length(tau_us)
    factor = formats.fraction_factor(length)
    starts = -(-np.arange(257, dtype=object) * 2**32 // factor)
    ends = np.minimum(starts[1:], length) - 1
    phases = np.array([*starts[:-1], *ends, length - 1], np.int64)
    phases = phases[phases < length]
    indices = np.array([(int(phase) * factor) >> 32 for phase in phases])
    errors = np.abs(2.0 ** ((indices + 0.5) / 256 - phases / length) - 1)
    assert errors.max() <= formats.table_error(length)
    assert errors.max() > 0.95 * formats.table_error(length)


@cache
def extreme(index: int) -> tuple[Model, NativeFeast]:
    """Networks at the ends of the ranges, the last ones with contexts of 7,744 and 64,387 components."""
    params: dict[str, Any] = {
        "features": 1,
        "eta": 0.1,
        "delta_e": 1.0,
        "tau_us": 200.0,
        "threshold": -1.0,
    }
    if index < 3:
        polarity = ("signed", "merged", "signed")[index]
        model = make_model(SENSOR, polarity=polarity, radius=(1, 1, 5)[index], **params)
    else:
        radius, features = ((5, 64), (15, 67))[index - 3]
        lower = make_model(SENSOR, radius=1, features=features, tau_us=200.0)
        model = make_stack(lower, radius=radius, **params)
    kernel = KERNELS[index % 3]
    return model, build_native(render(make_plan(quantise(model)[0], None, LEARNING, kernel)))


def check_state(model: Model, twin: Twin, native: NativeFeast, folder: Path) -> None:
    """The state that both have reached is imported by both, and its model file loads and is the same."""
    words = twin.learned()
    np.testing.assert_array_equal(native.snapshot()[: len(words)], words)
    assert twin.import_learned(words)
    assert native.import_learned(words)
    np.testing.assert_array_equal(native.snapshot(), twin.snapshot())
    path = folder / "learned.npz"
    save_model(from_words(words, model), path)
    loaded = quantise(load_model(path))[0]
    np.testing.assert_array_equal(loaded.weights, twin.weights)
    np.testing.assert_array_equal(loaded.thresholds, twin.thresholds)


def opposed(model: Model, shortfall: int, sign: int, dither: int) -> npt.NDArray[np.uint16]:
    """A learned state short of unit norm by `shortfall` units of Q15, along or against the event's pixel."""
    twin = Twin(quantise(model)[0], LEARNING)
    words = twin.learned()
    params = model.params
    weights = np.zeros((params.total_features, params.dims), np.int64)
    own = params.radius * params.channels * params.side + params.radius
    weights[:, own] = np.clip(sign * (2**15 - shortfall), -(2**15), 2**15 - 1)
    words[: weights.size] = weights.astype("<i2").reshape(-1).view("<u2")
    end = weights.size + 2 * params.total_features
    words[weights.size : end] = np.full(params.total_features, -(2**30), "<i4").view("<u2")
    words[end : end + 2] = np.array([dither], "<u4").view("<u2")
    return words


@settings(max_examples=60, deadline=None)
@given(
    index=st.integers(0, 2),
    events=st.lists(st.tuples(st.integers(0, 50), st.sampled_from([1.0, 30.0, 3000.0])), max_size=4),
    sign=st.sampled_from([-1, 1]),
    off=st.integers(-1, 1),
    dither=st.integers(0, 2**32 - 1),
)
def test_every_state_reached_is_imported_and_loads(
    tmp_path_factory: pytest.TempPathFactory,
    index: int,
    events: list[tuple[int, float]],
    sign: int,
    off: int,
    dither: int,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    model, native = extreme(index)
    twin = Twin(quantise(model)[0], LEARNING)
    native.init()
    words = opposed(model, off * norm_limit(model.params.dims), sign, dither)
    assert twin.import_learned(words)
    assert native.import_learned(words)
    for seed, gap in events:
        stream = make_events(150, SENSOR, seed, gap)
        for chunk in np.split(stream, [1, 2, 3, 30]):
            check_steps(twin, native, chunk)
            check_state(model, twin, native, folder)


def check_steps(twin: Twin, native: NativeFeast, events: Events) -> None:
    np.testing.assert_array_equal(native.step(events), twin.step(events))


@pytest.mark.parametrize("index", [3, 4])
def test_wide_contexts_stay_within_the_limit(index: int, tmp_path: Path) -> None:
    """Weights that all round the same way at once: most of the square root of D in one update."""
    model, native = extreme(index)
    quant = quantise(model)[0]
    twin = Twin(quant, LEARNING)
    params = model.params
    words = twin.learned()
    own = params.dims
    worst = 0
    for value, dither in ((1, 3), (-1, 3), (1, 77), (-1, 77), (1, 5), (-1, 5)):
        each = value * int(2**15 / np.sqrt(own))
        words[:own] = np.full(own, each, "<i2").view("<u2")
        words[own : own + 2] = np.full(1, -(2**30), "<i4").view("<u2")
        words[own + 2 : own + 4] = np.array([dither << 20], "<u4").view("<u2")
        assert twin.import_learned(words)
        assert native.import_learned(words)
        for event in np.split(make_events(40, SENSOR, dither, 40.0), 40):
            check_steps(twin, native, event)
            norm = np.linalg.norm(twin.weights.astype(float))
            worst = max(worst, abs(norm - 2**15))
        check_state(model, twin, native, tmp_path)
    assert np.sqrt(own) / 4 < worst <= norm_limit(own)


@pytest.mark.parametrize("off", [-1, 1])
def test_states_beyond_the_limit_are_refused_and_the_model_is_back(off: int) -> None:
    model, native = extreme(1)
    native.init()
    twin = Twin(quantise(model)[0], LEARNING)
    fresh = twin.learned()
    limit = norm_limit(model.params.dims)
    events = make_events(100, SENSOR)
    check_steps(twin, native, events)
    before = twin.snapshot()
    words = opposed(model, 0, 1, 5)
    weights = np.zeros(9, "<i2")
    weights[:2] = 20_000, round(np.sqrt((2**15 + off * (limit + 2)) ** 2 - 20_000**2))
    words[:9] = weights.view("<u2")
    norm = np.linalg.norm(weights.astype(float)) - 2**15
    assert limit < off * norm < limit + 3
    assert not twin.import_learned(words)
    assert not native.import_learned(words)
    np.testing.assert_array_equal(twin.learned(), fresh)
    np.testing.assert_array_equal(native.snapshot(), twin.snapshot())
    np.testing.assert_array_equal(twin.snapshot()[len(fresh) :], before[len(fresh) :])


def test_a_learned_weight_of_the_least_value_stays_in_a_model() -> None:
    """-32768 came back as -32767: the device refused the model of its own state as another one's."""
    model, _ = extreme(0)
    words = opposed(model, 0, -1, 1)
    weights = quantise(from_words(words, model))[0].weights
    assert weights.min() == -(2**15)
    np.testing.assert_array_equal(weights.reshape(-1), words[: weights.size].view(np.int16))


def test_model_files_hold_what_learning_reaches_and_no_more(tmp_path: Path) -> None:
    model, _ = extreme(1)
    for off, loads in ((67, True), (-67, True), (70, False), (-70, False)):
        weights = np.zeros((1, 9))
        weights[0, :2] = np.array([0.6, 0.8]) * (1 + (off - np.sign(off)) / 2**15)
        save_unchecked(Model(model.params, SENSOR, weights, np.zeros(1), model.training), tmp_path / "m.npz")
        if loads:
            assert make_plan(quantise(load_model(tmp_path / "m.npz"))[0], None, LEARNING).last.learning
        else:
            with pytest.raises(FeastError, match=r"norm .*, expected 1 within 0\.002045"):
                load_model(tmp_path / "m.npz")


def test_one_steep_feature_writes_a_model_that_loads(tmp_path: Path) -> None:
    """A series of third order left it with a norm of 0.9967."""
    params = Hyperparameters(polarity="signed", features=1, radius=1, eta=0.1, delta_e=1.0, tau_us=2000.0)
    result = train(open_source("sim:bars?seed=0&count=30"), params, arithmetic="fixed")
    save_model(result.model, tmp_path / "m.npz")
    assert load_model(tmp_path / "m.npz").model_id == result.model.model_id
    assert abs(np.linalg.norm(result.model.weights[0]) - 1) < 0.0015
