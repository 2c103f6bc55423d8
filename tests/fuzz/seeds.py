"""Inputs to begin with, written by hand: what a host says in good order and at the edges of what it may say,
and events at the edges of a sensor."""

from __future__ import annotations

import itertools
import struct

import numpy as np

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.emit.plan import Plan
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol.message import Message

HEADER = {"run": 1, "sequence": 0, "received": 0}
AS_IS, FITTED, DAMAGED, POWER, GOT_ALL = 1, 2, 4, 8, 16
"""Kinds of a piece, as tests/fuzz/link.c takes them. GOT_ALL: the host has all results."""
TAILS = {"EVENTS": bytes([9, 2, 2]), "WRITE_STATE": bytes(4)}


def piece(body: bytes, kind: int = FITTED) -> bytes:
    return bytes([kind, len(body)]) + body


def say(message: Message, kind: int = FITTED, tail: bytes | None = None, **fields: int) -> bytes:
    """A frame whose other fields are 0."""
    values = HEADER | {field.name: 0 for field in message.own_fields} | fields
    return piece(message.pack(TAILS.get(message.name, b"") if tail is None else tail, **values), kind)


def events(*steps: tuple[int, int, int]) -> bytes:
    """A frame of events: microseconds below 64, x, y."""
    return say(
        messages.EVENTS, FITTED | GOT_ALL, bytes(byte for step, x, y in steps for byte in (2 * step, x, y))
    )


def dialogues(plan: Plan) -> list[bytes]:
    """One input for each message there is, one for each of its edges, and whole sessions."""
    begun = say(messages.HELLO) + say(messages.START, flags=1)
    some = events((5, 1, 1), (9, 2, 2), (0, 9, 9))
    last_word, words = plan.state.learned_words - 1, plan.state.words
    asked = [message for message in messages.MESSAGES if message.sender == "host"]
    edges = [
        *(
            say(messages.WRITE_STATE, first=first)
            for first in (last_word - 1, last_word, last_word + 1, 2**32 - 1)
        ),
        *(
            say(messages.READ_STATE, first=f, count=n)
            for f, n in ((0, words), (words, 0), (words, 1), (1, words))
        ),
        *(
            say(messages.SIGNALS, first=first)
            for first in (plan.last.quant.params.total_features - 1, plan.last.quant.params.total_features)
        ),
        say(messages.EVENTS, tail=bytes([9, 1, 1]) * 16) + say(messages.EVENTS, tail=bytes([9, 1, 1])),
        say(messages.EVENTS, tail=b"\xff\xff\xff\xff\x0f\1\1")
        + say(messages.EVENTS, tail=b"\xff\xff\xff\xff\x1f\1\1"),
        say(messages.END, FITTED | GOT_ALL, events=3),
        piece(bytes(255), AS_IS) + piece(struct.pack("<I", 7), AS_IS),
    ]
    upload = b"".join(say(messages.WRITE_STATE, first=at) for at in range(0, last_word, 2))
    sessions = [
        some + say(messages.END, FITTED | GOT_ALL, events=3) + say(messages.START, run=2) + some,
        some
        + say(messages.POLL)
        + some
        + say(messages.POLL, FITTED | GOT_ALL)
        + say(messages.POLL, AS_IS, sequence=2),
        some
        + say(messages.PERSIST)
        + piece(b"", POWER)
        + say(messages.HELLO)
        + say(messages.START, run=3)
        + some,
        upload + say(messages.APPLY_STATE) + some + say(messages.PERSIST),
        some + say(messages.WRITE_STATE) + some + say(messages.START, run=2, flags=2) + some,
        some
        + say(messages.POLL, FITTED | DAMAGED)
        + b"\x09\0"
        + some
        + say(messages.POLL, FITTED | DAMAGED)
        + b"\7\0"
        + some,
    ]
    return [
        *(say(message) for message in asked),
        *(begun + say(message) for message in asked),
        *(begun + some + each for each in edges),
        *(begun + session for session in sessions),
    ]


def edges(sensor: Sensor) -> list[bytes]:
    """Inputs of `step`: events in the corners of a sensor and beyond, and after silences of all lengths."""
    columns = (0, sensor.width - 1, sensor.width, 2**16 - 1)
    rows = (0, sensor.height - 1, sensor.height, 2**16 - 1)
    corners = [struct.pack("<BHHHB", 1, 3, x, y, 1) for x, y in itertools.product(columns, rows)]
    silences = [struct.pack("<BHHHB", shift << 4, 2**16 - 1, 2, 2, 1) for shift in range(16)]
    return [*corners, b"".join(corners), *(corners[5] + each + corners[5] for each in silences)]


def dense_events(count: int, sensor: Sensor) -> Events:
    """Events in order, some at the same time."""
    events = np.zeros(count, EVENT_DTYPE)
    number = np.arange(count)
    events["t_us"] = 1000 + number // 2 * 37
    events["x"] = number * 7 % sensor.width
    events["y"] = number * 5 % sensor.height
    events["polarity"] = number % 2
    return events
