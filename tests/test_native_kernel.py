"""The C kernel of the float model against its oracle, host/engines/feast_loop.py; and life without it."""

from __future__ import annotations

import copy
import pickle
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.errors import FeastError
from codegen.model import Hyperparameters, Model, Sensor
from codegen.records import EVENT_DTYPE, Events
from host.datasets import open_source
from host.engines import native_kernel
from host.engines.native import NativeEngine
from host.feast import FloatFeast, initial_model
from tests.networks import UNTRAINED, event_streams, make_events, make_model

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: cc is not on PATH")

SMALL = Sensor(9, 7)
MODES = [(learning, select) for learning in (False, True) for select in ("nearest", "threshold")]
CLOSE = 2e-6
"""Cosines nearer than this may be ordered either way by the rounding of float32 sums."""


def pair(model: Model, **options: Any) -> tuple[FloatFeast, FloatFeast]:
    return FloatFeast(model, engine="native", **options), FloatFeast(model, engine="numba", **options)


def close_calls(model: Model, events: Events, mode: tuple[bool, str]) -> np.ndarray[Any, Any]:
    """Events where rounding may decide: two cosines, or one and a threshold, are CLOSE; by float64."""
    nets = [FloatFeast(model, learning=mode[0], select=mode[1], dtype=np.float64)]  # type: ignore[arg-type]
    calls = []
    for index in range(events.size):
        event = events[index : index + 1]
        before = nets[0].to_model(UNTRAINED) if mode[0] else model
        frozen = FloatFeast(before, dtype=np.float64)
        frozen._engine._state = copy.deepcopy(nets[0]._engine._state)  # type: ignore[union-attr]
        scores = frozen.scores(event)
        thresholds = nets[0].thresholds
        near = np.abs(thresholds[:, None] - np.array([scores.best, scores.second]).T).min() < CLOSE
        calls.append(bool(near or scores.best[0] - scores.second[0] < CLOSE))
        nets[0].step(event)
    return np.array(calls)


@pytest.mark.parametrize("polarity", ["merged", "separate", "signed"])
@pytest.mark.parametrize("border", ["zero", "skip"])
@pytest.mark.parametrize(("learning", "select"), MODES)
@pytest.mark.parametrize(("radius", "neurons"), [(1, 1), (1, 5), (2, 16), (3, 33), (5, 32), (8, 7), (15, 3)])
def test_equals_the_loop_from_equal_states(
    polarity: str, border: str, learning: bool, select: str, radius: int, neurons: int
) -> None:
    """Every result, counter and threshold; weights within rounding. Noise has few close calls."""
    sensor = Sensor(40, 36)
    model = make_model(
        sensor,
        seed=radius,
        threshold=0.15 if polarity == "signed" else 0.7,
        polarity=polarity,
        border=border,
        radius=radius,
        neurons=neurons,
        eta=0.01,
    )
    native, loop = pair(model, learning=learning, select=select)
    for seed in (1, 2):
        events = make_events(1500, sensor, seed, mean_gap_us=30.0)
        expected = loop.step(events)
        results = native.step(events)
        differing = np.flatnonzero(results != expected)
        assert differing.size <= 1, f"{differing.size} events differ, first {differing[0]}"
        if differing.size:  # a close call, or what one led to
            break
        np.testing.assert_array_equal(native.thresholds, loop.thresholds)
        assert native.counters == loop.counters
        np.testing.assert_allclose(native.weights, loop.weights, rtol=0, atol=3e-6)
        native.reset()
        loop.reset()


@settings(max_examples=150)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(MODES))
def test_codes_and_state_on_any_stream(data: st.DataObject, seed: int, mode: tuple[bool, str]) -> None:
    """Errors, border and time rules exactly; winners wherever rounding cannot decide."""
    polarity = data.draw(st.sampled_from(["merged", "separate", "signed"]))
    border = data.draw(st.sampled_from(["zero", "skip"]))
    options = {
        "polarity": polarity,
        "border": border,
        "radius": 1,
        "neurons": 3,
        "tau_us": 5000.0,
        "eta": 0.05,
    }
    model = make_model(SMALL, seed, 0.4, **options)
    native, loop = pair(model, learning=mode[0], select=mode[1])
    for _ in range(2):
        events = data.draw(event_streams(SMALL))
        results, expected = native.step(events), loop.step(events)
        np.testing.assert_array_equal(results[expected <= -2], expected[expected <= -2])
        np.testing.assert_array_equal(results <= -2, expected <= -2)
        differing = np.flatnonzero(results != expected)
        if differing.size:
            until = int(differing[0]) + 1
            assert close_calls(model, events[:until], mode)[-1]
            return
        native.reset()
        loop.reset()
    np.testing.assert_array_equal(native.thresholds, loop.thresholds)


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 600), max_size=8).map(sorted), seed=st.integers(0, 99))
def test_chunks_give_the_same_bits_as_one_call(cuts: list[int], seed: int) -> None:
    model = make_model(SMALL, seed, 0.6, radius=1, neurons=70, polarity="separate", tau_us=500.0, eta=0.01)
    events = make_events(600, SMALL, seed)
    whole, chunked = (FloatFeast(model, learning=True, engine="native") for _ in range(2))
    expected = whole.step(events)
    results = np.concatenate([chunked.step(chunk) for chunk in np.split(events, cuts)])
    np.testing.assert_array_equal(results, expected)
    np.testing.assert_array_equal(chunked.weights, whole.weights)
    np.testing.assert_array_equal(chunked.thresholds, whole.thresholds)


def test_scores_equal_the_loops() -> None:
    model = make_model(Sensor(34, 34), neurons=21, polarity="separate")
    events = make_events(500)
    events["x"][::50] = 40
    native, loop = (net.scores(events) for net in pair(model))
    np.testing.assert_array_equal(native.winner < 0, loop.winner < 0)
    for name in ("best", "second"):
        np.testing.assert_allclose(getattr(native, name), getattr(loop, name), rtol=0, atol=1e-6)
    np.testing.assert_allclose(native.norm, loop.norm, rtol=1e-6)
    np.testing.assert_array_equal(native.winner, FloatFeast(model).step(events))


@pytest.mark.parametrize("silence_us", [20_000, 1_000_000, 2**32, 2**53, 2**64 - 2000])
def test_surfaces_are_scaled_alike_over_long_streams(silence_us: int) -> None:
    """A short tau scales the surfaces down many times; a silence clears them."""
    events = make_events(3000, SMALL, mean_gap_us=50.0)
    late = events.copy()
    late["t_us"] = np.minimum(late["t_us"][-1:] + np.uint64(silence_us), 2**64 - 1)
    model = make_model(SMALL, radius=2, neurons=6, tau_us=700.0, threshold=0.4)
    native, loop = (net.scores(np.concatenate([events, late[:50]])) for net in pair(model))
    np.testing.assert_allclose(native.norm, loop.norm, rtol=2e-6)
    assert np.mean(native.winner == loop.winner) > 0.999


@pytest.mark.parametrize("silence_us", [0, 30_000, 45_000, 60_000, 100_000])
def test_surfaces_fade_and_die_as_in_the_loop(silence_us: int) -> None:
    """A silence of 0 to 144 octaves: each pixel alike, and cleared in one if it is in the other."""
    native, loop = pair(make_model(SMALL, radius=2, neurons=2, tau_us=1000.0))
    first = make_events(300, SMALL, mean_gap_us=100.0)
    second = make_events(5, SMALL, seed=1, mean_gap_us=100.0)
    second["t_us"] += first["t_us"][-1] + np.uint64(silence_us)
    for net in (native, loop):
        net.step(np.concatenate([first, second]))
    ours = native._engine._surfaces[:, :, : SMALL.width + 4]  # type: ignore[union-attr]
    theirs = loop._engine._state.surfaces  # type: ignore[union-attr]
    np.testing.assert_array_equal(ours == 0.0, theirs == 0.0)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("neurons", [3, 40, 100])
def test_ties_go_to_the_lowest_of_many(neurons: int) -> None:
    model = make_model(SMALL, radius=1, neurons=neurons)
    model.weights[:] = model.weights[0]
    assert not FloatFeast(model, engine="native").step(make_events(50, SMALL)).any()
    model.thresholds[: neurons // 2] = 1.0
    model.thresholds[neurons // 2 :] = -1.0
    winners = FloatFeast(model, select="threshold", engine="native").step(make_events(50, SMALL))
    assert set(winners) == {neurons // 2}


def test_weights_keep_unit_norm_and_faint_ones_die() -> None:
    """The norm follows from the stored energy: no drift over many updates, no denormal numbers."""
    model = make_model(SMALL, radius=2, neurons=2, eta=0.3, threshold=-1.0)
    native, loop = pair(model, learning=True)
    events = np.zeros(6000, EVENT_DTYPE)
    events["t_us"] = np.arange(6000) * 10**7
    events["x"], events["y"] = 4, 3
    for net in (native, loop):
        net.step(events)
    np.testing.assert_allclose(np.linalg.norm(native.weights, axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(native.weights == 0.0, loop.weights == 0.0)
    assert np.count_nonzero(native.weights) <= 26


def test_padding_never_learns() -> None:
    """Lanes behind a patch's rows and behind the last feature stay zero, whatever lies beside the patch."""
    net = FloatFeast(
        make_model(SMALL, radius=1, neurons=5, eta=0.5, threshold=0.0), learning=True, engine="native"
    )
    net.step(make_events(2000, SMALL))
    weights = net._engine._weights  # type: ignore[union-attr]
    assert not weights[..., 3].any()
    share = weights.shape[3]
    assert not weights.swapaxes(2, 3).reshape(-1, 3, 4)[5 : weights.shape[1] * share].any()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [(">= load(range", "> load(range"), ("energy[quad] += square", "energy[quad] += weight")],
)
def test_a_planted_fault_is_found(
    right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison can fail: a score equal to its threshold is lost; norms drift."""
    text = native_kernel.SOURCE.read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "broken.c").write_text(text.replace(right, wrong), encoding="utf-8")
    monkeypatch.setattr(native_kernel, "SOURCE", tmp_path / "broken.c")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native_kernel.load_kernel.cache_clear()
    model = Model(Hyperparameters(1, 1, eta=0.2), SMALL, np.eye(9)[4:5], np.ones(1), UNTRAINED)
    events = np.array([(0, 4, 3, 1)] + [(10**8 + i, 3 + i % 3, 3, 1) for i in range(300)], EVENT_DTYPE)
    native, loop = pair(model, learning=True)
    same = np.array_equal(native.step(events), loop.step(events))
    assert not (same and np.allclose(native.weights, loop.weights, atol=1e-4))
    native_kernel.load_kernel.cache_clear()


def test_learning_statistics_on_recordings() -> None:
    """Trajectories may part; miss rate and what is learned may not."""
    source = open_source("sim:digits?seed=3&count=8")
    model = initial_model(Hyperparameters(neurons=8, radius=3), source.sensor, seed=0)
    nets = pair(model, learning=True)
    events = 0
    for stream in source:
        events += stream.events.size
        for net in nets:
            net.reset()
            net.step(stream.events)
    native, loop = nets
    assert abs(native.counters["misses"] - loop.counters["misses"]) < 0.002 * events
    assert np.sum(native.weights * loop.weights, axis=1).min() > 0.98


@pytest.mark.data
def test_real_recordings_learn_alike(nmnist: Path) -> None:
    """From one state over 16,000 events nearly every result is equal, though thresholds decide on each."""
    source = open_source(str(nmnist)).split("test")
    native, loop = pair(initial_model(Hyperparameters(neurons=32), source.sensor, seed=0), learning=True)
    equal = []
    for index in range(4):
        for net in (native, loop):
            net.reset()
        events = source.load(index).events
        equal.append(native.step(events) == loop.step(events))
    assert np.concatenate(equal).mean() > 0.999
    np.testing.assert_allclose(native.thresholds, loop.thresholds, rtol=0, atol=0.01)


def test_copies_and_pickles_go_on_alone() -> None:
    net = FloatFeast(make_model(SMALL, radius=2, neurons=20, threshold=0.5), learning=True, engine="native")
    net.step(make_events(100, SMALL))
    twins = [copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    later = make_events(100, SMALL, seed=1)
    later["t_us"] += np.uint64(10**6)
    expected = net.step(later)
    for twin in twins:
        np.testing.assert_array_equal(twin.step(later), expected)
        np.testing.assert_array_equal(twin.weights, net.weights)


# The compiled library


def test_compiled_once_into_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = native_kernel._library(2)
    assert first.parent == tmp_path / "feast-codegen"
    monkeypatch.setattr(native_kernel, "_compile", lambda *arguments: pytest.fail("compiled again"))
    assert native_kernel._library(2) == first
    assert list(first.parent.iterdir()) == [first]


def test_another_processor_or_source_is_another_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["cc", "-O3", "-march=native"]
    key = native_kernel._key(command, tmp_path)
    assert key == native_kernel._key(command, tmp_path)
    assert key != native_kernel._key(["cc", "-O3"], tmp_path)
    changed = tmp_path / "changed.c"
    changed.write_bytes(native_kernel.SOURCE.read_bytes() + b"\n")
    monkeypatch.setattr(native_kernel, "SOURCE", changed)
    assert key != native_kernel._key(command, tmp_path)


@pytest.mark.parametrize("flags", [("-march=x86-64",), ("-mavx2", "-mfma", "-march=x86-64")])
def test_narrow_vectors_give_the_same_winners(
    flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The widths that this processor would not choose by itself."""
    command = ["cc", *flags, "-E", "-x", "c", "/dev/null"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("not an x86 compiler")
    monkeypatch.setattr(native_kernel, "_TARGETS", (flags,))
    native_kernel.load_kernel.cache_clear()
    kernel = native_kernel.load_kernel(3)
    assert kernel is not None and kernel.lanes == (8 if "-mavx2" in flags else 4)
    model = make_model(Sensor(20, 20), radius=3, neurons=13, threshold=0.6, polarity="separate")
    native, loop = pair(model, learning=True)
    events = make_events(2000, Sensor(20, 20))
    np.testing.assert_array_equal(native.step(events), loop.step(events))
    native_kernel.load_kernel.cache_clear()


def test_without_a_compiler_numba_steps_and_that_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "no-such-cc")
    native_kernel.load_kernel.cache_clear()
    native_kernel._say_once.cache_clear()
    model = make_model(SMALL, radius=1, neurons=3)
    nets = [FloatFeast(model), FloatFeast(make_model(SMALL, radius=2, neurons=3))]
    assert not any(isinstance(net._engine, NativeEngine) for net in nets)
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "no C kernel for the float model" in message and "no-such-cc is not on PATH" in message
    with pytest.raises(FeastError, match="engine native: needs a C compiler and float32"):
        FloatFeast(model, engine="native")
    monkeypatch.delenv("CC")
    native_kernel.load_kernel.cache_clear()
    with pytest.raises(FeastError, match="got float64"):
        FloatFeast(model, engine="native", dtype=np.float64)


def test_a_compiler_that_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.c"
    broken.write_text("int x = ;\n", encoding="utf-8")
    monkeypatch.setattr(native_kernel, "SOURCE", broken)
    with pytest.raises(OSError, match=r"cc refused it: .*error"):
        native_kernel._library(1)


def test_a_cache_that_cannot_be_written_costs_a_compilation_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert native_kernel._library(1).is_file()
