"""The protocol description as C (feast_wire.h of the firmware) and as tables (the protocol page)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import jinja2

from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol.message import HEADER, Code, Field, Items, Limits, Message

_ERRORS = f"Error codes. Below {messages.FIRST_REFUSAL}: a loss, the host repeats. Others end the run."


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


def c_header() -> str:
    """Text of ``feast_wire.h``: message ids, byte offsets, flags and error codes for the firmware."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template("feast_wire.h.j2").render(_template_values())


def _template_values() -> dict[str, object]:
    """What feast_wire.h.j2 needs: ``wire_version`` and ``wire_sections``."""
    return {
        "wire_version": messages.VERSION,
        "wire_sections": (
            _limits(),
            Section("Header of every frame.", _offsets("HEADER", HEADER, 0)),
            *map(_message, messages.MESSAGES),
            Section("Flags of HELLO_REPLY and START.", tuple(map(_code, messages.FLAGS))),
            Section(_ERRORS, tuple(map(_code, messages.ERRORS))),
            _counters(),
        ),
    }


def _limits() -> Section:
    constants = (
        Constant("VERSION", f"{messages.VERSION}u", "raised by any change of a layout or a meaning"),
        Constant("CRC_BYTES", f"{messages.CRC_BYTES}u", "CRC-32 as in zlib, at the end of every frame"),
        Constant(
            "NARROW_FEATURES", str(messages.NARROW_FEATURES), "features: up to here a result is one byte"
        ),
        Constant("NO_LABEL", f"0x{messages.NO_LABEL:04X}u", "in place of a class: none"),
        Constant(
            "NARROW_SIDE", str(messages.NARROW_SIDE), "sensor side: up to here a coordinate is one byte"
        ),
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
    counters = enumerate(messages.COUNTERS)
    constants = [Constant(f"COUNTER_{name.upper()}", f"{i}u", meaning) for i, (name, meaning) in counters]
    return Section(
        "Counters of a run, u32 each, in the order in which DONE carries them.",
        (*constants, Constant("COUNTERS", f"{len(constants)}u")),
    )


def markdown() -> str:
    """Tables of all messages, flags and error codes, for docs/reference/protocol.md."""
    parts = ["### Header of every frame", _field_table(HEADER, 0)]
    start = sum(field.size_bytes for field in HEADER)
    for message in messages.MESSAGES:
        receiver = "device" if message.sender == "host" else "host"
        parts.append(f"### {message.name} (0x{message.code:02X}), {message.sender} → {receiver}")
        parts.append(message.meaning)
        if message.own_fields or message.tail:
            parts.append(_field_table(message.own_fields, start, message))
    parts.append("### What limits name")
    parts.append("Besides fields of the message itself and of HELLO_REPLY:")
    lines = ["| name | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in messages.QUANTITIES.items()]
    parts.append("\n".join(lines))
    parts.append("### Flags")
    parts.append(_code_table(messages.FLAGS))
    parts += [
        f"`{flag.name}` is set exactly if `{name}` exceeds {most}."
        for flag, name, most in messages.FLAG_RULES
    ]
    parts.append("### Error codes")
    parts.append(_code_table(messages.ERRORS))
    return "\n\n".join(parts)


def _field_table(fields: tuple[Field, ...], start: int, message: Message | None = None) -> str:
    rows: list[tuple[str, str, str, str, str]] = []
    for field in fields:
        rows.append((str(start), field.kind, f"`{field.name}`", _allowed(field.limits), field.meaning))
        start += field.size_bytes
    if message is not None and message.tail:
        name, meaning = message.tail.split(": ", 1)
        rows.append((str(start), "…", name, _allowed_items(message.items), meaning))
    limited = any(row[3] for row in rows)
    heading = ("offset", "type", "field", "allowed", "meaning")
    lines = []
    for row in (heading, ("---",) * 5, *rows):
        lines.append("| " + " | ".join(row if limited else (*row[:3], row[4])) + " |")
    lines[1] = lines[1].replace(" ", "")
    return "\n".join(lines)


def _allowed_items(items: Items | None) -> str:
    if items is None:
        return ""
    number = f"; {items.number} {_allowed(items.limits)}" if items.number else ""
    return f"first + number at most `{items.end}`{number}"


def _allowed(limits: Limits) -> str:
    """The text of limits, names as code."""
    return re.sub(r"\b[a-z]+(_[a-z]+)+\b|\b(features|classes)\b", r"`\g<0>`", limits.text)


def _code_table(codes: tuple[Code, ...]) -> str:
    lines = ["| value | name | meaning |", "|---|---|---|"]
    lines += [f"| {code.value} | `{code.name}` | {code.meaning} |" for code in codes]
    return "\n".join(lines)
