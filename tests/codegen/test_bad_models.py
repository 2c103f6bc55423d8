"""Hostile model files and learned states, a thousand seeded cases each: refused in one line, or harmless."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import math
import random
import shutil
import struct
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import render
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import initial_words, quantise
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.twin.network import Twin
from tests.fuzz.seeds import say
from tests.fuzz.targets import STEP_NETWORKS, build, link_plan, replay, sources
from tests.support.networks import behind, make_events, make_model, make_stack, with_readout
from tests.support.proofs.driver import build_driver, drive, emitted, steps

CASES = 1000
SENSOR = Sensor(6, 5)
SANITIZE = ["cc", "-std=c11", "-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def base_models() -> list[Model]:
    """One of each kind of model there is."""
    plain = make_model(SENSOR, features=2, radius=1)
    filters = Filters(Sensor(12, 10), ((1, 1),), 50, 500, 1, 1)
    stack = make_stack(plain, radius=1, features=2)
    return [plain, stack, with_readout(behind(filters, features=2, radius=1), classes=2)]


# Model files

Content = tuple[dict[str, Any], dict[str, np.ndarray]]
"""Header and arrays."""


def content(model: Model, folder: Path) -> Content:
    save_model(model, folder / "whole.npz")
    with np.load(folder / "whole.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    return json.loads(arrays.pop("header").tobytes()), arrays


def write(header: Any, arrays: dict[str, Any], path: Path, sign: bool = True) -> Path:
    """A model file of any content; with `sign` its checksum is right."""
    text = json.dumps(header, sort_keys=True).encode()
    arrays = dict(arrays)
    if sign:
        parts = [np.asarray(array).tobytes() for name, array in arrays.items() if name != "sha256"]
        digest = hashlib.sha256(text + b"".join(parts)).digest()
        arrays["sha256"] = np.frombuffer(digest, np.uint8)
    np.savez(path, header=np.frombuffer(text, np.uint8), **arrays)
    return path


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of all fields of a header, the inner ones too."""
    yield place
    for key, inner in value.items() if isinstance(value, dict) else []:
        yield from leaves(inner, (*place, key))


HOSTILE_FIELDS = [
    *(None, True, False, "", "x", "16", [], {}, [1], {"a": 1}, "\ud800", "a" * 100_000, "../x", "%s%n", "\n"),
    *(0, 1, -1, 2, 3, 15, 16, 255, 4096, 4097, 2**31, 2**63, 10**400, -(10**400)),
    *(0.0, -0.0, 0.5, 1.5, 1e-300, 1e300, math.nan, math.inf, -math.inf),
]
HOSTILE_NUMBERS = [0.0, -0.0, 1.0, -1.0, 1.0000001, 2.0, 1e-320, 1e154, 1e300, math.nan, math.inf, -math.inf]


def put(header: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    header = copy.copy(header)
    header[place[0]] = put(header[place[0]], place[1:], value)
    return header


def hostile_array(array: np.ndarray, rng: random.Random) -> Any:
    """An array with one thing wrong, or nearly so."""
    array = np.array(array)
    flat = array.reshape(-1)
    at = rng.randrange(max(flat.size, 1))
    kind = rng.randrange(9)
    if kind <= 2:
        flat[at] = rng.choice(HOSTILE_NUMBERS) if array.dtype.kind == "f" else rng.randrange(256)
    elif kind <= 4:
        bits = flat.view(f"u{array.itemsize}")
        bits[at] ^= np.array(1 << rng.randrange(8 * array.itemsize)).astype(bits.dtype)
    elif kind == 5:
        return array.astype(rng.choice([">f8", "<f4", "<i8", "?", "S3", "<c16", "<U2"]))
    elif kind == 6:
        twice = np.concatenate([flat, flat])
        return rng.choice([array[..., :0], array[:-1], array[None], flat, twice, array.T])
    elif kind == 7:
        return np.asfortranarray(array)
    else:
        return array * rng.choice([0.0, -1.0, 1.001, 1.01, 1e300])
    return array


def case(models: list[Content], rng: random.Random, path: Path) -> Path:
    """A model file with something wrong: in its header, in an array, in its make-up, in any byte."""
    header, arrays = rng.choice(models)
    kind = rng.randrange(10)
    if kind < 4:
        place = rng.choice(list(leaves(header)))
        return write(put(header, place, rng.choice(HOSTILE_FIELDS)), arrays, path, rng.random() < 0.9)
    if kind < 8:
        name = rng.choice(list(arrays))
        changed = arrays | {name: hostile_array(arrays[name], rng)}
        return write(header, changed, path, rng.random() < 0.9 and name != "sha256")
    if kind == 8:
        renamed = dict(arrays)
        renamed[rng.choice(["weights", "extra", "lower_weights", "readout_bias"])] = renamed.pop(
            rng.choice(list(arrays))
        )
        return write(header, renamed, path)
    write(header, arrays, path)
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 4))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return path


def accepted(path: Path) -> Model | None:
    """The model, if the file is taken; checks that a refusal is one line that names the file."""
    try:
        return load_model(path)
    except FeastError as error:
        assert str(path) in str(error) and "\n" not in str(error) and len(str(error)) < 600
        return None


@pytest.mark.filterwarnings("error")
def test_model_files(tmp_path: Path) -> None:
    """What is taken is a model like any: it can be used, and saved again it is the same."""
    models = [content(model, tmp_path) for model in base_models()]
    rng = random.Random(1)
    fates = Counter[str]()
    for _ in range(CASES):
        path = case(models, rng, tmp_path / "case.npz")
        model = accepted(path)
        if model is None:
            fates["refused"] += 1
            continue
        save_model(model, tmp_path / "again.npz")
        assert load_model(tmp_path / "again.npz").model_id == model.model_id
        try:
            plan = make_plan(quantise(model)[0], None, Options(learning=model.params.eta > 0))
        except FeastError as error:
            assert "\n" not in str(error)
            fates["refused by the plan"] += 1
            continue
        if fates["harmless"] % 20 == 0:
            assert render(plan)
            Twin(quantise(model)[0], Options()).step(make_events(20, model.sensor))
        fates["harmless"] += 1
    assert fates["refused"] > CASES // 2 and fates["harmless"] > 20, fates


def bombs() -> dict[str, bytes]:
    """Files that would take far more memory than they are long."""
    found = {}
    parts = {"header": "|u1", "sha256": "|u1", "weights": "<f8", "thresholds": "<f8"}
    for name, claim, shape in (
        ("shape", "weights", "(2147483647, 2147483647)"),
        ("length", "header", "(1099511627776,)"),
        ("negative", "weights", "(-1, 9)"),
        ("text", "weights", "(" * 900),
    ):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for part, dtype in parts.items():
                text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': "
                text += f"{shape if part == claim else '(1,)'}, }}\n"
                head = b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text.encode()
                archive.writestr(f"{part}.npy", head + bytes(8))
        found[name] = target.getvalue()
    target = io.BytesIO()
    zeros = np.zeros(1 << 27, np.uint8)
    np.savez_compressed(target, header=zeros, sha256=zeros[:32], weights=zeros[:9], thresholds=zeros[:2])
    found["compressed"] = target.getvalue()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for part in parts:
            archive.writestr(f"{part}.npy", b"no array")
    return found | {"no arrays": target.getvalue()}


@pytest.mark.filterwarnings("error")
def test_files_that_claim_to_be_larger_than_they_are(tmp_path: Path) -> None:
    files = bombs()
    tracemalloc.start()
    try:
        for name, data in files.items():
            path = tmp_path / f"{name}.npz"
            path.write_bytes(data)
            assert accepted(path) is None
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 64 << 20


# Learned states


def hostile_words(words: np.ndarray, features: int, rng: random.Random) -> np.ndarray:
    """A learned state with bits flipped, or words at the edges of what they may be."""
    words = words.copy()
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(words))
        if rng.random() < 0.6:
            words[at] ^= 1 << rng.randrange(16)
        else:
            words[at] = rng.choice((0, 1, 0x7FFF, 0x8000, 0xFFFF, rng.randrange(1 << 16)))
    if rng.random() < 0.3:  # a threshold at the edge
        at = len(words) - 2 - 2 * rng.randrange(1, features + 1)
        value = rng.choice((2**30, 2**30 + 1, -(2**30), -(2**30) - 1, 2**31 - 1, -(2**31)))
        words[at : at + 2] = np.array([value], "<i4").view("<u2")
    return words


def sound(words: np.ndarray, features: int) -> bool:
    """docs/reference/numerics.md section 8: what of a learned state is accepted."""
    split = len(words) - 2 - 2 * features
    weights = words[:split].view("<i2").reshape(features, -1).astype(np.int64)
    thresholds = words[split:-2].copy().view("<i4").astype(np.int64)
    norms = (weights**2).sum(axis=1)
    limit = 64 + math.floor(1.25 * math.sqrt(split // features))
    in_range = ((2**15 - limit) ** 2 <= norms) & (norms <= (2**15 + limit) ** 2)
    return bool(in_range.all() and (np.abs(thresholds) <= formats.UNIT).all())


@pytest.fixture
def sanitizers() -> None:
    """Skips where there is no compiler."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")


def differences(network: str, files: dict[str, str], folder: Path) -> int:
    """Imports hostile states through the C interface, runs events on them, and compares with the rule.

    A state is taken exactly if it is sound; then it is held, else the model's own.
    """
    model = STEP_NETWORKS[network][0]
    quant = quantise(model)[0]
    features = len(quant.thresholds)
    own = initial_words(quant)[: quant.weights.size + 2 * features + 2]  # of the layer that learns
    events = steps(make_events(10, SENSOR, mean_gap_us=30.0))
    rng = random.Random(2)
    script, expected, fates = b"", [], Counter[bool]()
    for _ in range(CASES // 4):
        words = hostile_words(own, features, rng)
        order = rng.sample(range(len(words)), len(words))
        script += b"i" + b"".join(struct.pack("<cIH", b"w", at, int(words[at])) for at in order)
        script += b"fs" + events
        taken = sound(words, features)
        fates[taken] += 1
        expected.append([int(taken), *(words if taken else own)])
    assert min(fates[True], fates[False]) > CASES // 40, fates
    done = drive(build_driver(files, folder, SANITIZE), script)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    answers = np.frombuffer(done.stdout, "<u2").reshape(len(expected), -1)
    return int((answers[:, : len(expected[0])] != np.array(expected)).any(axis=1).sum())


@pytest.mark.usefixtures("sanitizers")
@pytest.mark.parametrize("network", [name for name in STEP_NETWORKS if STEP_NETWORKS[name][1].learning])
def test_states_over_the_c_interface(network: str, tmp_path: Path) -> None:
    assert differences(network, emitted(*STEP_NETWORKS[network], "small"), tmp_path) == 0


@pytest.mark.usefixtures("sanitizers")
def test_a_check_that_lets_too_much_pass_is_found(tmp_path: Path) -> None:
    files = emitted(*STEP_NETWORKS["learning"], "small")
    right, path = "norm2 > FEAST_LAYER1_NORM2_MOST", "src/feast_layer1_learn.c"
    assert files[path].count(right) == 1
    files[path] = files[path].replace(right, "norm2 > 2u * FEAST_LAYER1_NORM2_MOST")
    assert differences("learning", files, tmp_path) > 0


@pytest.mark.usefixtures("sanitizers")
def test_states_over_the_link(tmp_path: Path) -> None:
    """The firmware's end of the link, with what must hold after each frame (tests/fuzz/link.c)."""
    model, _ = STEP_NETWORKS["learning"]
    plan, quant = link_plan(), quantise(model)[0]
    own = initial_words(quant)
    rng = random.Random(3)
    inputs = []
    for _ in range(CASES):
        words = hostile_words(own, plan.last.quant.params.total_features, rng)
        begin, end = sorted(rng.sample(range(len(words) + 1), 2))
        dialogue = say(messages.HELLO) + say(messages.START, flags=1)
        dialogue += say(messages.WRITE_STATE, tail=words.tobytes())
        if rng.random() < 0.5:
            first = rng.choice((begin, end, 2**32 - 1))
            dialogue += say(messages.WRITE_STATE, tail=words[begin:end].tobytes(), first=first)
        dialogue += say(messages.APPLY_STATE) + say(messages.SIGNALS) + say(messages.PERSIST)
        dialogue += say(messages.START, flags=1) + say(
            messages.EVENTS, tail=bytes([9, 1, 1, 4, 2, 2, 0, 5, 4])
        )
        inputs.append(dialogue + say(messages.READ_STATE, count=plan.state.words))
    done = replay(build("link", sources("link"), tmp_path, fuzz=False), inputs)
    assert (done.returncode, done.stderr) == (0, "")
