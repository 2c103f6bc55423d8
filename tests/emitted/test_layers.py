"""Two layers: the winners of one network are the events of another."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import OUTSIDE
from feast_codegen.codegen.boards.board import Kernel, get_board
from feast_codegen.codegen.emit.compiled_library import NativeFeast, build_native
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point.quantise import initial_words, quantise, state_id
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.model import Model, Sensor, stacked
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.network.float_model import FloatFeast
from tests.support.networks import event_streams, make_events, make_model, make_stack, models, with_readout
from tests.support.proofs.driver import build_driver, drive, emitted
from tests.support.reference import Reference

SENSOR = Sensor(13, 9)
OPTIONS = [
    Options(),
    Options(select="threshold"),
    Options(learning=True),
    Options(True, "threshold"),
    Options(select="threshold", weights="int8"),
]
KERNELS: tuple[Kernel, ...] = ("portable", "dsp", "vector")
LOWERS = [("merged", "zero"), ("separate", "zero"), ("signed", "skip")]
CONFIGURATIONS = list(itertools.product(range(len(LOWERS)), range(len(OPTIONS))))
"""Every option with every kernel, each on another kind of lower layer: compiling takes long."""


def stack(polarity: str = "separate", below: str = "zero", border: str = "zero", seed: int = 0) -> Model:
    lower = make_model(SENSOR, seed, polarity=polarity, border=below, radius=1, features=3, tau_us=3000.0)
    return make_stack(lower, seed, radius=1 + seed % 2, features=5, tau_us=9000.0, eta=0.01, border=border)


def build(model: Model, options: Options, kernel: Kernel = "portable") -> tuple[NativeFeast, Twin]:
    quant, _ = quantise(model)
    return build_native(render(make_plan(quant, None, options, kernel))), Twin(quant, options)


@cache
def configuration(index: int) -> tuple[NativeFeast, Model, Options]:
    below, option = CONFIGURATIONS[index]
    model = stack(*LOWERS[below], border=("zero", "skip")[option % 2], seed=index)
    if index % 2:
        model = with_readout(model, grid=4, seed=index)
    options, kernel = OPTIONS[option], KERNELS[(below + option) % 3]
    return build(model, options, kernel)[0], model, options


def same(native: NativeFeast, twin: Twin, events: np.ndarray) -> None:
    np.testing.assert_array_equal(native.step(events), twin.step(events))
    np.testing.assert_array_equal(native.snapshot(), twin.snapshot())
    np.testing.assert_array_equal(native.scores, twin.scores)
    assert native.label == twin.label


@settings(max_examples=100, deadline=None)
@given(
    index=st.integers(0, len(CONFIGURATIONS) - 1),
    recordings=st.lists(event_streams(SENSOR), min_size=1, max_size=3),
    seed=st.integers(0, 9),
)
def test_emitted_c_equals_the_twin(index: int, recordings: list[np.ndarray], seed: int) -> None:
    """Any events, then dense ones: results and the whole state of both layers."""
    native, model, options = configuration(index)
    native.init()
    twin = Twin(quantise(model)[0], options)
    for events in [*recordings, make_events(400, SENSOR, seed)]:
        native.reset()
        twin.reset()
        same(native, twin, events)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(
    lower=models(),
    upper=models(),
    options=st.sampled_from(OPTIONS),
    kernel=st.sampled_from(KERNELS),
    seed=st.integers(0, 99),
)
def test_any_two_layers(lower: Model, upper: Model, options: Options, kernel: Kernel, seed: int) -> None:
    params = stacked(lower, dataclasses.replace(upper.params, polarity="merged"))
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(params.total_features, params.dims))
    weights /= np.linalg.norm(weights, axis=1)[:, None]
    thresholds = rng.choice([-1.0, -0.2, 0.0, 0.5, 1.0], params.total_features)
    model = Model(params, lower.sensor, weights, thresholds, upper.training, lower)
    native, twin = build(model, options, kernel)
    same(native, twin, make_events(300, model.sensor, seed))
    assert native.ram_bytes == make_plan(twin.quant, None, options, kernel).budget.ram


@pytest.mark.parametrize("border", ["zero", "skip"])
@pytest.mark.parametrize("polarity", ["merged", "separate", "signed"])
def test_float_model_follows_the_plain_rule(polarity: str, border: str) -> None:
    model = stack(polarity, border, border, seed=1)
    plain, fast = Reference(model, learning=True), FloatFeast(model, learning=True, dtype=np.float64)
    for seed in range(2):
        plain.reset()
        fast.reset()
        events = make_events(700, SENSOR, seed)
        events["x"][::50] = SENSOR.width
        results = fast.step(events)
        assert results.tolist() == plain.step(events)
        assert len(set(results.tolist())) > 5
    np.testing.assert_allclose(fast.weights, plain.weights, atol=1e-9)
    np.testing.assert_allclose(fast.thresholds, plain.thresholds, atol=1e-12)


def test_twin_agrees_with_the_float_model() -> None:
    model = stack()
    events = make_events(3000, SENSOR)
    agree = Twin(quantise(model)[0], Options()).step(events) == FloatFeast(model).step(events)
    assert agree.mean() > 0.99


def test_upper_events_are_exactly_the_winners_below() -> None:
    """Events that the lower layer turns away leave no trace above."""
    model = stack("merged", below="skip")
    events = make_events(500, SENSOR)
    events["x"][::7] = SENSOR.width
    whole, below = Twin(quantise(model)[0], Options()), Twin(quantise(model.lower)[0], Options())  # type: ignore[arg-type]
    results, winners = whole.step(events), below.step(events)
    np.testing.assert_array_equal(results[winners < 0], winners[winners < 0])
    assert OUTSIDE in results and (results >= 0).sum() == whole.wins.sum() == (winners >= 0).sum()
    fired = whole.surface().astype(bool)
    assert fired.shape == (3, SENSOR.height, SENSOR.width)
    for event, channel in zip(events, winners, strict=True):
        assert channel < 0 or fired[channel, event["y"], event["x"]]


def test_only_the_upper_layer_learns() -> None:
    model = stack()
    twin = Twin(quantise(model)[0], Options(learning=True, select="threshold"))
    lower = twin.layers[0]
    before = lower.weights.copy(), twin.learned()
    twin.step(make_events(500, SENSOR))
    np.testing.assert_array_equal(lower.weights, before[0])
    assert (twin.learned() != before[1]).any()
    assert lower.options == Options(readout=False)


def test_learned_state_travels_only_to_the_same_lower_layer() -> None:
    options = Options(learning=True)
    first, twin = build(stack(), options)
    second, _ = build(stack(), options)
    other, fresh = build(dataclasses.replace(stack(), lower=stack(seed=2).lower), options)
    events = make_events(500, SENSOR)
    first.step(events)
    twin.step(events)
    words = twin.learned()
    np.testing.assert_array_equal(first.snapshot()[: words.size], words)
    assert second.import_learned(words)
    np.testing.assert_array_equal(second.snapshot()[: words.size], words)
    other.step(events)
    assert not other.import_learned(words)
    np.testing.assert_array_equal(other.snapshot()[: words.size], fresh.learned())
    assert other.import_learned(fresh.learned())


def test_an_import_after_one_that_was_not_finished(tmp_path: Path) -> None:
    """A foreign word counts until its index is given again."""
    model, options = stack(), Options(learning=True)
    words = Twin(quantise(model)[0], options).learned()
    program = build_driver(emitted(model, options, "portable"), tmp_path, ["cc", "-O1"])
    foreign = words.copy()
    foreign[[-30, -9]] ^= 1

    def import_of(state: np.ndarray) -> bytes:
        return b"".join(struct.pack("<cIH", b"w", i, int(word)) for i, word in enumerate(state))

    accepted, refused = b"\1\0", b"\0\0"
    assert drive(program, import_of(foreign) + import_of(words) + b"f").stdout == accepted
    assert drive(program, import_of(words) + import_of(foreign) + b"f").stdout == refused
    assert drive(program, import_of(foreign) + b"f" + import_of(words) + b"f").stdout == refused + accepted


def test_ids_speak_for_both_layers() -> None:
    model = stack()
    other = dataclasses.replace(model, lower=stack(seed=2).lower)
    assert model.model_id != other.model_id
    quants = [quantise(each)[0] for each in (model, other)]
    options = Options(learning=True)
    plans = [make_plan(quant, None, options) for quant in quants]
    assert plans[0].ids.build == plans[1].ids.build, "weights are no part of it"
    assert plans[0].ids.state == state_id(quants[0], options) != plans[1].ids.state
    slower = make_stack(make_model(SENSOR, radius=1, features=6, tau_us=4000.0), radius=1, features=5)
    faster = make_stack(make_model(SENSOR, radius=1, features=6, tau_us=3000.0), radius=1, features=5)
    ids = {make_plan(quantise(each)[0], None, options).ids.build for each in (slower, faster)}
    assert len(ids) == 2
    np.testing.assert_array_equal(initial_words(quants[0]), Twin(quants[0], options).learned())


def test_one_feature_below_makes_an_ordinary_upper_layer() -> None:
    """One channel: no list of quiet rows, neither emitted nor in the stack that the plan foresees."""
    quant, _ = quantise(make_stack(make_model(SENSOR, radius=1, features=1), radius=1, features=3))
    plan = make_plan(quant, None, Options(learning=True))
    files = render(plan)
    assert not any("filled" in text for text in files.values())
    native, twin = build_native(files), Twin(quant, Options(learning=True))
    events = make_events(800, SENSOR)
    np.testing.assert_array_equal(native.step(events), twin.step(events))
    np.testing.assert_array_equal(native.snapshot(), twin.snapshot())
    assert native.signals()["hits"] > 0


def test_every_word_of_a_snapshot_has_a_name() -> None:
    quant, _ = quantise(stack())
    words = Twin(quant, Options()).snapshot().size
    names = [quant.state(Options()).word_name(index) for index in range(words)]
    assert names[0] == "weight 0 of feature 0"
    assert names[-1] == "pixel x=12 y=8 of surface 1 of the lower layer"
    assert names.count("phase") == names.count("phase of the lower layer") == 2
    assert "pixel x=3 y=2 of surface 5" in names
    with pytest.raises(IndexError):
        quant.state(Options()).word_name(words)


def test_model_file_round_trip(tmp_path: Path) -> None:
    model = stack()
    save_model(model, tmp_path / "stack.npz")
    loaded = load_model(tmp_path / "stack.npz")
    assert loaded.model_id == model.model_id
    assert (loaded.params, loaded.training) == (model.params, model.training)
    assert loaded.lower is not None and model.lower is not None
    assert loaded.lower.model_id == model.lower.model_id
    np.testing.assert_array_equal(loaded.lower.weights, model.lower.weights)


@pytest.mark.parametrize("dropped", ["lower_weights", "lower_thresholds"])
def test_half_a_lower_layer_is_refused(tmp_path: Path, dropped: str) -> None:
    save_model(stack(), tmp_path / "stack.npz")
    with np.load(tmp_path / "stack.npz") as archive:
        arrays = {name: archive[name] for name in archive.files if name != dropped}
    np.savez(tmp_path / "half.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(FeastError, match="not a model file"):
        load_model(tmp_path / "half.npz")


def test_what_cannot_be_stacked_is_refused() -> None:
    lower = make_model(SENSOR, radius=1, features=3)
    with pytest.raises(FeastError, match="polarity separate: a second layer"):
        make_stack(lower, polarity="separate")
    with pytest.raises(FeastError, match="two layers already"):
        make_stack(stack())
    with pytest.raises(FeastError, match="at most 64516"):
        make_stack(make_model(SENSOR, radius=1, features=100), radius=13)


def test_a_stack_too_large_for_the_board_is_refused_with_what_fits() -> None:
    lower = make_model(radius=1, features=8)
    board = get_board("netduinoplus2")
    with pytest.raises(FeastError, match=r"too large.*up to \d+ features would fit"):
        make_plan(quantise(make_stack(lower, radius=2, features=3000))[0], board, Options())
    with pytest.raises(FeastError, match="8 34x34 time surfaces of the second layer alone"):
        make_plan(quantise(make_stack(lower, radius=2))[0], get_board("bbcmicrobit"), Options())
