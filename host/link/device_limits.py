"""What a device may say: every number that comes from one is held against the limits of `protocol.messages`.

The limits are declared with the messages; here they are only looked up. A number outside them comes from a
broken or foreign firmware, never from a bad line: a damaged frame does not pass its checksum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol.message import ANY, Limits, Message, Quantity

UNKNOWN: Final = (1 << 64) - 1
"""For a quantity that the host does not know: every number is within it."""
BROKEN: Final = "its firmware is broken, build it again and flash it"


def check_fields(message: Message, fields: Mapping[str, Any], known: Mapping[str, int]) -> None:
    """Raise FeastError unless every field lies within its limits.

    fields: by name; indices that count modulo 2^32 or 2^16 as the numbers they stand for. known: what the
    limits name besides; UNKNOWN for a limit that is not known yet.
    """
    for field in message.fields:
        if field.limits is not ANY and not _within(fields[field.name], field.limits, fields, known):
            allowed = _explained(field.limits, fields, known)
            raise FeastError(
                f"device's {message.name} says {field.name} {fields[field.name]}, allowed is {allowed}: "
                f"{BROKEN}"
            )
    if message is messages.HELLO_REPLY:
        for flag, name, most in messages.FLAG_RULES:
            value = _value(name, fields, known)
            if bool(fields["flags"] & flag.value) != (value > most):
                raise FeastError(
                    f"device's {message.name} says flags {fields['flags']:#x} and {name} {value}: "
                    f"{flag.name} is set exactly if {name} exceeds {most}: {BROKEN}"
                )


def count_items(message: Message, tail: bytes, first: int, known: Mapping[str, int]) -> int:
    """How many items the tail of an answer holds, of which the first has the index `first`.

    Raises FeastError unless it ends with an item, holds at least one and none beyond the end.
    """
    assert message.items is not None
    size, end = (_value(name, {}, known) for name in (message.items.size_bytes, message.items.end))
    count, rest = divmod(len(tail), size)
    if rest or not 1 <= count <= end - first:
        raise FeastError(
            f"device's {message.name} brings {len(tail)} bytes from index {first} on, where 1 to "
            f"{max(end - first, 0)} values of {size} bytes are missing: {BROKEN}"
        )
    return count


def check_items(message: Message, values: npt.NDArray[Any], known: Mapping[str, int]) -> None:
    """Raise FeastError unless all `values` (at least one) of a tail lie within the limits of its items."""
    assert message.items is not None
    for value in (int(values.min()), int(values.max())):
        if not _within(value, message.items.limits, {}, known):
            allowed = _explained(message.items.limits, {}, known)
            raise FeastError(
                f"device's {message.name} has a {message.items.number} of {value}, allowed is {allowed}: "
                f"{BROKEN}"
            )


def hello_quantities(fields: Mapping[str, Any]) -> dict[str, int]:
    """What follows from the fields of a HELLO_REPLY, by the names of `protocol.messages.QUANTITIES`."""
    shift = fields["downsample"]
    return {
        "features": fields["features_per_bank"] * fields["banks"],
        "reduced_width": ((fields["camera_width"] - 1) >> shift) + 1,
        "reduced_height": ((fields["camera_height"] - 1) >> shift) + 1,
        "camera_side": max(fields["camera_width"], fields["camera_height"]),
        "result_bytes": 2 if fields["flags"] & messages.FLAG_WIDE_RESULTS.value else 1,
    }


def _within(value: int, limits: Limits, fields: Mapping[str, Any], known: Mapping[str, int]) -> bool:
    if value in limits.also:
        return True
    if limits.only:
        return value in limits.only
    if value < _value(limits.least, fields, known):
        return False
    if limits.most is not None and value > _value(limits.most, fields, known):
        return False
    return limits.below is None or value < _value(limits.below, fields, known)


def _value(quantity: Quantity, fields: Mapping[str, Any], known: Mapping[str, int]) -> int:
    if isinstance(quantity, int):
        return quantity
    return int(fields[quantity] if quantity in fields else known[quantity])


def _explained(limits: Limits, fields: Mapping[str, Any], known: Mapping[str, int]) -> str:
    """The limits in words, with what the names in them stand for here."""
    names = [name for name in (limits.least, limits.most, limits.below) if isinstance(name, str)]
    found = ", ".join(f"{name} {_value(name, fields, known)}" for name in dict.fromkeys(names))
    return f"{limits.text} ({found})" if found else limits.text
