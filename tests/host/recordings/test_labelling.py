"""Tables of labels, segments, equal pieces, and what cross-validations keep together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings import segments
from feast_codegen.host.recordings.groups import grouped as apply
from feast_codegen.host.recordings.in_memory import source_from, streams_from
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.reading import Reading
from feast_codegen.host.recordings.segments import Segment, cut, split_every
from feast_codegen.host.recordings.source import Source
from tests.support.event_files import nmnist_bin
from tests.support.networks import make_events

SENSOR = Sensor(34, 34)


def events_at(*times_us: int) -> Events:
    events = make_events(len(times_us), SENSOR)
    events["t_us"] = times_us
    return events


def fill(root: Path, *names: str) -> Path:
    """Recordings of 100 events, one a millisecond from 1,000 us on."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(nmnist_bin(events_at(*range(1000, 101_000, 1000))))
    return root


def opened(root: Path, table: str | None = None, /, **reading: Any) -> Source:
    if table is not None:
        (root / "table.csv").write_text(table, encoding="utf-8")
        reading["labels"] = str(root / "table.csv")
    return open_source(str(root), reading=Reading(**reading))


# Tables


def test_a_table_cuts_and_labels_segments(tmp_path: Path) -> None:
    fill(tmp_path, "a.bin", "b.bin", "c.bin")
    rows = "file,class,start_us,end_us\nb.bin,clap,5000,9000\na.bin,wave,2000,4000\nb.bin,wave,1000,5000\n"
    source = opened(tmp_path, rows)
    assert source.names == ("a.bin[2000-4000us]", "b.bin[1000-5000us]", "b.bin[5000-9000us]")
    assert source.labels == ("wave", "wave", "clap")
    assert source.groups == ("a.bin", "b.bin", "b.bin")
    assert [stream.events["t_us"].tolist() for stream in source] == [
        [2000, 3000],
        [1000, 2000, 3000, 4000],
        [5000, 6000, 7000, 8000],
    ]
    assert [piece.events.size for piece in source.load_chunks(1)] == [4]
    assert source.left_out.lines() == [
        "1 recordings left out: without a label in table.csv",
        "table.csv cuts recordings into 3 segments; what lies outside is left out",
    ]
    assert source.spec.startswith(f"{tmp_path.name} (labels table.csv ")
    assert source.spec != opened(tmp_path, rows.replace("9000", "8000")).spec, "another table, another source"


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("file,class,start_ms,end_ms", "a.bin,7,2,4.0"),
        ("\ufeffRecording; no".replace("; no", ",Label,start_s,end_s"), '"a.bin" , 7, 0.002,0.004'),
        ("note,end_us,path,start_us,class", "x,4000,./a.bin,2000,7"),
        ("class,startTime_usec,endTime_usec", "7,2000,4000"),
    ],
)
def test_columns_and_units_of_tables(head: str, row: str, tmp_path: Path) -> None:
    source = opened(fill(tmp_path, "a.bin"), f"{head}\n\n{row}\n")
    assert (source.labels, source.load(0).events["t_us"].tolist()) == ((7,), [2000, 3000])


def test_whole_files_and_open_ends(tmp_path: Path) -> None:
    fill(tmp_path, "0/a.bin", "1/b.bin")
    whole = opened(tmp_path, "file,class\n0/a.bin,cat\nb.bin,dog\n")
    assert (whole.names, whole.labels) == (("0/a.bin", "1/b.bin"), ("cat", "dog"))
    assert whole.load(1).events.size == 100
    ends = opened(tmp_path, "file,class,start_us,end_us\n0/a.bin,cat,98000,\nb.bin,dog,,3000\n")
    assert [stream.events.size for stream in ends] == [3, 2]


def test_one_recording_by_windows_of_time(tmp_path: Path) -> None:
    fill(tmp_path, "a.bin")
    table = tmp_path / "windows.csv"
    table.write_text("class,start_us,end_us\n0,1000,3000\n1,3000,5000\n0,5000,7000\n", encoding="utf-8")
    source = open_source(str(tmp_path / "a.bin"), reading=Reading(labels=str(table)))
    assert (source.labels, set(source.groups)) == ((0, 1, 0), {"a.bin"})
    fill(tmp_path, "b.bin")
    with pytest.raises(FeastError, match=r"windows.csv: has no column file, and .* holds 2 recordings"):
        opened(tmp_path, labels=str(table), exclude=("table.csv",))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("", "table.csv: empty; expected columns file, class, start_us, end_us"),
        ("file,start_us,end_us\na.bin,1,2\n", "line 1: the columns are file, start_us, end_us; expected"),
        ("class\n1\n", "line 1: the columns are class; expected columns"),
        ("file,class,class\na.bin,1,2\n", "line 1: two columns have the same name"),
        ("file,class\n", "no line below the names of the columns"),
        ("file,class\na.bin\n", "line 2: 1 fields, expected 2"),
        ("file,class\na.bin,\n", r"line 2: column class: '' cannot name a class"),
        ("file,class\n,x\n", "line 2: no file"),
        ("file,class\nz.bin,x\n", r"line 2: there is no recording 'z.bin', or several, in .*holds a.bin"),
        ("file,class,start_us,end_us\na.bin,x,5,5\n", "line 2: a segment from 5 to 5 holds nothing"),
        ("file,class,start_us,end_us\n\na.bin,x,-5,5\n", "line 3: time '-5': expected a number from 0"),
        ("file,class,start_us,end_us\na.bin,x,0.5,5\n", "line 2: time '0.5': expected .* whole microseconds"),
        ("file,class,start_us,end_us\na.bin,x,0,1e99\n", "line 2: time '1e99'"),
        ("file,class,start_us,end_us\na.bin,x,0,99999999999999999999\n", "line 2: time '9999"),
        ("a,b\x00c\n", "line 1: "),
        ("action,label\nwave,1\n", r"table.csv: beside no recording of .* lies its NAME_labels.csv"),
    ],
)
def test_tables_that_are_refused(table: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(FeastError, match=problem) as refusal:
        opened(fill(tmp_path, "a.bin"), table)
    assert "\n" not in str(refusal.value)


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    fill(tmp_path, "a.bin", "b.bin")
    with pytest.raises(FeastError, match=r"none.csv: cannot read: No such file"):
        opened(tmp_path, labels=str(tmp_path / "none.csv"))
    with pytest.raises(FeastError, match=r"a.bin: (byte \d+: not UTF-8|line)"):
        opened(tmp_path, labels=str(tmp_path / "a.bin"))
    with pytest.raises(FeastError, match="cannot read: Is a directory"):
        opened(tmp_path, labels=str(tmp_path))


def test_a_segment_without_events_names_the_times_of_its_recording(tmp_path: Path) -> None:
    source = opened(fill(tmp_path, "a.bin"), "class,start_s,end_s\nx,1,2\n")
    with pytest.raises(
        FeastError, match=r"a.bin: no event from 1000000 to 2000000 us; .* from 1000 to 100000"
    ):
        source.load(0)


def test_lines_without_a_recording_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, "0/a.bin", "1/a.bin", "1/b.bin")
    source = opened(tmp_path, "file,class\na.bin,x\nb.bin,y\nz.bin,y\n")
    assert (source.names, source.labels) == (("1/b.bin",), ("y",))
    assert "2 labels left out: of recordings that are not there, or not once, in table.csv" in (
        source.left_out.lines()
    )


# DVS128 Gesture as it is distributed


@pytest.fixture
def gesture(tmp_path: Path) -> Path:
    fill(tmp_path, "user01_led.bin", "user01_natural.bin", "user02_led.bin")
    for name in ("user01_led", "user01_natural", "user02_led"):
        rows = "class,startTime_usec,endTime_usec\n1,2000,5000\n2,6000,9000\n"
        (tmp_path / f"{name}_labels.csv").write_text(rows, encoding="utf-8")
    (tmp_path / "gesture_mapping.csv").write_text(
        "action,label\nhand_clapping,1\nother,2\n", encoding="utf-8"
    )
    return tmp_path


@pytest.mark.parametrize("table", [None, "gesture_mapping.csv"])
def test_the_gesture_set_needs_no_preparation(table: str | None, gesture: Path) -> None:
    source = opened(gesture, labels=table and str(gesture / table))
    assert source.labels == ("hand_clapping", "other") * 3
    assert source.names[1] == "user01_led.bin[6000-9000us]"
    assert source.groups == ("user 1",) * 4 + ("user 2",) * 2
    assert source.left_out.lines() == [
        "*_labels.csv cuts recordings into 6 segments; what lies outside is left out",
        "cross-validations keep recordings together by the person in their names: 2 groups "
        "(user 1, user 2, ...); --groups chooses others",
    ]
    assert source.splits == {}


def test_the_lists_of_the_gesture_set_are_its_splits(gesture: Path) -> None:
    (gesture / "trials_to_train.txt").write_text("user01_led.bin\nuser01_natural.bin\n", encoding="utf-8")
    (gesture / "trials_to_test.txt").write_text("user02_led.bin\n", encoding="utf-8")
    source = opened(gesture)
    assert [len(source.split(name)) for name in ("train", "test")] == [4, 2]
    assert source.split("test").spec == f"{gesture.name}/test"
    (gesture / "trials_to_test.txt").write_text("user03_led.bin\n", encoding="utf-8")
    with pytest.raises(FeastError, match=r"trials_to_test.txt: names none of the recordings"):
        opened(gesture)


def test_one_recording_of_the_gesture_set(gesture: Path) -> None:
    table = str(gesture / "user01_led_labels.csv")
    one = open_source(str(gesture / "user01_led.bin"), reading=Reading(labels=table))
    assert one.labels == ("hand_clapping", "other")
    assert open_source(str(gesture / "user01_led.bin")).labels == (None,), "one file is not cut unasked"
    assert len(opened(gesture, labels=table)) == 2, "the name of the table says which"
    (gesture / "gesture_mapping.csv").unlink()
    assert opened(gesture).labels == (1, 2) * 3


def test_tables_of_another_kind_are_side_files(tmp_path: Path) -> None:
    fill(tmp_path, "a.bin")
    (tmp_path / "a_labels.csv").write_text("frame,box\n1,2\n", encoding="utf-8")
    source = opened(tmp_path)
    assert (source.labels, source.left_out.lines()) == (
        (None,),
        ["1 files left out: *_labels.csv, known side files"],
    )


# Segments


@given(
    times=st.lists(st.integers(0, 3000), min_size=1, max_size=60).map(sorted),
    start_us=st.integers(0, 3000),
    length_us=st.integers(1, 3000),
    chunk=st.integers(1, 20),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_segment_holds_the_events_of_its_time(
    times: list[int], start_us: int, length_us: int, chunk: int
) -> None:
    events = events_at(*times)
    source = Source(
        "x",
        SENSOR,
        ("a",),
        (None,),
        read=lambda index: events,
        where=lambda index: "a",
        read_chunks=lambda index: (events[at : at + chunk] for at in range(0, events.size, chunk)),
    )
    end_us = start_us + length_us
    wanted = events[(events["t_us"] >= start_us) & (events["t_us"] < end_us)]
    part = cut(source, [Segment(0, start_us, end_us, "x")])
    if wanted.size:
        np.testing.assert_array_equal(part.load(0).events, wanted)
    else:
        with pytest.raises(FeastError, match="a: no event from"):
            part.load(0)
    length_ms = max(1, length_us // 1000)
    pieces = split_every(source, length_ms)
    np.testing.assert_array_equal(np.concatenate([each.events for each in pieces]), events)
    assert all(each.events.size and each.duration_us < 1000 * length_ms for each in pieces)


def test_pieces_keep_labels_and_stay_together(tmp_path: Path) -> None:
    source = opened(fill(tmp_path, "car/a.bin", "bus/b.bin"), split_every_ms=40)
    assert source.names[:2] == ("bus/b.bin[1000-41000us]", "bus/b.bin[41000-81000us]")
    assert source.labels == ("bus",) * 3 + ("car",) * 3
    assert len(set(source.groups)) == 2
    assert source.left_out.lines() == ["recordings are cut into 6 pieces of 40 ms"]
    assert source.spec.endswith(" (pieces of 40 ms)")
    assert len(open_source("sim:bars?count=2", reading=Reading(split_every_ms=100)).labels) > 2


def test_pieces_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a.bin")
    monkeypatch.setattr(segments, "MOST_SEGMENTS", 10)
    with pytest.raises(FeastError, match=r"a.bin: --split-every 1 makes more than 10 pieces"):
        opened(tmp_path, split_every_ms=1)
    with pytest.raises(FeastError, match="--split-every 0: expected 1 to"):
        opened(tmp_path, split_every_ms=0)


def test_filters_and_bad_events_come_before_and_after(tmp_path: Path) -> None:
    events = events_at(1000, 2000, 1500, 3000)
    (tmp_path / "a.bin").write_bytes(nmnist_bin(events))
    table = "class,start_us,end_us\nx,0,2000\ny,2000,9000\n"
    with pytest.raises(FeastError, match=r"a.bin: event 2: t=1500 us is earlier"):
        [*opened(tmp_path, table)]
    found = [
        stream.events["t_us"].tolist()
        for stream in opened(tmp_path, table, skip_bad_events=True, max_bad_share=0.5)
    ]
    assert found == [[1000], [2000, 3000]]


# Groups


def grouped(names: list[str], rule: str = "auto") -> Source:
    streams = streams_from([events_at(1)] * len(names), sensor=SENSOR)
    return apply(replace(source_from(streams), names=tuple(names)), rule)


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["1/user01_a.dat", "2/user1_b.dat", "1/user02_a.dat"], ("user 1", "user 1", "user 2")),
        (["Subject-3.bin", "x/subject_3_b.bin", "c.bin"], ("subject 3", "subject 3", "c.bin")),
        (["1/walk_clip001.bin", "1/walk_clip002.bin", "2/run_clip001.bin"], ("walk", "walk", "run")),
        (["a-part1.raw", "a-part2.raw", "b.raw"], ("a", "a", "b.raw")),
        (["user1_a.bin", "user1_b.bin"], ()),  # one group alone is no rule
        (["0/00002.bin", "1/00004.bin", "1/superuser1x.bin"], ()),
        (["0/clip1.bin", "0/clip2.bin"], ()),
    ],
)
def test_groups_by_names(names: list[str], groups: tuple[str, ...]) -> None:
    source = grouped(names)
    assert source.groups == groups
    assert bool(groups) == bool(source.left_out.lines())
    assert grouped(names, "file").groups == ()


def test_groups_by_an_expression() -> None:
    assert grouped(["a1_x", "a2_y", "b1_z"], r"^(.)\d").groups == ("a", "a", "b")
    source = grouped(["a1_x", "a2_y", "b1_z"], r"\d")
    assert source.groups == ("1", "2", "1")
    assert source.left_out.lines() == ["cross-validations keep recordings together by --groups \\d: 2 groups"]
    with pytest.raises(FeastError, match=r"--groups '\(': expected auto, file or a regular expression: "):
        grouped(["a"], "(")
    with pytest.raises(FeastError, match=r"--groups 'b' matches nothing in the name 'a'"):
        grouped(["b", "a"], "b")
