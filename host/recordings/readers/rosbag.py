"""ROS bags, version 1 (``.bag``) and 2 (``.mcap``, ``.db3``): one topic of events.

Two kinds of messages: EventArray (dvs_msgs, prophesee_event_msgs), whose times are the host's since 1970, and
EventPacket (event_camera_msgs) with the encodings evt3, whose times are the camera's, and mono. The package
rosbags finds the messages; their bytes are decoded here, all events of a message at once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import evt_words
from feast_codegen.host.recordings.readers.base import (
    Recording,
    checked_columns,
    fault,
    foreign,
    make_events,
    opened,
    size_of,
)
from feast_codegen.host.recordings.readers.streams import choose
from feast_codegen.host.recordings.reading import LeftOut, Reading

ARRAYS: Final = ("dvs_msgs/msg/EventArray", "prophesee_event_msgs/msg/EventArray")
PACKETS: Final = ("event_camera_msgs/msg/EventPacket",)
_MOST_TOPICS: Final = 1000
_LONGEST_TEXT: Final = 1 << 16
_EVENT: Final = np.dtype([("x", "<u2"), ("y", "<u2"), ("s", "<u4"), ("ns", "<u4"), ("p", "u1")])
"""An event of an EventArray in ROS 1, and the first in ROS 2; others there have padding, as below."""
_EVENT2: Final = np.dtype(
    [("_", "u1"), ("x", "<u2"), ("y", "<u2"), ("__", "<u2"), ("s", "<u4"), ("ns", "<u4"), ("p", "u1")]
)
_MONO: Final = np.dtype("<u8")


class _Message:
    """The fields of a message, one after the other; ROS 2 aligns them."""

    def __init__(self, data: bytes, is_ros2: bool) -> None:
        self.is_ros2, self._data, self._at = is_ros2, data, 0
        if is_ros2:
            if data[:2] != b"\x00\x01":
                raise ValueError("not in little-endian CDR")
            self._data = data[4:]

    def number(self, code: str) -> int:
        """A number of the format `code` of struct."""
        size = struct.calcsize(code)
        if self.is_ros2:
            self._at += -self._at % size
        (value,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += size
        return int(value)

    def text(self) -> str:
        length = self.number("I")
        if length > _LONGEST_TEXT:
            raise ValueError(f"a text of {length} bytes")
        return self._take(length).rstrip(b"\0").decode("latin-1")

    def header(self) -> None:
        """Pass over a header: sequence number, time, frame."""
        for code in "II" if self.is_ros2 else "III":
            self.number(code)
        self.text()

    def rest(self, size: int) -> bytes:
        """The next `size` bytes."""
        return self._take(size)

    def _take(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        if len(data) < size:
            raise ValueError(f"{size} bytes expected, {len(data)} there")
        self._at += size
        return data


@dataclass
class _Packets:
    """Where the decoder of EventPackets stands."""

    state: Any


def open_rosbag(path: Path, reading: Reading = Reading(), left_out: LeftOut | None = None) -> Recording:
    """Open a bag. Raises FeastError if it is none, is damaged, or has no topic of events that is read."""
    said = left_out or LeftOut()
    size_of(path)
    with ExitStack() as stack:
        bag = _open(path, stack)
        topics = _topics(path, bag)
        topic = choose(path, "topic", topics, reading, said)
        sensor = _sensor(path, bag, topic)

    def chunks() -> Iterator[Events]:
        packets = _Packets(evt_words.new_state())
        with ExitStack() as stack:
            bag = _open(path, stack)
            for number, (kind, data) in enumerate(_messages(path, bag, topic)):
                events = _decode(path, topic, number, kind, data, packets)[1]
                if events.size:
                    yield events
        if unknown := int(packets.state[evt_words.UNKNOWN]):
            said.add("words", "of no type that EVT3 defines", unknown, str(path))

    return Recording(sensor, chunks)


def _open(path: Path, stack: ExitStack) -> Any:
    """The bag's reader, opened."""
    if path.suffix.lower() == ".db3":
        _check_pages(path)
    with _damaged(path):
        if path.suffix.lower() == ".bag":
            from rosbags.rosbag1 import Reader as Reader1

            return stack.enter_context(Reader1(path))
        from rosbags.rosbag2 import Reader as Reader2

        return stack.enter_context(Reader2(path))


def _check_pages(path: Path) -> None:
    """Raise FeastError for a SQLite file that is shorter than it says: SQLite reads what is there of it."""
    with opened(path) as file:
        head = file.read(32)
    page = int.from_bytes(head[16:18], "big")
    needed = int.from_bytes(head[28:32], "big") * (65536 if page == 1 else page)
    if head[:6] == b"SQLite" and size_of(path) < needed:
        raise fault(path, size_of(path), f"truncated: {needed} bytes are needed")


def _damaged(path: Path) -> AbstractContextManager[None]:
    """For calls of rosbags on a file that may be damaged."""
    return foreign(lambda reason: FeastError(f"{path}: cannot be read, damaged or truncated: {reason}"))


def _topics(path: Path, bag: Any) -> list[str]:
    kinds: dict[str, str] = {}
    for connection in bag.connections[:_MOST_TOPICS]:
        kinds.setdefault(connection.topic, connection.msgtype)
    topics = [topic for topic, kind in kinds.items() if kind in ARRAYS + PACKETS]
    if not topics:
        listed = ", ".join(f"{topic} ({kind})" for topic, kind in list(kinds.items())[:8]) or "none"
        raise FeastError(f"{path}: no topic of {', '.join(ARRAYS + PACKETS)}; its topics are {listed}")
    return topics


def _messages(path: Path, bag: Any, topic: str) -> Iterator[tuple[str, bytes]]:
    """Kind and bytes of each message of a topic, in order."""
    connections = [each for each in bag.connections if each.topic == topic]
    with _damaged(path):
        messages = iter(bag.messages(connections))
    while True:
        with _damaged(path):
            message = next(messages, None)
        if message is None:
            return
        yield message[0].msgtype, bytes(message[2])


def _sensor(path: Path, bag: Any, topic: str) -> Sensor:
    """The size that the first message says."""
    for number, (kind, data) in enumerate(_messages(path, bag, topic)):
        return _decode(path, topic, number, kind, data, _Packets(evt_words.new_state()))[0]
    raise FeastError(f"{path}: topic {topic} has no message")


def _decode(
    path: Path, topic: str, number: int, kind: str, data: bytes, packets: _Packets
) -> tuple[Sensor, Events]:
    """Size of the sensor and events of a message."""
    where = f"{path}: {topic}, message {number}"
    try:
        message = _Message(data, is_ros2=path.suffix.lower() != ".bag")
        message.header()
        height, width = message.number("I"), message.number("I")
        sensor = Sensor.parse(f"{width}x{height}")
        if kind in ARRAYS:
            return sensor, _from_array(where, message)
        return sensor, _from_packet(where, message, packets)
    except (ValueError, struct.error) as error:
        raise FeastError(f"{where}: damaged: {error}") from None
    except FeastError as error:
        text = str(error)
        raise FeastError(text if text.startswith(where) else f"{where}: {text}") from None


def _not_an_event(where: str) -> Callable[[int], FeastError]:
    return lambda at: FeastError(f"{where}: event {at}: not an event")


def _from_array(where: str, message: _Message) -> Events:
    count = message.number("I")
    if not count:
        return make_events([], [], [], [])
    parts = [(_EVENT, count)] if not message.is_ros2 else [(_EVENT, 1), (_EVENT2, count - 1)]
    found = []
    for dtype, rows in parts:
        row = np.frombuffer(message.rest(rows * dtype.itemsize), dtype)
        t_us = (row["s"].astype(np.int64) * 1_000_000_000 + row["ns"] + 500) // 1000
        found.append(checked_columns(_not_an_event(where), t_us, row["x"], row["y"], row["p"]))
    return np.concatenate(found)


def _from_packet(where: str, message: _Message, packets: _Packets) -> Events:
    message.number("Q")
    base_ns = message.number("Q")
    encoding = message.text()
    is_bigendian = message.number("B")
    data = message.rest(message.number("I"))
    if is_bigendian or encoding not in ("evt3", "mono"):
        order = ", big-endian" if is_bigendian else ""
        raise FeastError(f"{where}: encoding {encoding!r}{order}, supported: evt3 and mono, little-endian")
    if encoding == "mono":
        words = np.frombuffer(data[: len(data) // 8 * 8], _MONO)
        t_us = (
            np.int64(min(base_ns, (1 << 62))) + (words & np.uint64(0xFFFFFFFF)).astype(np.int64) + 500
        ) // 1000
        return checked_columns(
            _not_an_event(where),
            t_us,
            words >> np.uint64(32) & np.uint64(0xFFFF),
            words >> np.uint64(48) & np.uint64(0x7FFF),
            words >> np.uint64(63),
        )
    codes = np.frombuffer(data[: len(data) // 2 * 2], np.dtype(np.uint16))
    most = codes.size * 12
    columns = (
        np.empty(most, np.int64),
        np.empty(most, np.uint16),
        np.empty(most, np.uint16),
        np.empty(most, np.uint8),
    )
    count = evt_words.decode_evt3(codes, packets.state, columns)
    return make_events(*(column[:count] for column in columns))
