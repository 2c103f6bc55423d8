"""Folders as people have them: classes by name, splits, other files beside, files of several sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings import file_source
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.reading import Reading
from feast_codegen.host.recordings.source import Source, training_order
from tests.support.event_files import nmnist_bin, write_dat
from tests.support.networks import make_events

SENSOR = Sensor(34, 34)


def fill(root: Path, *names: str) -> Path:
    """Files below `root`: recordings by the end of their names, else something."""
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".bin" and not path.name.startswith("."):
            path.write_bytes(nmnist_bin(make_events(20, SENSOR, seed)))
        elif path.suffix == ".dat":
            write_dat(path, make_events(20, SENSOR, seed), SENSOR)
        elif path.suffix == ".txt" and not path.name.startswith("readme"):
            path.write_text("".join(f"{t} {t % 9} 3 1\n" for t in range(100, 160)), encoding="utf-8")
        else:
            path.write_bytes(b"something")
    return root


def opened(root: Path, **reading: Any) -> Source:
    return open_source(str(root), reading=Reading(**reading))


# Classes


def test_classes_by_name_are_sorted_and_kept(tmp_path: Path) -> None:
    source = opened(fill(tmp_path, "car/b.bin", "car/a.bin", "background/a.bin", "z 1/a.bin", "10/a.bin"))
    assert source.names == ("10/a.bin", "background/a.bin", "car/a.bin", "car/b.bin", "z 1/a.bin")
    assert source.labels == ("10", "background", "car", "car", "z 1")
    assert [stream.label for stream in source] == list(source.labels)
    assert source.left_out.lines() == []


def test_accents_are_composed_as_every_file_system_has_them_otherwise(tmp_path: Path) -> None:
    assert opened(fill(tmp_path, "cafe\u0301/a.bin", "car/a.bin")).labels == ("caf\u00e9", "car")


@pytest.mark.parametrize("name", ["a\nb", "a\u202eb", " car", "x" * 65, "a\udcff"])
def test_a_folder_that_cannot_name_a_class_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FeastError, match=r"the name of its folder: .* cannot name a class"):
        opened(fill(tmp_path, f"{name}/a.bin", "car/a.bin"))


def test_named_classes_are_spread_as_numbered_ones() -> None:
    names, numbers = ["car", None, "bus"] * 10, [1, None, 0] * 10
    assert training_order(names, 3) == training_order(numbers, 3)


# Splits


def test_splits_of_four_names_in_any_case(tmp_path: Path) -> None:
    names = ("test/1/a.bin", "Train/0/a.bin", "val/1/a.bin", "validation/0/a.bin", "other/0/a.bin")
    source = opened(fill(tmp_path, *names))
    assert source.names == ("train/0/a.bin", "val/1/a.bin", "validation/0/a.bin", "test/1/a.bin")
    assert list(source.splits) == ["train", "val", "validation", "test"]
    assert source.split("train").names == ("0/a.bin",)
    assert source.split("validation").spec == f"{tmp_path.name}/validation"
    assert source.where(0) == str(tmp_path / "Train" / "0" / "a.bin")
    assert source.left_out.lines() == ["1 folders left out: beside the splits train, val, validation, test"]
    assert opened(tmp_path / "val").spec == f"{tmp_path.name}/val"


def test_splits_whose_folders_end_in_their_names(tmp_path: Path) -> None:
    names = ("n-cars_train/cars/a.dat", "n-cars_train/background/a.dat", "n-cars_test/cars/b.dat")
    source = opened(fill(tmp_path, *names))
    assert source.names == ("train/background/a.dat", "train/cars/a.dat", "test/cars/b.dat")
    assert source.split("test").labels == ("cars",)
    # Classes that only end so hold recordings themselves.
    assert opened(fill(tmp_path / "b", "road_test/a.bin", "old_train/a.bin")).labels == (
        "old_train",
        "road_test",
    )


def test_one_kind_of_label_over_all_splits(tmp_path: Path) -> None:
    source = opened(fill(tmp_path, "train/0/a.bin", "train/1/a.bin", "test/other/a.bin"))
    assert source.labels == ("0", "1", "other")


def test_two_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FeastError, match="two folders for the split train: "):
        opened(fill(tmp_path, "train/0/a.bin", "TRAIN/0/a.bin"))


# What is beside the recordings


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("0/a.bin", "1/a.bin", "b.bin"), r"b.bin: beside class folders \(0, 1\); .*--exclude 'b.bin'"),
        (("0/a.bin", "b.bin", "c.csv"), r"b.bin and 1 more: beside class folders \(0\)"),
        (("train/0/a.bin", "test/0/a.bin", "b.bin"), "b.bin: lies beside the folders train, test; "),
        (("train/0/a.bin", "train/b.bin"), r"train/b.bin: beside class folders \(train/0\)"),
        (("0/a.bin", "1/a.tif", "1/b.tif"), r"1: a folder without .* it holds 2 files \.tif; .*'1/\*'"),
        (("0/a.bin", "1/a.txt"), r"1: a folder without recordings .* it holds 1 files \.txt"),
        (("0/a.bin", "1/sub/a.bin"), "1: a folder without recordings .* it holds 1 folders"),
        (("0/a.tif", "1/a.tif"), r"no recordings; 0/: it holds 1 files \.tif; 1/: .*; expected event files"),
        (("a/b/c/d.bin",), "no recordings; a/: it holds 1 folders; expected event files, <class>"),
        (("0/._a.bin", "__MACOSX/0/a.bin"), "no recordings; 1 files left out: hidden"),
    ],
)
def test_what_would_hide_or_lose_recordings_is_refused(
    names: tuple[str, ...], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(FeastError, match=problem) as refusal:
        opened(fill(tmp_path, *names))
    assert "\n" not in str(refusal.value)


def test_what_is_no_recording_is_left_out_and_counted(tmp_path: Path) -> None:
    fill(tmp_path, "0/a.bin", "0/._a.bin", "1/a.bin", ".DS_Store", "__MACOSX/0/._a.bin", "0/a_bbox.npy")
    fill(tmp_path, "1/rectify_map.h5", "README.md", "0/notes.md", "1/x.txt", "1/deeper/a.bin", "labels.csv")
    (tmp_path / "1" / "empty.bin").touch()
    source = opened(tmp_path)
    assert source.names == ("0/a.bin", "1/a.bin")
    assert source.left_out.lines() == [
        "1 files left out: *_bbox.npy, known side files",
        "1 files left out: .txt beside recordings of other formats (--files '*.txt')",
        "1 files left out: empty",
        "2 files left out: hidden (._*, .DS_Store, __MACOSX)",
        "1 files left out: labels.csv, known side files",
        "1 files left out: no recordings by the end of their names (.md)",
        "1 files left out: readme*, known side files",
        "1 files left out: rectify_map.h5, known side files",
        "1 folders left out: hidden (._*, .DS_Store, __MACOSX)",
        "1 folders left out: inside class folders",
    ]
    assert {"what": "files", "why": "empty", "count": 1} in source.left_out.values()


def test_text_files_are_recordings_where_there_are_no_others(tmp_path: Path) -> None:
    fill(tmp_path, "walk/a.txt", "run/a.txt", "readme.txt")
    source = opened(tmp_path, sensor=SENSOR)
    assert (source.labels, source.load(0).events.size) == (("run", "walk"), 60)
    fill(tmp_path, "run/b.bin", "walk/b.bin")
    assert opened(tmp_path, sensor=SENSOR).names == ("run/b.bin", "walk/b.bin")
    both = opened(tmp_path, sensor=SENSOR, files=("*.bin", "*.txt"))
    assert len(both) == 4


def test_a_pipe_among_the_recordings_is_left_out(tmp_path: Path) -> None:
    import os

    fill(tmp_path, "a.bin")
    os.mkfifo(tmp_path / "b.bin")
    source = opened(tmp_path)
    assert source.names == ("a.bin",)
    assert source.left_out.lines()[0].startswith("1 files left out: neither files nor folders")


# Choosing


def test_files_and_exclude_match_paths_and_parts_of_them(tmp_path: Path) -> None:
    fill(tmp_path, "0/a1.bin", "0/a2.bin", "1/a1.bin", "1/b.bin", "old/a1.bin", "c.bin")
    chosen = opened(tmp_path, files=("a*.bin",), exclude=("old", "0/*2.bin"))
    assert (chosen.names, chosen.labels) == (("0/a1.bin", "1/a1.bin"), (0, 1))
    assert chosen.left_out.lines() == [
        "1 files left out: --exclude 0/*2.bin",
        "1 files left out: --exclude old",
        "2 files left out: not of --files a*.bin",
    ]
    assert chosen.spec == f"{tmp_path.name} (files a*.bin, without old, without 0/*2.bin)"
    assert opened(tmp_path, files=("1",)).names == ("1/a1.bin", "1/b.bin")


def test_patterns_that_match_nothing(tmp_path: Path) -> None:
    fill(tmp_path, "0/a.bin", "1/a.bin")
    with pytest.raises(FeastError, match=r"no recordings; 2 files left out: not of --files \*.dat; expected"):
        opened(tmp_path, files=("*.dat",))
    with pytest.raises(FeastError, match=r"no recordings; 2 files left out: --exclude \*; expected"):
        opened(tmp_path, exclude=("*",))
    assert opened(tmp_path, exclude=("*.mat",)).left_out.lines() == ["--exclude *.mat matches no file"]
    with pytest.raises(FeastError, match=r"a.bin: is one file; --files and --exclude choose"):
        opened(tmp_path / "0" / "a.bin", files=("*",))
    with pytest.raises(FeastError, match="sim:bars: --files, --exclude and --labels are for files"):
        open_source("sim:bars", reading=Reading(exclude=("*",)))


# Sizes


def test_recordings_of_different_sizes_are_padded(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    small, wide = make_events(30, Sensor(20, 40), 1), make_events(30, Sensor(50, 10), 2)
    write_dat(tmp_path / "0" / "a.dat", small, Sensor(20, 40))
    write_dat(tmp_path / "0" / "b.dat", wide, Sensor(50, 10))
    source = opened(tmp_path)
    assert source.sensor == source.load(0).sensor == Sensor(50, 40)
    np.testing.assert_array_equal(source.load(0).events, small)
    padded = "recordings of 2 sizes, 50x10 to 20x40 pixels, are padded to {} at the right and below"
    assert source.left_out.lines() == [padded.format("50x40")]
    larger = opened(tmp_path, sensor=Sensor(64, 64))
    assert (larger.sensor, larger.left_out.lines()) == (Sensor(64, 64), [padded.format("64x64")])
    with pytest.raises(FeastError, match=r"b.dat: has a 50x10 sensor, not 40x40"):
        opened(tmp_path, sensor=Sensor(40, 40))
    one = opened(tmp_path / "0" / "a.dat", sensor=Sensor(50, 40))
    assert one.left_out.lines() == ["recordings of 20x40 pixels are padded to 50x40"]


def test_a_padded_recording_is_checked_against_its_own_size(tmp_path: Path) -> None:
    events = make_events(30, Sensor(20, 20), 1)
    write_dat(tmp_path / "b.dat", events, Sensor(40, 40))
    events["x"][7] = 25
    write_dat(tmp_path / "a.dat", events, Sensor(20, 20))
    source = opened(tmp_path)
    for part in (source, source.pick([0])):
        with pytest.raises(FeastError, match=r"a.dat: event 7: x=25 y=\d+ lies outside the 20x20 sensor"):
            part.load(0)
    assert opened(tmp_path, skip_bad_events=True).load(0).skipped == 1


def test_no_file_is_opened_for_the_list_of_those_without_a_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "0/a.bin", "1/a.bin")
    monkeypatch.setattr(Path, "open", None)
    assert len(opened(tmp_path)) == 2


def test_each_file_is_checked_once_when_it_is_in_a_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    inner = file_source.open_recording

    def counted(path: Path, **options: Any) -> Any:
        seen.append(path.name)
        return inner(path, **options)

    monkeypatch.setattr(file_source, "open_recording", counted)
    opened(fill(tmp_path, "train/0/a.dat", "test/0/b.dat"))
    assert seen == ["a.dat", "b.dat"]
