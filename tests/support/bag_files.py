"""Writes ROS bags of events with the package rosbags, which serialises the messages by their definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from tests.support.event_files import evt3_words, rows

ARRAY = "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n"
PACKET = (
    "std_msgs/Header header\nuint32 height\nuint32 width\nuint64 seq\nuint64 time_base\nstring encoding\n"
    "bool is_bigendian\nuint8[] events\n"
)


class _Types:
    """The messages of ROS `version`, made known to rosbags."""

    def __init__(self, version: int) -> None:
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore

        self.version = version
        self.store = get_typestore(Stores.ROS1_NOETIC if version == 1 else Stores.ROS2_HUMBLE)
        time = "time" if version == 1 else "builtin_interfaces/Time"
        texts = {
            "dvs_msgs/msg/Event": f"uint16 x\nuint16 y\n{time} ts\nbool polarity\n",
            "dvs_msgs/msg/EventArray": ARRAY,
            "event_camera_msgs/msg/EventPacket": PACKET,
        }
        for name, text in texts.items():
            self.store.register(get_types_from_msg(text, name))

    def make(self, name: str, **fields: Any) -> Any:
        return self.store.types[name](**fields)

    def time(self, ns: int) -> Any:
        return self.make("builtin_interfaces/msg/Time", sec=ns // 10**9, nanosec=ns % 10**9)

    def header(self) -> Any:
        seq = {"seq": 7} if self.version == 1 else {}
        return self.make("std_msgs/msg/Header", stamp=self.time(12_345), frame_id="davis", **seq)

    def data(self, message: Any, name: str) -> bytes:
        write = self.store.serialize_ros1 if self.version == 1 else self.store.serialize_cdr
        return bytes(write(message, name))


def write_bag(path: Path, topics: dict[str, tuple[str, Events]], sensor: Sensor, size: int = 50) -> Path:
    """Topics by name, each with an encoding (``array``, ``evt3``, ``mono`` or another) and its events.

    `path`: a ``.bag``, else a folder, in which the file lies that is returned.
    """
    version = 1 if path.suffix == ".bag" else 2
    types = _Types(version)
    if version == 1:
        from rosbags.rosbag1 import Writer

        writer: Any = Writer(path)
    else:
        from rosbags.rosbag2 import StoragePlugin
        from rosbags.rosbag2 import Writer as Writer2

        plugin = StoragePlugin.MCAP if path.suffix == ".mcap" else StoragePlugin.SQLITE3
        writer = Writer2(path, version=9, storage_plugin=plugin)
    with writer:
        for topic, (encoding, events) in topics.items():
            name = "dvs_msgs/msg/EventArray" if encoding == "array" else "event_camera_msgs/msg/EventPacket"
            connection = writer.add_connection(topic, name, typestore=types.store)
            for number, first in enumerate(range(0, events.size, size)):
                message = _message(types, encoding, events[first : first + size], sensor, first == 0)
                writer.write(connection, 10**9 + number, types.data(message, name))
    return path if version == 1 else next(each for each in sorted(path.iterdir()) if each.suffix != ".yaml")


def _message(types: _Types, encoding: str, events: Events, sensor: Sensor, is_first: bool) -> Any:
    size = {"header": types.header(), "height": sensor.height, "width": sensor.width}
    if encoding == "array":
        found = [
            types.make("dvs_msgs/msg/Event", x=x, y=y, ts=types.time(t * 1000), polarity=bool(p))
            for t, x, y, p in rows(events)
        ]
        return types.make("dvs_msgs/msg/EventArray", **size, events=found)
    base_ns = int(events["t_us"][0]) * 1000
    if encoding == "mono":
        words = [p << 63 | y << 48 | x << 32 | (t * 1000 - base_ns) for t, x, y, p in rows(events)]
        data = np.array(words, "<u8").tobytes()
    else:
        data = np.array(evt3_words(events), "<u2").tobytes()
    return types.make(
        "event_camera_msgs/msg/EventPacket",
        **size,
        seq=1,
        time_base=base_ns,
        encoding=encoding,
        is_bigendian=False,
        events=np.frombuffer(data, np.uint8),
    )
