"""What a message of the link is: fields in order behind a header that all have, and how they are packed.

Everything is little-endian and packed without gaps. Which messages there are: protocol.messages.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np

Kind = Literal["u8", "u16", "u32", "u64", "id8"]
_FORMATS: Final[dict[Kind, str]] = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "id8": "8s"}


Quantity = int | str
"""A number, or the name of one: a field of the message or of HELLO_REPLY, or one of `wire.QUANTITIES`."""


@dataclass(frozen=True)
class Limits:
    """Which values a number of a message may have; all that its type holds where nothing is set."""

    least: Quantity = 0
    most: Quantity | None = None
    below: Quantity | None = None
    also: tuple[int, ...] = ()
    """Allowed besides that range."""
    only: tuple[int, ...] = ()
    """If given, exactly these values are allowed."""

    @property
    def text(self) -> str:
        """For people; empty where there is no limit.

        >>> Limits(1, most=15).text, Limits(below="classes", also=(65535,)).text
        ('1 to 15', 'below classes, or 65535')
        """
        if self.only:
            return ", ".join(map(str, self.only))
        if self.most is not None and self.most == self.least:
            return f"exactly {self.most}"
        parts = []
        if self.below is not None:
            parts.append(f"below {self.below}" if self.least == 0 else f"{self.least} to below {self.below}")
        elif self.most is not None:
            parts.append(f"at most {self.most}" if self.least == 0 else f"{self.least} to {self.most}")
        elif self.least != 0:
            parts.append(f"at least {self.least}")
        return ", or ".join(parts + [str(value) for value in self.also])


ANY: Final = Limits()


@dataclass(frozen=True)
class Items:
    """What the tail of an answer holds: at least one item, each of `size_bytes`.

    The first has the index that the field `first` says; `first` plus their number is at most `end`.
    """

    size_bytes: Quantity
    end: Quantity
    number: str = ""
    """The number of an item that `limits` are for."""
    limits: Limits = ANY


@dataclass(frozen=True)
class Field:
    """One number of a message; `id8` is eight bytes in the order they are written."""

    name: str
    kind: Kind
    meaning: str
    limits: Limits = ANY

    @property
    def size_bytes(self) -> int:
        """Bytes on the wire."""
        return struct.calcsize("<" + _FORMATS[self.kind])


HEADER: Final = (
    Field("type", "u8", "message id"),
    Field("run", "u8", "run the frame belongs to, 1 to 255; 0 while there is none"),
    Field("sequence", "u16", "number of this transmission, counting up each way, never used again"),
    Field(
        "received",
        "u32",
        "how far the sender has the other's stream: events accepted, results received",
        Limits("stream_accepted", "stream_sent"),
    ),
)


@dataclass(frozen=True)
class Message:
    """One kind of frame: the header, its own fields, and perhaps a tail of variable length."""

    name: str
    code: int
    sender: Literal["host", "device"]
    meaning: str
    own_fields: tuple[Field, ...] = ()
    tail: str = ""
    items: Items | None = None

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """All fields in wire order, header first."""
        return HEADER + self.own_fields

    @cached_property
    def layout(self) -> struct.Struct:
        """Layout of the fixed part."""
        return struct.Struct("<" + "".join(_FORMATS[field.kind] for field in self.fields))

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Byte offset of each field."""
        ends = np.cumsum([field.size_bytes for field in self.fields]).tolist()
        return (0, *ends[:-1])

    @property
    def size_bytes(self) -> int:
        """Bytes of the fixed part, without tail and CRC."""
        return self.layout.size

    def pack(self, tail: bytes = b"", **values: Any) -> bytes:
        """Frame body (without CRC) from header and own fields by name; `type` is filled in.

        >>> Message("POLL", 0x04, "host", "").pack(run=1, sequence=2, received=3).hex()
        '0401020003000000'
        """
        values["type"] = self.code
        return self.layout.pack(*(values.pop(field.name) for field in self.fields)) + tail

    def unpack(self, body: bytes) -> tuple[dict[str, Any], bytes]:
        """Fields by name, and the tail. Raises ValueError if the length does not suit the message."""
        if len(body) < self.size_bytes or (len(body) > self.size_bytes and not self.tail):
            raise ValueError(f"{self.name}: {len(body)} bytes, expected {self.size_bytes}")
        values = self.layout.unpack_from(body)
        return {f.name: v for f, v in zip(self.fields, values, strict=True)}, body[self.size_bytes :]


@dataclass(frozen=True)
class Code:
    """A named number of the protocol: a flag or an error code."""

    name: str
    value: int
    meaning: str
