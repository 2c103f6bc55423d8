"""Files of several cameras, sources, streams or groups: one is read, and which is said or chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import open_recording
from feast_codegen.host.recordings.reading import LeftOut, Reading
from tests.support import event_files as files
from tests.support.networks import make_events

SENSOR = Sensor(128, 96)
EVENTS = make_events(600, SENSOR, seed=8)
AEDAT2 = [
    ("DVS128", 128, 128),
    ("DAVIS240C", 240, 180),
    ("Davis346red", 346, 260),
    ("Davis346BColor", 346, 260),
    ("Davis208PixelParade", 208, 192),
    ("Davis640", 640, 480),
]


def several(folder: Path, kind: str) -> tuple[Path, list[tuple[str, Events]]]:
    """A file, and the names and events of its streams."""
    import h5py

    halves = [EVENTS[:300], EVENTS[300:]]
    if kind == "cameras":
        path = files.write_aedat2(folder / "a.aedat", EVENTS, "MultiDAVIS346BCameraChip", 346, 260, cameras=3)
        return path, [(str(number), EVENTS[number::3]) for number in range(3)]
    if kind == "sources":
        packets = [files.aedat31_packet(half, source=number) for number, half in enumerate(halves, 1)]
        frames = files.aedat31_packet(EVENTS[:9], kind=2, source=3)
        path = files.write_aedat31(folder / "b.aedat", [frames, *packets], "DVS128\r\n#Source 2: DVS128")
        return path, [*zip("12", halves, strict=True)]
    if kind == "streams":
        path = files.write_aedat4(folder / "a.aedat4", EVENTS, SENSOR, packet=100, streams=2)
        parts = np.split(EVENTS, 6)
        return path, [(str(first), np.concatenate(parts[first::2])) for first in range(2)]
    if kind == "groups":
        with h5py.File(folder / "a.h5", "w") as file:
            for side, half in zip(("left", "right"), halves, strict=True):
                for name, ours in (("t", "t_us"), ("x", "x"), ("y", "y"), ("p", "polarity")):
                    file[f"cams/{side}/{name}"] = half[ours]
        return folder / "a.h5", [*zip(("cams/left", "cams/right"), halves, strict=True)]
    np.savez(folder / "a.npz", **dict(zip(("one", "two"), map(files.tonic_array, halves), strict=True)))
    return folder / "a.npz", [*zip(("one", "two"), halves, strict=True)]


@pytest.mark.parametrize("kind", ["cameras", "sources", "streams", "groups", "arrays"])
def test_streams_are_never_merged(kind: str, tmp_path: Path) -> None:
    path, streams = several(tmp_path, kind)
    sensor = SENSOR if kind in ("groups", "arrays") else None
    left_out = LeftOut()
    for name, events in streams:
        for called in {name, name.rpartition("/")[2]}:
            recording = open_recording(path, sensor, reading=Reading(stream=called), left_out=left_out)
            np.testing.assert_array_equal(recording.read(), files.expected(events))
    assert left_out.lines() == []
    recording = open_recording(path, sensor, left_out=left_out)
    for _ in range(2):
        np.testing.assert_array_equal(recording.read(), files.expected(streams[0][1]))
    names = ", ".join(name for name, _ in streams)
    says = (
        rf"of {len(streams)} {kind} \({names}\) the first, {streams[0][0]}, is read; --stream chooses another"
    )
    (line,) = left_out.lines()
    assert line == says.replace("\\", "")
    with pytest.raises(FeastError, match=rf"--stream 'none': there is none; its {kind} are {names}"):
        open_recording(path, sensor, reading=Reading(stream="none"))


def test_a_name_of_several_groups_chooses_none(tmp_path: Path) -> None:
    path, _ = several(tmp_path, "groups")
    with pytest.raises(FeastError, match="--stream 'cams': several are called so"):
        open_recording(path, SENSOR, reading=Reading(stream="cams"))


@pytest.mark.parametrize("name", ["a.csv", "a.raw", "a.es", "a.npy"])
def test_formats_of_one_stream_take_no_choice(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"1,2,3,1\n")
    with pytest.raises(FeastError, match=r"--stream is for \.aedat .*, not for"):
        open_recording(tmp_path / name, SENSOR, reading=Reading(stream="1"))
    path = files.write_aedat2(tmp_path / "a.aedat", EVENTS, "DVS128", 128, 128)
    with pytest.raises(FeastError, match="--stream '1': the file is of one camera, a DVS128"):
        open_recording(path, reading=Reading(stream="1"))


# Cameras of AEDAT 2


@pytest.mark.parametrize(("chip", "width", "height"), AEDAT2)
def test_cameras_are_known_by_their_class(chip: str, width: int, height: int, tmp_path: Path) -> None:
    sensor = Sensor(width, height)
    events = make_events(300, sensor, seed=9)
    recording = open_recording(files.write_aedat2(tmp_path / "a.aedat", events, chip, width, height))
    assert recording.sensor == sensor
    np.testing.assert_array_equal(recording.read(), files.expected(events))


@pytest.mark.parametrize(
    "chip",
    [
        "DVS1280x720SD",
        "DVS128andCochleaAMS1b",
        "DVS128StereoPair",
        "DVS640",
        "DVXplorer",
        "CDAVIS",
        "MultiDVS128",
    ],
)
def test_cameras_of_other_layouts_are_refused_by_name(chip: str, tmp_path: Path) -> None:
    path = files.write_aedat2(tmp_path / "a.aedat", EVENTS, "DVS128", 128, 128)
    path.write_bytes(path.read_bytes().replace(b"davis.DVS128", chip.encode()))
    for sensor in (None, Sensor(128, 128)):
        with pytest.raises(FeastError, match=rf"AEDAT 2 of the camera .*{chip}, whose layout .* is unknown"):
            open_recording(path, sensor)


@pytest.mark.parametrize("size", ["346x260", "240x180", "640x480", "128x128"])
def test_the_sensor_chooses_the_layout_where_no_camera_is_named(size: str, tmp_path: Path) -> None:
    sensor = Sensor.parse(size)
    events = make_events(300, sensor, seed=9)
    chip = "DVS128" if size == "128x128" else "any"
    path = files.write_aedat2(tmp_path / "a.aedat", events, chip, sensor.width, sensor.height, named=False)
    with pytest.raises(
        FeastError, match=r"names no camera; --sensor must choose its layout: 346x260 \(DAVIS346\)"
    ):
        open_recording(path)
    with pytest.raises(FeastError, match="--sensor must choose its layout"):
        open_recording(path, Sensor(64, 64))
    np.testing.assert_array_equal(open_recording(path, sensor).read(), files.expected(events))
    other = Sensor(128, 128) if size != "128x128" else Sensor(346, 260)
    with pytest.raises(FeastError, match=r"a\.aedat: byte \d+: address 0x\w+ has bits that none of a"):
        open_recording(path, other).read()


def test_several_cameras_under_the_name_of_one_are_refused(tmp_path: Path) -> None:
    path = files.write_aedat2(tmp_path / "a.aedat", EVENTS, "Davis346B", 346, 260, cameras=4)
    start = path.read_bytes().rindex(b"\r\n") + 2
    with pytest.raises(
        FeastError, match=rf"byte {start + 8}: address 0x\w+ has bits that none of a DAVIS346 has"
    ):
        open_recording(path).read()


def test_a_header_line_of_any_length(tmp_path: Path) -> None:
    """jAER writes its settings into one line."""
    path = files.write_aedat2(tmp_path / "a.aedat", EVENTS, "DVS128", 128, 128)
    head, mark, rest = path.read_bytes().partition(b"# AEChip")
    path.write_bytes(head + b"# " + b"x" * 100_000 + b"\r\n" + mark + rest)
    np.testing.assert_array_equal(open_recording(path).read(), files.expected(EVENTS))


def test_a_header_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feast_codegen.host.recordings.readers.base._LONGEST_HEADER", 1000)
    (tmp_path / "a.aedat").write_bytes(b"#!AER-DAT2.0\r\n" + b"# x\r\n" * 1000)
    with pytest.raises(FeastError, match="the header does not end within 1000 bytes"):
        open_recording(tmp_path / "a.aedat")


def test_serialised_times_of_aedat31_are_refused_by_name(tmp_path: Path) -> None:
    path = files.write_aedat31(tmp_path / "a.aedat", [files.aedat31_packet(EVENTS)])
    path.write_bytes(path.read_bytes().replace(b"RAW", b"SerializedTS"))
    with pytest.raises(
        FeastError, match=r"AEDAT 3\.1 of format 'SerializedTS', which compresses; supported: RAW"
    ):
        open_recording(path)


# Headers of Prophesee's


HEADS = {
    "by number": ("% system_ID 48\n% evt 2.1\n% format EVT21\n% end\n", True, Sensor(1280, 720)),
    "of Prophesee": (
        "% camera_integrator_name Prophesee\n% plugin_integrator_name Prophesee\n% system_ID 28\n"
        "% format EVT21\n% end\n",
        True,
        Sensor(640, 480),
    ),
    "GenX320": ("% system_ID 64\n% format EVT21\n% end\n", False, Sensor(320, 320)),
    "little": ("% system_ID 48\n% format EVT21;endianness=little\n% end\n", False, Sensor(1280, 720)),
    "another maker": ("% camera_integrator_name Other\n% system_ID 48\n% format EVT21\n% end\n", False, None),
    "no number": ("% format EVT21\n% end\n", False, None),
}


@pytest.mark.parametrize("what", HEADS)
def test_the_system_says_the_order_of_evt21_and_the_size(what: str, tmp_path: Path) -> None:
    head, is_legacy, sensor = HEADS[what]
    words = files.evt21_words(EVENTS)
    if is_legacy:
        words = [(word << 32 | word >> 32) & (2**64 - 1) for word in words]
    (tmp_path / "a.raw").write_bytes(head.encode() + np.array(words, "<u8").tobytes())
    recording = open_recording(tmp_path / "a.raw", SENSOR if sensor is None else None)
    assert recording.sensor == (sensor or SENSOR)
    np.testing.assert_array_equal(recording.read(), files.expected(EVENTS))
    if sensor is None:
        with pytest.raises(FeastError, match="give --sensor"):
            open_recording(tmp_path / "a.raw")
