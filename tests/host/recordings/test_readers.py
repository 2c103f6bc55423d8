"""Readers of event files: against files written here byte by byte, other libraries, and real recordings."""

from __future__ import annotations

import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.readers import base, open_recording
from feast_codegen.host.recordings.readers.aedat4 import open_aedat4
from feast_codegen.host.recordings.readers.hdf5 import open_hdf5
from feast_codegen.host.recordings.reading import LeftOut
from feast_codegen.host.recordings.time_units import NO_TIME, microseconds
from tests.support import event_files as files
from tests.support.networks import make_events

SENSOR = Sensor(128, 96)


def library(name: str) -> Any:
    """An independent reader, or a visible skip."""
    return pytest.importorskip(name, reason=f"{name} is not installed")


def same(one: Events, other: Events) -> None:
    for name in EVENT_DTYPE.names or ():
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def csv(path: Path, events: Events, line: str = "{},{},{},{}\n", head: str = "") -> Path:
    path.write_text(head + "".join(line.format(*row) for row in files.rows(events)), encoding="utf-8")
    return path


def hdf5(path: Path, events: Events, offset_us: int = 0, **options: Any) -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        for name, ours in (("t", "t_us"), ("x", "x"), ("y", "y"), ("p", "polarity")):
            column = events[ours] - np.uint64(offset_us) if name == "t" else events[ours]
            file.create_dataset(f"events/{name}", data=column, **options)
        file["t_offset"] = np.int64(offset_us)
        file["ms_to_idx"] = np.arange(3)
    return path


def blosc(path: Path, events: Events) -> Path:
    return hdf5(path, events, chunks=(64,), **library("hdf5plugin").Blosc(cname="zstd"))


def save(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


def savez(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


Writer = Callable[[Path, Events], Path]
WRITERS: dict[str, tuple[str, Writer]] = {
    "bin": (".bin", lambda path, e: (path.write_bytes(files.nmnist_bin(e)), path)[1]),
    "EVT2": (".raw", lambda path, e: files.write_raw(path, "EVT2", files.evt2_words(e), SENSOR)),
    "EVT2.1": (".raw", lambda path, e: files.write_raw(path, "EVT21", files.evt21_words(e), SENSOR)),
    "EVT2.1 legacy": (
        ".raw",
        lambda path, e: files.write_raw(
            path,
            "EVT21",
            [(word << 32 | word >> 32) & (2**64 - 1) for word in files.evt21_words(e)],
            SENSOR,
            ";endianness=legacy",
        ),
    ),
    "EVT3": (".raw", lambda path, e: files.write_raw(path, "EVT3", files.evt3_words(e), SENSOR)),
    "EVT3 vectors": (
        ".raw",
        lambda path, e: files.write_raw(path, "EVT3", files.evt3_words(e, True), SENSOR),
    ),
    "DAT": (".dat", lambda path, e: files.write_dat(path, e, SENSOR)),
    "AEDAT2 DAVIS": (".aedat", lambda path, e: files.write_aedat2(path, e, "Davis346Blue", 346, 260)),
    "AEDAT2 DVS128": (".aedat", lambda path, e: files.write_aedat2(path, e, "DVS128", 128, 128)),
    "AEDAT3.1": (".aedat", lambda path, e: files.write_aedat31(path, [files.aedat31_packet(e)])),
    "AEDAT4": (".aedat4", lambda path, e: files.write_aedat4(path, e, SENSOR)),
    "es": (".es", lambda path, e: files.write_es(path, e, SENSOR)),
    "es ATIS": (".es", lambda path, e: files.write_es(path, e, SENSOR, atis=True)),
    "HDF5": (".h5", hdf5),
    "HDF5 gzip": (".hdf5", lambda path, e: hdf5(path, e, chunks=(64,), compression="gzip")),
    "HDF5 blosc": (".h5", blosc),
    "HDF5 DSEC offset": (".h5", lambda path, e: hdf5(path, e, offset_us=int(e["t_us"][0]))),
    "csv": (".csv", csv),
    "csv with names": (
        ".csv",
        lambda path, e: csv(path, e, "{0};{3};{2};{1}\n", "Timestamp;polarity;y;x\n"),
    ),
    "npy of tonic": (".npy", lambda path, e: save(path, files.tonic_array(e))),
    "npz of tonic": (".npz", lambda path, e: savez(path, notes=np.zeros(3), events=files.tonic_array(e))),
    "npz of columns": (
        ".npz",
        lambda path, e: savez(path, t=e["t_us"], x=e["x"], y=e["y"], p=np.where(e["polarity"] == 1, 1, -1)),
    ),
}


@pytest.fixture(params=list(WRITERS))
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Events]:
    """A file of each format and the events in it; time steps go from 0 to long ones."""
    suffix, write = WRITERS[request.param]
    events = make_events(700, SENSOR, seed=3, mean_gap_us=900.0)
    events["t_us"][10:14] = events["t_us"][10]
    return write(tmp_path / f"events{suffix}", events), events


def test_reads_what_was_written(written: tuple[Path, Events], monkeypatch: pytest.MonkeyPatch) -> None:
    path, events = written
    recording = open_recording(
        path, None if path.suffix not in (".h5", ".hdf5", ".csv", ".npy", ".npz") else SENSOR
    )
    same(recording.read(), events)
    assert recording.sensor is not None
    monkeypatch.setattr(base, "BLOCK_BYTES", 64)
    monkeypatch.setattr("feast_codegen.host.recordings.readers.text.BLOCK_BYTES", 64)
    monkeypatch.setattr("feast_codegen.host.recordings.readers.hdf5._CHUNK", 50)
    monkeypatch.setattr("feast_codegen.host.recordings.readers.arrays._CHUNK", 50)
    if path.suffix in (".h5", ".hdf5"):
        recording = open_hdf5(path)  # here, for its worker knows nothing of 50
    chunks = list(recording.chunks())
    same(np.concatenate(chunks), events)
    assert len(chunks) > 5 or "3.1" in str(path.read_bytes()[:12])


def test_every_cut_is_refused_with_its_byte_or_ends_between_events(written: tuple[Path, Events]) -> None:
    """A file cut anywhere is an error in one line, or the events up to there; never others."""
    path, events = written
    data, sensor = (
        path.read_bytes(),
        open_recording(path, SENSOR if path.suffix in _SIZELESS else None).sensor,
    )
    for cut in [0, 1, 5, 13, 21, *np.linspace(22, len(data) - 1, 25).astype(int)]:
        path.write_bytes(data[:cut])
        try:
            got = open_recording(path, sensor).read()
        except FeastError as error:
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            if path.suffix == ".csv" and got.size and not data[:cut].endswith(b"\n"):
                got = got[:-1]  # a number cut short is a number
            same(got, events[: got.size])
            assert got.size < events.size or path.suffix in (".h5", ".hdf5")


_SIZELESS = (".h5", ".hdf5", ".csv", ".npy", ".npz", ".bin")


@pytest.mark.parametrize(
    "suffix", [".raw", ".dat", ".aedat", ".aedat4", ".es", ".h5", ".csv", ".npy", ".npz"]
)
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 64, b"% \n" * 9, b"#!AER-DAT9\r\n" * 4, bytes(range(256)) * 8]
)
def test_foreign_files_are_refused_in_one_line(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"foreign{suffix}"
    path.write_bytes(content)
    with pytest.raises(FeastError) as refusal:
        open_recording(path, SENSOR).read()
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.binary(max_size=200), kind=st.sampled_from(["EVT2", "EVT21", "EVT3", "dat", "es", "aedat"]))
def test_any_bytes_give_events_or_one_line(data: bytes, kind: str, tmp_path: Path) -> None:
    heads = {
        "dat": b"% Version 2\n% Width 9\n% Height 9\n\x0c\x08",
        "es": b"Event Stream\x02\x00\x00\x01\x09\x00\x09\x00",
        "aedat": b"#!AER-DAT3.1\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n",
    }
    path = tmp_path / f"any.{kind if kind in heads else 'raw'}"
    path.write_bytes((heads[kind] if kind in heads else files.raw_header(kind, SENSOR)) + data)
    try:
        events = open_recording(path).read()
    except FeastError as error:
        assert "\n" not in str(error)
    else:
        assert events.dtype == EVENT_DTYPE and (events["polarity"] <= 1).all()


# Times that wrap, and what is left out


@pytest.mark.parametrize(
    ("name", "words", "period"),
    [
        ("EVT2", files.evt2_words, 2**34),
        ("EVT21", files.evt21_words, 2**34),
        ("EVT3", files.evt3_words, 2**24),
    ],
)
def test_evt_times_that_wrap_go_on(name: str, words: Any, period: int, tmp_path: Path) -> None:
    events = make_events(50, SENSOR)
    events["t_us"] = (np.arange(50) * (period // 7 // 64 * 64)).astype(np.uint64)
    same(open_recording(files.write_raw(tmp_path / "w.raw", name, words(events), SENSOR)).read(), events)


@pytest.mark.parametrize(
    "write", [files.write_dat, lambda p, e, s: files.write_aedat2(p, e, "DVS128", 128, 128)]
)
def test_32_bit_times_that_wrap_go_on(write: Any, tmp_path: Path) -> None:
    events = make_events(50, SENSOR)
    events["t_us"] = (np.arange(50) * 2**30 + 5).astype(np.uint64)
    suffix = ".dat" if write is files.write_dat else ".aedat"
    same(open_recording(write(tmp_path / f"w{suffix}", events, SENSOR)).read(), events)


@pytest.mark.parametrize(
    ("name", "words"),
    [("EVT2", files.evt2_words), ("EVT21", files.evt21_words), ("EVT3", files.evt3_words)],
)
def test_evt_addresses_the_largest_sensor(name: str, words: Any, tmp_path: Path) -> None:
    sensor = Sensor(2048, 2048)
    events = make_events(200, sensor)
    events["x"][:2], events["y"][:2] = 2047, (0, 2047)
    same(open_recording(files.write_raw(tmp_path / "w.raw", name, words(events), sensor)).read(), events)


def test_aedat31_counts_the_overflows_of_its_times(tmp_path: Path) -> None:
    events = make_events(20, SENSOR)
    late = events.copy()
    late["t_us"] += np.uint64(3 << 31)
    packets = [files.aedat31_packet(events), files.aedat31_packet(late)]
    path = files.write_aedat31(tmp_path / "a.aedat", packets)
    same(open_recording(path).read(), np.concatenate([events, late]))


def test_offsets_count_for_seconds_too() -> None:
    np.testing.assert_array_equal(microseconds(np.array([0.5, 1.25]), 7), [500_007, 1_250_007])
    np.testing.assert_array_equal(microseconds(np.array([5, 6], np.uint32), 2**40), [2**40 + 5, 2**40 + 6])
    np.testing.assert_array_equal(
        microseconds(np.array([2**63 + 5, 2**62, 3], np.uint64), 2**62 - 1), [NO_TIME, NO_TIME, 2**62 + 2]
    )
    np.testing.assert_array_equal(microseconds(np.array([-(2**63), -3], np.int64), 5), [NO_TIME, 2])


@pytest.mark.parametrize("offset", [2**62, -(2**63), 2**64 - 1, "text"])
def test_an_offset_that_no_time_can_bear_is_refused(offset: Any, tmp_path: Path) -> None:
    import h5py

    path = hdf5(tmp_path / "a.h5", make_events(20, SENSOR))
    with h5py.File(path, "a") as file:
        del file["t_offset"]
        file["t_offset"] = np.uint64(offset) if offset in (2**62, 2**64 - 1) else offset
    with pytest.raises(FeastError, match=r"a\.h5: .*(t_offset|invalid literal)"):
        open_recording(path, SENSOR).read()


def test_evt_leaves_out_events_of_unknown_time_and_other_words(tmp_path: Path) -> None:
    events = make_events(20, SENSOR)
    words = files.evt3_words(events)
    noise = [0xA001, 0xE123, 0xF456, 0x7002]
    path = files.write_raw(tmp_path / "a.raw", "EVT3", [0x2005, 0x4FFF, *noise, *words, *noise], SENSOR)
    same(open_recording(path).read(), events)
    path = files.write_raw(
        tmp_path / "a.raw", "EVT2", [0x10000000, *files.evt2_words(events), 0xA << 28], SENSOR
    )
    same(open_recording(path).read(), events)


@pytest.mark.parametrize(
    ("name", "words", "unknown"),
    [
        ("EVT2", files.evt2_words, [0xD0000001, 0xB0000000]),
        ("EVT21", files.evt21_words, [0x9 << 60, 0xC << 60]),
        ("EVT3", files.evt3_words, [0x9123, 0x1000, 0xBFFF, 0xC000, 0xD000]),
    ],
)
def test_words_of_unknown_types_are_counted(
    name: str, words: Any, unknown: list[int], tmp_path: Path
) -> None:
    events, left_out = make_events(20, SENSOR), LeftOut()
    encoded = words(events)
    path = files.write_raw(tmp_path / "a.raw", name, encoded[:9] + unknown + encoded[9:] + unknown, SENSOR)
    recording = open_recording(path, left_out=left_out)
    for _ in range(2):  # what is said of a recording twice counts once
        same(recording.read(), events)
    assert left_out.values() == [
        {"what": "words", "why": f"of no type that {name} defines", "count": 2 * len(unknown)}
    ]


def test_evt3_vectors_move_their_base(tmp_path: Path) -> None:
    """12, then 8 pixels: the base goes on by each mask's width."""
    words = [0x8000, 0x6007, 0x0005, 0x3800 | 10, 0x4FFF, 0x50FF, 0x5001]
    events = open_recording(files.write_raw(tmp_path / "v.raw", "EVT3", words, SENSOR)).read()
    np.testing.assert_array_equal(events["x"], np.arange(10, 31))
    assert set(events["t_us"]) == {7} and set(events["y"]) == {5} and set(events["polarity"]) == {1}


def test_aedat_leaves_out_frames_special_and_invalid_events(tmp_path: Path) -> None:
    events = make_events(30, SENSOR)
    path = files.write_aedat2(tmp_path / "a.aedat", events, "DAVIS240C", 240, 180)
    extra = np.array([0x80000000, 5, 0x400, 6], ">u4").tobytes()
    path.write_bytes(path.read_bytes() + extra)
    same(open_recording(path).read(), events)
    packets = [
        files.aedat31_packet(events[:10]),
        files.aedat31_packet(events[:5], kind=0),
        files.aedat31_packet(events[:5], valid=False),
        files.aedat31_packet(events[10:]),
    ]
    same(open_recording(files.write_aedat31(tmp_path / "b.aedat", packets)).read(), events)


def test_a_camera_without_a_name(tmp_path: Path) -> None:
    path = files.write_aedat2(tmp_path / "a.aedat", make_events(5, SENSOR), "DVS128", 128, 128)
    path.write_bytes(path.read_bytes().replace(b"DVS128", b"Retina"))
    with pytest.raises(FeastError, match=r"camera eu.*Retina; --sensor must choose .*128x128 \(DVS128\)"):
        open_recording(path)
    same(open_recording(path, Sensor(128, 128)).read(), make_events(5, SENSOR))


def test_times_in_seconds(tmp_path: Path) -> None:
    import h5py

    events = make_events(40, SENSOR)
    lines = [f"{t / 1e6:.6f} {x} {y} {p}\n" for t, x, y, p in files.rows(events)]
    (tmp_path / "a.txt").write_text("# t x y p\n\n" + "".join(lines), encoding="utf-8")
    same(open_recording(tmp_path / "a.txt", SENSOR).read(), events)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        table = np.zeros(40, [("ts", float), ("xs", "u2"), ("ys", "u2"), ("ps", "i1")])
        for theirs, ours in (("xs", "x"), ("ys", "y")):
            table[theirs] = events[ours]
        table["ts"], table["ps"] = events["t_us"] / 1e6, np.where(events["polarity"] == 1, 1, -1)
        file.create_dataset("cd/table", data=table)
        file.attrs["sensor_resolution"] = (96, 128)
    assert open_recording(tmp_path / "a.h5").sensor == SENSOR
    same(open_recording(tmp_path / "a.h5").read(), events)


def test_genx320_rows_of_openmv(tmp_path: Path) -> None:
    """Triggers are left out, seconds wrap after 65,536."""
    events = make_events(60, Sensor(320, 320), mean_gap_us=40_000.0)
    events["t_us"] += np.uint64(65_535_000_000)
    rows = files.genx320_rows(events)
    with_trigger = np.insert(rows, 7, [2, 65535, 5, 0, 0, 0], axis=0).astype(np.uint16)
    np.save(tmp_path / "a.npy", with_trigger)
    recording = open_recording(tmp_path / "a.npy")
    assert recording.sensor == Sensor(320, 320)
    same(recording.read(), events)
    np.savez(tmp_path / "a.npz", rows)
    same(open_recording(tmp_path / "a.npz").read(), events)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("5,1,2\n", "line '5,1,2' is no event"),
        ("5,1,2,x\n", "line '5,1,2,x' is no event"),
        ("5,-1,2,1\n", "line '5,-1,2,1' is no event"),
        ("5,1,2,7\n", "line '5,1,2,7' is no event"),
        ("-5,1,2,1\n", "line '-5,1,2,1' is no event"),
    ],
)
def test_a_bad_line_is_named_by_its_byte(line: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1,2,3,1\n4,5,6,true\n" + line + "9,1,1,0\n", encoding="utf-8")
    with pytest.raises(FeastError, match=f"a.csv: byte 19: {problem}"):
        open_recording(path, SENSOR).read()


def test_a_text_file_whose_first_event_lacks_its_time(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,p,t\n1,2\n", encoding="utf-8")
    with pytest.raises(FeastError, match=r"byte 8: line '1,2' is no event"):
        open_recording(tmp_path / "a.csv", SENSOR).read()


@pytest.mark.filterwarnings("error")
def test_a_text_file_whose_names_are_followed_by_nothing_but_remarks(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"t,x,y,p\n# no event\n \n\xa0\n")
    assert open_recording(tmp_path / "a.csv", SENSOR).read().size == 0
    with pytest.raises(FeastError, match=r"a.csv: no event is left"):
        open_source(str(tmp_path / "a.csv"), SENSOR).load(0)


def test_sizes(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", make_events(5, SENSOR))
    with pytest.raises(FeastError, match="does not say how large the sensor is; give --sensor WxH"):
        open_recording(path)
    path = files.write_dat(tmp_path / "a.dat", make_events(5, SENSOR), SENSOR)
    with pytest.raises(FeastError, match="has a 128x96 sensor, not 10x10"):
        open_recording(path, Sensor(10, 10))
    path.write_bytes(path.read_bytes().replace(b"% Width 128\n", b""))
    assert open_recording(path, Sensor(10, 10)).sensor == Sensor(10, 10)
    files.write_dat(tmp_path / "b.dat", make_events(5, SENSOR), Sensor(20, 20))
    files.write_dat(tmp_path / "a.dat", make_events(5, SENSOR), SENSOR)
    (tmp_path / "a.csv").unlink()
    assert open_source(str(tmp_path)).sensor == SENSOR


def test_npy_that_would_run_code_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object))
    with pytest.raises(FeastError, match="dtype object"):
        open_recording(tmp_path / "a.npy", SENSOR)


# Files that claim what is not there


def claims(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files, each with what is said of it; fuzzing found them to end in other errors, or never."""
    import h5py

    found = {}
    for name, shape, dtype in (("rows", (10**12,), "u8"), ("cells", (4, 10**9), "u1"), ("text", (3,), "S5")):
        path = folder / f"{name}.h5"
        with h5py.File(path, "w") as file:
            for column in "txyp":
                file.create_dataset(column, shape, dtype, chunks=tuple(min(side, 64) for side in shape))
        found[name] = (
            path,
            {"rows": "more than a file of", "cells": "expected one number"}.get(name, "not an"),
        )
    path = folder / "width.h5"
    with h5py.File(hdf5(path, make_events(9, SENSOR)), "r+") as file:
        file.attrs["width"], file.attrs["height"] = 0, 70_000
    found["width"] = (path, r"width.h5: sensor size '0x70000'")
    wide = np.zeros(3, [("t", "u8"), ("x", "u2"), ("y", "u2"), ("p", "u1"), ("more", "V100000")])
    found["wide"] = (save(folder / "wide.npy", wide), "expected rows of a few numbers")
    found["words"] = (
        savez(folder / "words.npz", **{name: np.array(["a", "b"]) for name in "txyp"}),
        "not an",
    )
    for name, damaged in (("name", (b"t.npy", b"t,npy")), ("brackets", (b"'shape': (9,)", b"'shape': ((9,"))):
        path = folder / f"{name}.npz"
        np.savez(path, **{column: np.zeros(9, "u4") for column in "txyp"})
        data = path.read_bytes()
        path.write_bytes(data.replace(*damaged, 1))
        found[name] = (path, "damaged|not a NumPy array")
    return found


@pytest.mark.parametrize("claim", ["rows", "cells", "text", "width", "wide", "words", "name", "brackets"])
def test_what_a_file_claims_is_not_believed(claim: str, tmp_path: Path) -> None:
    path, said = claims(tmp_path)[claim]
    with pytest.raises(FeastError, match=said) as refusal:
        open_recording(path, SENSOR).read()
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_panic_of_the_aedat_library_is_an_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no Exception in Python."""
    import aedat

    panic = type("PanicException", (BaseException,), {})

    def decoder(_: str) -> Any:
        raise panic("range start index 4128 out of range\nand more")

    monkeypatch.setattr(aedat, "Decoder", decoder)
    (tmp_path / "a.aedat4").write_bytes(b"#!AER-DAT4.0\r\n" + bytes(4))
    with pytest.raises(FeastError, match=r"not an AEDAT 4 file: range start index 4128 out of range$"):
        open_aedat4(tmp_path / "a.aedat4")


@pytest.mark.data
def test_the_size_of_an_aedat4_packet_is_not_believed(data: Path, tmp_path: Path) -> None:
    """The library would take as much memory."""
    whole = bytearray((data / "recordings" / "aestream_davis.aedat4").read_bytes())
    first = 18 + int.from_bytes(whole[14:18], "little")
    whole[first + 4 : first + 8] = (2**32 - 1).to_bytes(4, "little")
    (tmp_path / "a.aedat4").write_bytes(whole)
    with pytest.raises(FeastError, match=rf"byte {first}: damaged .* after event 0: a packet ends beyond"):
        open_recording(tmp_path / "a.aedat4").read()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.longdouble])
def test_numbers_of_any_width_are_compared_with_the_limits(kind: type, tmp_path: Path) -> None:
    rows = np.zeros(3, [("t", kind), ("x", kind), ("y", kind), ("p", kind)])
    rows["t"], rows["x"], rows["p"] = (1, 2, 3), (5, 6, 7), (0, 1, 1)
    np.save(tmp_path / "a.npy", rows)
    assert open_recording(tmp_path / "a.npy", SENSOR).read()["x"].tolist() == [5, 6, 7]
    rows["y"][1] = -np.finfo(kind).max
    np.save(tmp_path / "a.npy", rows)
    with pytest.raises(FeastError, match=r"row 1: not an event"):
        open_recording(tmp_path / "a.npy", SENSOR).read()


def test_names_in_a_file_do_not_break_the_line(tmp_path: Path) -> None:
    """Of members of an archive here; control sequences for a terminal do not get through either."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("events\n\x1b[2J.npy", b"")
    with pytest.raises(FeastError) as refusal:
        open_recording(tmp_path / "a.npz", SENSOR)
    assert str(refusal.value).isprintable() and r"events\n\x1b[2J" in str(refusal.value)


# Large files


@pytest.mark.parametrize("kind", ["EVT3", "DAT", "csv", "npz of tonic", "HDF5 gzip", "es", "AEDAT2 DAVIS"])
def test_memory_does_not_grow_with_the_file(kind: str, tmp_path: Path) -> None:
    """Peak of ten times the file is the peak of one, nearly; blocks are far smaller than either."""
    suffix, write = WRITERS[kind]
    peaks = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "BLOCK_BYTES", 1 << 14)
        patch.setattr("feast_codegen.host.recordings.readers.text.BLOCK_BYTES", 1 << 14)
        patch.setattr("feast_codegen.host.recordings.readers.hdf5._CHUNK", 1 << 12)
        patch.setattr("feast_codegen.host.recordings.readers.arrays._CHUNK", 1 << 12)
        for count in (8_000, 80_000):
            path = write(tmp_path / f"{count}{suffix}", make_events(count, SENSOR))
            in_here = suffix == ".hdf5"  # its worker's memory is not seen
            recording = (
                open_hdf5(path) if in_here else open_recording(path, SENSOR if suffix in _SIZELESS else None)
            )
            next(recording.chunks())
            tracemalloc.start()
            assert sum(chunk.size for chunk in recording.chunks()) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 100_000


def test_training_reads_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same model as from memory, though no piece is the whole."""
    from dataclasses import replace

    from feast_codegen.codegen.model.model import Hyperparameters
    from feast_codegen.host.network.training import train

    files.write_dat(tmp_path / "a.dat", make_events(4000, SENSOR), SENSOR)
    params = Hyperparameters(features=4, radius=2)
    source = open_source(str(tmp_path / "a.dat"))
    whole = train(replace(source, read_chunks=None), params).model
    monkeypatch.setattr(base, "BLOCK_BYTES", 1000)
    assert len(list(source.load_chunks(0))) == 32
    assert train(source, params).model.model_id == whole.model_id


def test_bad_events_are_found_across_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = make_events(300, SENSOR)
    events["t_us"][125] = events["t_us"][124] - np.uint64(1)  # the first of a piece
    events["x"][260] = 200
    path = files.write_dat(tmp_path / "a.dat", events, SENSOR)
    monkeypatch.setattr(base, "BLOCK_BYTES", 1000)
    with pytest.raises(FeastError, match=r"a.dat: event 125: t=\d+ us is earlier than the event before it"):
        list(open_source(str(path)).load_chunks(0))
    skipping = open_source(str(path), skip_bad_events=True)
    pieces = list(skipping.load_chunks(0))
    assert sum(piece.skipped for piece in pieces) == 2
    same(np.concatenate([piece.events for piece in pieces]), skipping.load(0).events)


# Other libraries, on files of theirs and of ours


def theirs(columns: Any, t: str = "t", p: str = "p") -> Events:
    return base.make_events(columns[t], columns["x"], columns["y"], columns[p])


def real_events(data: Path) -> Events:
    """The first 100,000 events of a DAVIS346, from 0 on."""
    events = open_recording(data / "recordings" / "aestream_davis.aedat4").read()[:100_000]
    events["t_us"] -= events["t_us"][0]
    return events


@pytest.mark.data
@pytest.mark.parametrize("name", ["sepia_dvs.es", "loris_test.es", "aestream_davis.aedat4"])
def test_real_files_equal_faery(name: str, data: Path) -> None:
    """faery turns the rows of .es files round; the format itself names no origin."""
    faery = library("faery")
    path = data / "recordings" / name
    recording = open_recording(path)
    events = recording.read()
    packets = np.concatenate(list(faery.events_stream_from_file(path)))
    assert recording.sensor is not None
    if path.suffix == ".es":
        packets["y"] = recording.sensor.height - 1 - packets["y"]
    same(events, theirs(packets))
    stream = open_source(str(path)).load(0)
    assert stream.events.size == {"s": 476_203, "l": 4_407, "a": 117_667}[name[0]]


@pytest.mark.data
@pytest.mark.parametrize("version", ["evt2", "evt3", "dat2", "aedat4"])
def test_files_that_faery_writes(version: str, data: Path, tmp_path: Path) -> None:
    faery = library("faery")
    davis = data / "recordings" / "aestream_davis.aedat4"
    path = tmp_path / ("a.dat" if version == "dat2" else "a.aedat4" if version == "aedat4" else "a.raw")
    options = {} if version == "aedat4" else {"version": version}
    faery.events_stream_from_file(davis).to_file(path, **options)
    events, original = open_recording(path).read(), open_recording(davis).read()
    if version != "aedat4":
        original["t_us"] -= original["t_us"][0]
        events["t_us"] -= events["t_us"][0]
    assert events.size == original.size
    order = ("polarity", "y", "x", "t_us")
    same(np.sort(events, order=order[::-1]), np.sort(original, order=order[::-1]))


@pytest.mark.data
@pytest.mark.parametrize("vectors", [False, True])
def test_evt3_equals_the_library_evt3(vectors: bool, data: Path, tmp_path: Path) -> None:
    evt3 = library("evt3")
    events, sensor = real_events(data), Sensor(346, 260)
    path = files.write_raw(tmp_path / "a.raw", "EVT3", files.evt3_words(events, vectors), sensor)
    decoded = evt3.decode_file(str(path))
    columns = {name: np.asarray(getattr(decoded, name)) for name in ("x", "y")}
    t, p = (np.asarray(getattr(decoded, name)) for name in _evt3_names(decoded))
    same(open_recording(path).read(), base.make_events(t, columns["x"], columns["y"], p))


def _evt3_names(decoded: Any) -> tuple[str, str]:
    return ("timestamp" if hasattr(decoded, "timestamp") else "t"), (
        "polarity" if hasattr(decoded, "polarity") else "p"
    )


@pytest.mark.data
@pytest.mark.parametrize("kind", ["EVT2", "EVT3", "EVT3 vectors", "DAT"])
def test_prophesee_files_equal_eventcv(kind: str, data: Path, tmp_path: Path) -> None:
    eventcv = library("eventcv")
    events, sensor = real_events(data), Sensor(346, 260)
    words = {"EVT2": files.evt2_words, "EVT3": files.evt3_words}
    if kind == "DAT":
        path = files.write_dat(tmp_path / "a.dat", events, sensor)
    else:
        encoded = files.evt3_words(events, True) if kind == "EVT3 vectors" else words[kind](events)
        path = files.write_raw(tmp_path / "a.raw", kind.split()[0], encoded, sensor)
    x, y, t, p = eventcv.load(str(path)).numpy().T
    same(open_recording(path).read(), base.make_events(t, x, y, p > 0))


@pytest.mark.data
@pytest.mark.parametrize("encoding", ["evt2", "dat"])
def test_prophesee_files_equal_expelliarmus(encoding: str, data: Path, tmp_path: Path) -> None:
    library("expelliarmus")
    from expelliarmus import Wizard

    events, sensor = real_events(data), Sensor(346, 260)
    if encoding == "dat":
        path = files.write_dat(tmp_path / "a.dat", events, sensor)
    else:
        path = files.write_raw(tmp_path / "a.raw", "EVT2", files.evt2_words(events), sensor)
    same(open_recording(path).read(), theirs(Wizard(encoding=encoding).read(path)))


def test_aedat2_equals_eventcv_but_for_its_columns(tmp_path: Path) -> None:
    """eventcv leaves x as it is stored; jAER, who defines the format, mirrors it."""
    eventcv = library("eventcv")
    path = files.write_aedat2(tmp_path / "a.aedat", make_events(500, SENSOR), "Davis346Blue", 346, 260)
    x, y, t, p = eventcv.load(str(path)).numpy().T
    same(open_recording(path).read(), base.make_events(t, 345 - x, y, p > 0))


def test_dsec_equals_eventcv(tmp_path: Path) -> None:
    eventcv = library("eventcv")
    path = hdf5(tmp_path / "a.h5", make_events(5000, SENSOR), compression="gzip")
    x, y, t, p = eventcv.load(str(path), sensor_size=(128, 96), time_unit="us").numpy().T
    same(open_recording(path, SENSOR).read(), base.make_events(t, x, y, p > 0))


@pytest.mark.data
def test_a_cut_aedat4_is_named_by_its_byte(data: Path, tmp_path: Path) -> None:
    whole = (data / "recordings" / "aestream_davis.aedat4").read_bytes()
    for cut in (200_000, 700_000):
        (tmp_path / "cut.aedat4").write_bytes(whole[:cut])
        with pytest.raises(
            FeastError, match=r"cut.aedat4: byte (\d+): damaged or truncated after event \d+"
        ) as refusal:
            open_recording(tmp_path / "cut.aedat4").read()
        at = int(str(refusal.value).split("byte ")[1].split(":")[0])
        assert cut - 100_000 < at < cut


@pytest.mark.data
def test_evt21_equals_evutils(data: Path, tmp_path: Path) -> None:
    """evutils reads the order with swapped halves only; it is under the GPL, so no extra installs it."""
    reader = library("evutils.io").EventReader
    events, sensor = real_events(data), Sensor(346, 260)
    words = [(word << 32 | word >> 32) & (2**64 - 1) for word in files.evt21_words(events)]
    path = files.write_raw(tmp_path / "a.raw", "EVT21", words, sensor, ";endianness=legacy")
    same(open_recording(path).read(), theirs(reader(str(path)).read_all()))
