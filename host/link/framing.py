"""Frames without I/O: bytes in, frames out, and back. Every drop is counted, none is silent.

A frame is a body and its CRC-32, COBS-encoded, ended by one zero byte. A body is a message of
`protocol.messages`. After any input the decoder is synchronised again by the next zero byte.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from cobs import cobs

from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol.message import Message

MAX_BODY_BYTES: Final = 65535
SEQUENCE_MODULUS: Final = 1 << 16
_CRC_BYTES: Final = messages.CRC_BYTES


def encode_frame(body: bytes) -> bytes:
    """Bytes on the wire for a frame body, the closing zero byte included.

    >>> encode_frame(b"a").hex()
    '066143beb7e800'
    """
    encoded: bytes = cobs.encode(body + zlib.crc32(body).to_bytes(_CRC_BYTES, "little"))
    return encoded + b"\0"


def encoded_bound(body_bytes: int) -> int:
    """Most bytes on the wire of a frame with a body of `body_bytes`."""
    stuffed = body_bytes + _CRC_BYTES
    return stuffed + stuffed // 254 + 2


class FrameDecoder:
    """Cuts a byte stream into frame bodies.

    ``counters``: ``bad_frame`` (no COBS, or too short), ``bad_crc``, ``too_long``.
    """

    def __init__(self, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.counters: Counter[str] = Counter(bad_frame=0, bad_crc=0, too_long=0)
        self._longest = max_body_bytes + _CRC_BYTES
        self._limit = encoded_bound(max_body_bytes) - 1
        self._pending = bytearray()
        self._overflowed = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; return the bodies of the intact frames that end in them."""
        *ended, rest = data.split(b"\0")
        bodies = []
        for piece in ended:
            self._extend(piece)
            body = self._finish()
            if body is not None:
                bodies.append(body)
        self._extend(rest)
        return bodies

    def _extend(self, piece: bytes) -> None:
        if len(self._pending) + len(piece) > self._limit:
            self._overflowed = True
            self._pending.clear()
        if not self._overflowed:
            self._pending += piece

    def _finish(self) -> bytes | None:
        encoded, overflowed = bytes(self._pending), self._overflowed
        self._pending.clear()
        self._overflowed = False
        if overflowed:
            self.counters["too_long"] += 1
            return None
        if not encoded:
            return None
        try:
            frame: bytes = cobs.decode(encoded)
        except cobs.DecodeError:
            frame = b""
        if len(frame) > self._longest:
            self.counters["too_long"] += 1
            return None
        if len(frame) <= _CRC_BYTES:
            self.counters["bad_frame"] += 1
            return None
        body = frame[:-_CRC_BYTES]
        if zlib.crc32(body).to_bytes(_CRC_BYTES, "little") != frame[-_CRC_BYTES:]:
            self.counters["bad_crc"] += 1
            return None
        return body


@dataclass(frozen=True)
class Frame:
    """A received message: its kind, its fields by name (header included) and its tail."""

    message: Message
    fields: dict[str, Any]
    tail: bytes


class Sender:
    """Numbers and encodes outgoing messages."""

    def __init__(self) -> None:
        self._next = 0

    @property
    def next_sequence(self) -> int:
        """Sequence number of the next frame."""
        return self._next

    def encode(self, message: Message, tail: bytes = b"", **fields: Any) -> bytes:
        """Wire bytes of the next frame; `fields` are run, received and the message's own."""
        body = message.pack(tail, sequence=self._next, **fields)
        self._next = (self._next + 1) % SEQUENCE_MODULUS
        return encode_frame(body)


class Receiver:
    """Decodes incoming messages and watches their sequence numbers.

    ``counters``: those of `FrameDecoder`, ``frames`` taken, ``lost`` (numbers that never came), ``repeated``
    (dropped: number already seen), ``unknown`` (dropped: no message, or of a wrong length).
    """

    # A device that has restarted counts from 0 again; these messages say so and reset the number.
    _RESYNC: Final = (messages.HELLO_REPLY.code, messages.ERROR.code)

    def __init__(self) -> None:
        self._decoder = FrameDecoder()
        self._counters: Counter[str] = Counter(frames=0, lost=0, repeated=0, unknown=0)
        self._expected: int | None = None

    @property
    def counters(self) -> Counter[str]:
        """All counters since the start."""
        return Counter({**self._decoder.counters, **self._counters})

    def feed(self, data: bytes) -> list[Frame]:
        """Take received bytes; return the messages that end in them."""
        frames = (self._parse(body) for body in self._decoder.feed(data))
        return [frame for frame in frames if frame is not None]

    def _parse(self, body: bytes) -> Frame | None:
        message = messages.BY_CODE.get(body[0])
        try:
            if message is None:
                raise ValueError("unknown message")
            if message is messages.HELLO_REPLY and len(body) != message.size_bytes:
                message = messages.HELLO_REPLY_PREFIX
            fields, tail = message.unpack(body)
        except ValueError:
            self._counters["unknown"] += 1
            return None
        if not self._take_sequence(message, fields["sequence"]):
            return None
        self._counters["frames"] += 1
        return Frame(message, fields, tail)

    def _take_sequence(self, message: Message, sequence: int) -> bool:
        if self._expected is None or message.code in self._RESYNC:
            self._expected = sequence
        missing = (sequence - self._expected) % SEQUENCE_MODULUS
        if missing >= SEQUENCE_MODULUS // 2:
            self._counters["repeated"] += 1
            return False
        self._counters["lost"] += missing
        self._expected = (sequence + 1) % SEQUENCE_MODULUS
        return True
