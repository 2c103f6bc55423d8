"""Sources: every way to name recordings, their order and labels, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.network.training import training_part
from feast_codegen.host.recordings.open import open_source, training_order
from feast_codegen.host.recordings.readers import nmnist
from tests.support.event_files import nmnist_bin
from tests.support.networks import make_events

SENSOR = Sensor(34, 34)


def write(path: Path, seed: int = 0, count: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(nmnist_bin(make_events(count, SENSOR, seed)))
    return path


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """A folder of class folders, with other things beside."""
    for seed, name in enumerate(("10/a", "2/b", "2/a", "0/z")):
        write(tmp_path / "set" / f"{name}.bin", seed)
    (tmp_path / "set" / "notes").mkdir()
    (tmp_path / "set" / "2" / "readme.txt").touch()
    return tmp_path / "set"


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    for seed, name in enumerate(("train/1/a", "train/0/a", "test/1/b")):
        write(tmp_path / "root" / f"{name}.bin", seed)
    return tmp_path / "root"


def test_a_single_file(tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "one.bin")))
    stream = source.load(0)
    assert (source.spec, source.sensor, len(source), source.labels) == ("one.bin", SENSOR, 1, (None,))
    assert (stream.name, stream.label, stream.skipped, stream.sensor) == ("one.bin", None, 0, SENSOR)
    np.testing.assert_array_equal(stream.events, make_events(20, SENSOR))
    assert open_source(str(tmp_path / "one.bin"), Sensor(128, 128)).sensor == Sensor(128, 128)


def test_class_folders_are_labelled_and_sorted_by_number(classes: Path) -> None:
    source = open_source(str(classes))
    assert source.names == ("0/z.bin", "2/a.bin", "2/b.bin", "10/a.bin")
    assert source.labels == (0, 2, 2, 10)
    assert [stream.name for stream in source] == list(source.names)
    assert source.spec == "set"
    np.testing.assert_array_equal(source.load(1).events, make_events(20, SENSOR, seed=2))


def test_a_flat_folder_has_no_labels(classes: Path) -> None:
    source = open_source(str(classes / "2"))
    assert (source.names, source.labels) == (("a.bin", "b.bin"), (None, None))


def test_splits(splits: Path) -> None:
    source = open_source(str(splits))
    assert source.spec == "root"
    assert source.names == ("train/0/a.bin", "train/1/a.bin", "test/1/b.bin")
    train = source.split("train")
    assert (train.spec, train.names, train.labels) == ("root/train", ("0/a.bin", "1/a.bin"), (0, 1))
    assert training_part(source) is train
    assert training_part(train) is train
    assert open_source(str(splits / "test")).spec == source.split("test").spec == "root/test"
    with pytest.raises(FeastError, match="root: no split 'held'; there are: train, test"):
        source.split("held")
    with pytest.raises(FeastError, match="root/train: no split 'test'; there are: none"):
        train.split("test")


def test_splits_spelt_as_tonic_unpacks_them(tmp_path: Path) -> None:
    write(tmp_path / "NMNIST" / "Train" / "3" / "a.bin")
    assert open_source(str(tmp_path / "NMNIST")).split("train").labels == (3,)
    assert open_source(str(tmp_path / "NMNIST" / "Train")).spec == "NMNIST/train"


def test_the_spec_holds_no_path(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(classes / "2")
    assert open_source("..").spec == open_source("../../set/").spec == open_source(str(classes)).spec == "set"


def test_picking_and_shuffling_keep_recordings_whole(classes: Path) -> None:
    source = open_source(str(classes))
    picked = source.pick([3, 2]).pick([1])
    assert (picked.names, picked.labels) == (("2/b.bin",), (2,))
    np.testing.assert_array_equal(picked.load(0).events, source.load(2).events)
    assert picked.where(0) == str(classes / "2" / "b.bin")
    shuffled = source.shuffled(seed=1)
    assert sorted(shuffled.names) == sorted(source.names)
    for stream in shuffled:
        original = source.load(source.names.index(stream.name))
        assert stream.label == original.label
        np.testing.assert_array_equal(stream.events, original.events)


@given(labels=st.lists(st.sampled_from([None, 0, 1, 7]), max_size=60), seed=st.integers(0, 2**32 - 1))
def test_training_order_is_a_seeded_permutation_that_spreads_classes(
    labels: list[int | None], seed: int
) -> None:
    order = training_order(labels, seed)
    assert sorted(order) == list(range(len(labels)))
    assert order == training_order(labels, seed)
    shuffled = [labels[index] for index in order]
    for label in set(labels):
        half = shuffled[: len(shuffled) // 2].count(label)
        assert abs(half - labels.count(label) / 2) <= 2 + len(set(labels)) / 2


def test_training_order_differs_between_epochs_and_seeds() -> None:
    labels = [index % 10 for index in range(100)]
    orders = {tuple(training_order(labels, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


def test_bad_events_are_refused_or_counted_and_left_out(tmp_path: Path) -> None:
    events = make_events(20, Sensor(40, 34), seed=1)
    events["x"] = np.minimum(events["x"], 33)
    events["x"][7] = 34
    (tmp_path / "bad.bin").write_bytes(nmnist_bin(events))
    source = open_source(str(tmp_path / "bad.bin"))
    with pytest.raises(FeastError, match=r"bad.bin: event 7: x=34 y=\d+ lies outside the 34x34 sensor"):
        source.pick([0]).load(0)
    stream = open_source(str(tmp_path / "bad.bin"), skip_bad_events=True).load(0)
    assert (stream.skipped, stream.events.size) == (1, 19)


def test_skipping_bad_events_reaches_the_splits_and_needs_something_left(tmp_path: Path) -> None:
    write(tmp_path / "r" / "train" / "1" / "a.bin").write_bytes(nmnist_bin(make_events(1, SENSOR)))
    data = bytes([200, 0, 0, 0, 0])
    (tmp_path / "r" / "train" / "1" / "b.bin").write_bytes(data)
    train = open_source(str(tmp_path / "r"), skip_bad_events=True).split("train")
    assert train.load(0).skipped == 0
    with pytest.raises(FeastError, match=r"b.bin: no good event among 1"):
        train.load(1)


# What is refused when a source is opened


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("nowhere", "nowhere: no such file or folder"),
        ("sin:digits", "unknown scheme 'sin'; known: sim, tonic, or a path"),
        ("sim:letters", "unknown scene 'letters'; known: bars, digits"),
        ("sim:digits?sed=1", "unknown option 'sed'; allowed: seed, count"),
        ("sim:digits?seed", "expected options as name=value"),
        ("sim:digits?seed=1&seed=2", "an option is given twice"),
        ("sim:digits?seed=-1", "seed='-1': expected a whole number from 0 to 4294967295"),
        ("sim:digits?count=0", "count='0': expected a whole number from 1 to 1000000"),
        ("sim:digits?count=", "count='': expected a whole number"),
        ("tonic:NTIDIGITS?save_to=x", "unknown tonic dataset 'NTIDIGITS'; supported: NMNIST, DVSGesture"),
        ("tonic:NMNIST", "say where tonic keeps its data"),
        ("tonic:NMNIST?save_to=x&train=maybe", "train='maybe': expected true or false"),
        ("x" * 5000, "cannot read: File name too long"),
    ],
)
def test_specs_that_are_refused(spec: str, problem: str) -> None:
    with pytest.raises(FeastError) as refusal:
        open_source(spec)
    assert problem in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_files_and_folders_that_are_refused(tmp_path: Path, classes: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(FeastError, match=r"a.mp4: unknown format '.mp4'; supported: .bin .raw"):
        open_source(str(tmp_path / "a.mp4"))
    with pytest.raises(FeastError, match="notes: no recordings; expected event files, <class>"):
        open_source(str(classes / "notes"))
    with pytest.raises(FeastError, match="has a 34x34 sensor, not 10x10"):
        open_source("sim:bars", Sensor(10, 10))
    (classes / "2" / "c.bin").write_bytes(b"1234567")
    with pytest.raises(FeastError, match=r"c.bin: truncated at byte 5: 2 of the 5 bytes of event 1"):
        open_source(str(classes))
    (classes / "2" / "c.bin").write_bytes(b"")
    with pytest.raises(FeastError, match=r"c.bin: the file is empty"):
        open_source(str(classes / "2" / "c.bin"))


# Simulated recordings and tonic


def test_simulated_sources_name_themselves_in_full() -> None:
    source = open_source("sim:digits")
    assert source.spec == "sim:digits?seed=0&count=200"
    assert source.labels == tuple(range(10)) * 20
    assert open_source("sim:bars?count=6&seed=3").spec == "sim:bars?seed=3&count=6"
    assert open_source("sim:bars?count=6").labels == (0, 1, 2, 3, 0, 1)


def test_tonic_is_imported_only_for_a_tonic_source() -> None:
    code = (
        "import sys; from feast_codegen.host.recordings.open import open_source; "
        "open_source('sim:bars').load(0)"
    )
    subprocess.run([sys.executable, "-c", f"{code}; assert 'tonic' not in sys.modules"], check=True)


def test_tonic_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tonic

    path = write(tmp_path / "NMNIST" / "Train" / "7" / "00001.bin", seed=4)
    monkeypatch.setattr(tonic.datasets.NMNIST, "_check_exists", lambda self: True)
    source = open_source(f"tonic:NMNIST?save_to={tmp_path}")
    assert (source.spec, source.names, source.labels) == ("tonic:NMNIST?train=true", ("7/00001.bin",), (7,))
    np.testing.assert_array_equal(source.load(0).events, nmnist.decode(path.read_bytes()))
    with pytest.raises(FeastError, match="tonic found no recordings"):
        open_source(f"tonic:NMNIST?save_to={tmp_path}&train=false")


def test_tonic_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import tonic

    def fail(**options: Any) -> None:
        print("Downloading ...")
        raise RuntimeError("no network\nand more")

    monkeypatch.setattr(tonic.datasets, "NMNIST", fail)
    with pytest.raises(FeastError, match=r"tonic could not provide the data: no network$"):
        open_source("tonic:NMNIST?save_to=x")
    assert capsys.readouterr().out == ""
    monkeypatch.setitem(sys.modules, "tonic", None)
    with pytest.raises(FeastError, match="tonic cannot be imported"):
        open_source("tonic:NMNIST?save_to=x")


@pytest.mark.data
def test_real_nmnist(data: Path) -> None:
    source = open_source(str(data / "nmnist"))
    assert (source.spec, len(source)) == ("nmnist", 850)
    assert (len(source.split("train")), len(source.split("test"))) == (800, 50)
    assert sum(stream.events.size for stream in source.split("test")) == 183168
    assert source.split("train").names[0] == "0/00002.bin"


@pytest.mark.data
def test_our_reader_equals_tonics(data: Path) -> None:
    from tonic.io import read_mnist_file

    path = data / "recordings" / "tonic_sample_nmnist.bin"
    theirs = read_mnist_file(str(path), np.dtype([(name, int) for name in "xytp"]))
    ours = nmnist.decode(path.read_bytes())
    for own, other in (("x", "x"), ("y", "y"), ("t_us", "t"), ("polarity", "p")):
        np.testing.assert_array_equal(ours[own], theirs[other])
