"""ROS bags of both versions: arrays and packets of events, written by the package rosbags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import open_recording
from feast_codegen.host.recordings.reading import LeftOut, Reading
from tests.support import bag_files
from tests.support import event_files as files
from tests.support.networks import make_events

pytest.importorskip("rosbags")
SENSOR = Sensor(40, 30)
BAGS = ("a.bag", "a.mcap", "a.db3")
EVENTS = files.expected(make_events(333, SENSOR, seed=3))


@pytest.mark.parametrize("name", BAGS)
@pytest.mark.parametrize("encoding", ["array", "evt3", "mono"])
def test_events_of_a_bag(name: str, encoding: str, tmp_path: Path) -> None:
    path = bag_files.write_bag(tmp_path / name, {"/dvs/events": (encoding, EVENTS)}, SENSOR)
    recording = open_recording(path)
    assert recording.sensor == SENSOR
    np.testing.assert_array_equal(recording.read(), EVENTS)


def test_topics_are_not_merged(tmp_path: Path) -> None:
    topics = {"/left/events": ("array", EVENTS[:100]), "/right/events": ("array", EVENTS[100:])}
    path, left_out = bag_files.write_bag(tmp_path / "a.bag", topics, SENSOR), LeftOut()
    np.testing.assert_array_equal(open_recording(path, left_out=left_out).read(), EVENTS[:100])
    assert left_out.lines() == [
        "of 2 topics (/left/events, /right/events) the first, /left/events, is read; --stream chooses another"
    ]
    np.testing.assert_array_equal(open_recording(path, reading=Reading(stream="right")).read(), EVENTS[100:])


@pytest.mark.parametrize("name", BAGS)
def test_an_unknown_encoding_is_refused_by_name(name: str, tmp_path: Path) -> None:
    path = bag_files.write_bag(tmp_path / name, {"/e": ("libcaer_cmp", EVENTS)}, SENSOR)
    with pytest.raises(FeastError, match=r"/e, message 0: encoding 'libcaer_cmp', supported: evt3 and mono"):
        open_recording(path)


@pytest.mark.parametrize("name", BAGS)
def test_bags_that_are_cut_off_or_foreign_are_refused(name: str, tmp_path: Path) -> None:
    path = bag_files.write_bag(tmp_path / name, {"/e": ("array", EVENTS)}, SENSOR)
    data = path.read_bytes()
    for cut in (0, 10, 100, len(data) // 2, len(data) - 20):
        path.write_bytes(data[:cut])
        with pytest.raises(FeastError, match=r"damaged|truncated|no topic|no message"):
            open_recording(path).read()
    path.write_bytes(b"no bag" * 50)
    with pytest.raises(FeastError, match="damaged or truncated"):
        open_recording(path)


def test_a_bag_without_events_names_its_topics(tmp_path: Path) -> None:
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    with Writer(tmp_path / "a.bag") as writer:
        writer.add_connection("/chat", "std_msgs/msg/String", typestore=store)
    with pytest.raises(FeastError, match=r"no topic of dvs_msgs/msg.*; its topics are /chat \(std_"):
        open_recording(tmp_path / "a.bag")
