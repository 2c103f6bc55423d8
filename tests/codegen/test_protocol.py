"""The protocol description: whole, consistent, and the same in C, Python and the document."""

from __future__ import annotations

import doctest
import hashlib
import re
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feast_codegen.codegen.protocol import messages
from feast_codegen.codegen.protocol import render as render_protocol
from feast_codegen.codegen.protocol.message import HEADER, Message
from tests.support.paths import ROOT

DOCUMENT = ROOT / "docs" / "reference" / "protocol.md"
LAYOUTS = {
    1: "e9770c08aa8673cd",
    2: "36334136af4e9f3f",
    3: "6c228fd1573fb170",
    4: "9d1a4ba98fc4da0a",
    5: "8e2c62fd33b0ef20",
}
"""Digest of all layouts, ids and codes by protocol version."""

LIMITS = {"u8": 2**8, "u16": 2**16, "u32": 2**32, "u64": 2**64}


def values_of(message: Message) -> st.SearchStrategy[dict[str, Any]]:
    fields = [field for field in message.fields if field.name != "type"]
    number = {f.name: st.integers(0, LIMITS[f.kind] - 1) for f in fields if f.kind != "id8"}
    return st.fixed_dictionaries(
        number | {f.name: st.binary(min_size=8, max_size=8) for f in fields if f.kind == "id8"}
    )


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(messages).failed == 0


@given(st.sampled_from(messages.MESSAGES), st.data())
def test_packing_and_unpacking_agree(message: Message, data: st.DataObject) -> None:
    values = data.draw(values_of(message))
    tail = data.draw(st.binary(max_size=20)) if message.tail else b""
    body = message.pack(tail, **values)
    assert message.unpack(body) == ({"type": message.code, **values}, tail)
    assert len(body) == message.size_bytes + len(tail)


@pytest.mark.parametrize("message", messages.MESSAGES, ids=lambda message: message.name)
def test_a_wrong_length_is_refused(message: Message) -> None:
    body = bytes(message.size_bytes)
    with pytest.raises(ValueError, match=message.name):
        message.unpack(body[:-1])
    if not message.tail:
        with pytest.raises(ValueError, match=message.name):
            message.unpack(body + b"\0")


def test_ids_and_codes_are_unique() -> None:
    for numbers in (
        [message.code for message in messages.MESSAGES],
        [error.value for error in messages.ERRORS],
        [flag.value for flag in messages.FLAGS if flag.name.startswith("FLAG_")],
        [flag.value for flag in messages.FLAGS if flag.name.startswith("START_")],
    ):
        assert len(set(numbers)) == len(numbers)
    assert all((message.code >= 0x80) == (message.sender == "device") for message in messages.MESSAGES)


def test_a_changed_layout_needs_a_new_version() -> None:
    layout = repr(
        [(m.name, m.code, [(f.name, f.kind) for f in m.fields], m.tail) for m in messages.MESSAGES]
        + [(code.name, code.value) for code in (*messages.FLAGS, *messages.ERRORS)]
    )
    digest = hashlib.sha256(layout.encode()).hexdigest()[:16]
    assert LAYOUTS.get(messages.VERSION) == digest, (
        f"layouts changed to {digest}: raise messages.VERSION, note it here"
    )


def test_what_every_version_must_keep() -> None:
    """HELLO of any version can be read by any other."""
    hello = messages.HELLO.pack(run=0, sequence=1, received=0, nonce=0x01020304, version=5)
    assert hello.hex() == "01000100000000000403020105" + "00"
    reply = messages.HELLO_REPLY_PREFIX.pack(
        b"more", run=0, sequence=1, received=0, nonce=0x01020304, version=5
    )
    assert reply.hex() == "81000100000000000403020105" + "00" + b"more".hex()
    assert (
        messages.HELLO_REPLY_PREFIX.fields
        == messages.HELLO_REPLY.fields[: len(messages.HELLO_REPLY_PREFIX.fields)]
    )


@pytest.mark.parametrize("message", messages.MESSAGES, ids=lambda message: message.name)
def test_the_header_says_where_each_field_is(message: Message) -> None:
    constants = dict(
        re.findall(r"^#define FEAST_WIRE_(\w+) (\w+)u\b", render_protocol.c_header(), re.MULTILINE)
    )
    assert int(constants[message.name], 16) == message.code
    assert int(constants[f"{message.name}_BYTES"]) == message.size_bytes
    for field, offset in zip(message.fields, message.offsets, strict=True):
        prefix = "HEADER" if field in HEADER else message.name
        assert int(constants[f"{prefix}_AT_{field.name.upper()}"]) == offset
        values: dict[str, Any] = {f.name: b"\0" * 8 if f.kind == "id8" else 0 for f in message.fields}
        marked = message.pack(**values | {field.name: b"\xff" * 8 if field.kind == "id8" else 255})
        assert marked[offset] == (message.code if field.name == "type" else 255)


def test_the_document_holds_the_tables() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert render_protocol.markdown() in text, (
        "docs/reference/protocol.md: replace its tables by feast_codegen.codegen.protocol.render.markdown()"
    )


def test_the_examples_of_the_document() -> None:
    assert doctest.testfile(str(DOCUMENT), module_relative=False, encoding="utf-8").failed == 0


def test_digests_are_crc32_of_little_endian_words() -> None:
    results = np.array([0, 15, -1, -4, 300], np.int16)
    assert messages.result_digest(results) == zlib.crc32(bytes.fromhex("00000f00fffffcff2c01"))
    assert messages.result_digest(results[2:], messages.result_digest(results[:2])) == messages.result_digest(
        results
    )
    assert messages.result_digest([]) == messages.snapshot_digest([]) == 0
    assert messages.snapshot_digest(np.array([1, 65535], np.uint16)) == zlib.crc32(bytes.fromhex("0100ffff"))
