"""The protocol description as C constants (templates/feast_wire.h.j2) and as tables (docs/protocol.md)."""

from __future__ import annotations

from dataclasses import dataclass

from codegen import wire
from codegen.wire_message import HEADER, Code, Field, Message

_ERRORS = (
    f"Error codes. Below {wire.FIRST_REFUSAL}: a loss, mended by the host. From there on: the run is over."
)


@dataclass(frozen=True)
class Constant:
    """One ``#define FEAST_WIRE_<name> <value>`` and what it means."""

    name: str
    value: str
    comment: str = ""


@dataclass(frozen=True)
class Section:
    """Constants under one comment."""

    comment: str
    constants: tuple[Constant, ...]


def template_values() -> dict[str, object]:
    """What templates/feast_wire.h.j2 needs: ``wire_version`` and ``wire_sections``."""
    return {
        "wire_version": wire.VERSION,
        "wire_sections": (
            _limits(),
            Section("Header of every frame.", _offsets("HEADER", HEADER, 0)),
            *map(_message, wire.MESSAGES),
            Section("Flags of HELLO_REPLY and START.", tuple(map(_code, wire.FLAGS))),
            Section(_ERRORS, tuple(map(_code, wire.ERRORS))),
            _counters(),
        ),
    }


def _limits() -> Section:
    constants = (
        Constant("VERSION", f"{wire.VERSION}u", "raised by any change of a layout or a meaning"),
        Constant("CRC_BYTES", f"{wire.CRC_BYTES}u", "CRC-32 as in zlib, at the end of every frame"),
        Constant("NARROW_FEATURES", str(wire.NARROW_FEATURES), "features: up to here a result is one byte"),
        Constant("NO_LABEL", f"0x{wire.NO_LABEL:04X}u", "in place of a class: none"),
        Constant("NARROW_SIDE", str(wire.NARROW_SIDE), "sensor side: up to here a coordinate is one byte"),
    )
    return Section("Version and limits.", constants)


def _message(message: Message) -> Section:
    start = sum(field.size_bytes for field in HEADER)
    tail = f" Then {message.tail}." if message.tail else ""
    return Section(
        f"{message.name}, sent by the {message.sender}. {message.meaning}{tail}",
        (
            Constant(message.name, f"0x{message.code:02X}u"),
            *_offsets(message.name, message.own_fields, start),
            Constant(f"{message.name}_BYTES", f"{message.size_bytes}u", "before the tail" if tail else ""),
        ),
    )


def _offsets(prefix: str, fields: tuple[Field, ...], start: int) -> tuple[Constant, ...]:
    constants = []
    for field in fields:
        comment = f"{field.kind}: {field.meaning}"
        constants.append(Constant(f"{prefix}_AT_{field.name.upper()}", f"{start}u", comment))
        start += field.size_bytes
    if prefix == "HEADER":
        constants.append(Constant("HEADER_BYTES", f"{start}u"))
    return tuple(constants)


def _code(code: Code) -> Constant:
    return Constant(code.name, f"{code.value}u", code.meaning)


def _counters() -> Section:
    counters = enumerate(wire.COUNTERS)
    constants = [Constant(f"COUNTER_{name.upper()}", f"{i}u", meaning) for i, (name, meaning) in counters]
    return Section(
        "Counters of a run, u32 each, in the order in which DONE carries them.",
        (*constants, Constant("COUNTERS", f"{len(constants)}u")),
    )


def markdown() -> str:
    """Tables of all messages, flags and error codes, for docs/protocol.md."""
    parts = ["### Header of every frame", _field_table(HEADER, 0)]
    start = sum(field.size_bytes for field in HEADER)
    for message in wire.MESSAGES:
        receiver = "device" if message.sender == "host" else "host"
        parts.append(f"### {message.name} (0x{message.code:02X}), {message.sender} → {receiver}")
        parts.append(message.meaning)
        if message.own_fields or message.tail:
            parts.append(_field_table(message.own_fields, start, message.tail))
    parts.append("### Flags")
    parts.append(_code_table(wire.FLAGS))
    parts.append("### Error codes")
    parts.append(_code_table(wire.ERRORS))
    return "\n\n".join(parts)


def _field_table(fields: tuple[Field, ...], start: int, tail: str = "") -> str:
    lines = ["| offset | type | field | meaning |", "|---|---|---|---|"]
    for field in fields:
        lines.append(f"| {start} | {field.kind} | `{field.name}` | {field.meaning} |")
        start += field.size_bytes
    if tail:
        name, meaning = tail.split(": ", 1)
        lines.append(f"| {start} | … | {name} | {meaning} |")
    return "\n".join(lines)


def _code_table(codes: tuple[Code, ...]) -> str:
    lines = ["| value | name | meaning |", "|---|---|---|"]
    lines += [f"| {code.value} | `{code.name}` | {code.meaning} |" for code in codes]
    return "\n".join(lines)
