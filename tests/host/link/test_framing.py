"""Frames: the host's codec and the firmware's own are one, and nothing that arrives puts them out of step."""

from __future__ import annotations

import doctest
import zlib

import pytest
from cobs import cobs
from hypothesis import example, given
from hypothesis import strategies as st

from feast_codegen.codegen.protocol import messages
from feast_codegen.host.link import framing
from feast_codegen.host.link.framing import FrameDecoder, Receiver, Sender, encode_frame, encoded_bound
from tests.support.link_device import FakeDevice

BODIES = st.one_of(
    st.binary(min_size=1, max_size=300),
    st.binary(min_size=240, max_size=600).map(lambda body: body.replace(b"\0", b"\1")),  # full COBS blocks
)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> FakeDevice:
    return FakeDevice(tmp_path_factory.mktemp("device"))


def decode(data: bytes, max_body_bytes: int = 1020) -> tuple[list[bytes], dict[str, int]]:
    decoder = FrameDecoder(max_body_bytes)
    return decoder.feed(data), decoder.counters


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(framing).failed == 0


@given(BODIES)
@example(b"\0")
@example(b"\1" * 250)
@example(b"\1" * 504)
def test_both_encoders_give_the_same_bytes(device: FakeDevice, body: bytes) -> None:
    frame = encode_frame(body)
    assert device.encode(body) == frame
    assert frame.index(0) == len(frame) - 1
    assert len(frame) <= encoded_bound(len(body))


@given(st.lists(BODIES, max_size=5))
def test_both_decoders_return_what_was_encoded(device: FakeDevice, bodies: list[bytes]) -> None:
    stream = b"".join(map(encode_frame, bodies))
    assert decode(stream)[0] == bodies
    assert device.decode(stream)[0] == bodies


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_both_checksums_are_zlibs(device: FakeDevice, first: bytes, second: bytes) -> None:
    crc = device.lib.framing_crc32(device.lib.framing_crc32(0, first, len(first)), second, len(second))
    assert crc == zlib.crc32(first + second)


@given(st.lists(st.one_of(st.binary(max_size=40), st.binary(min_size=1, max_size=30).map(encode_frame))))
def test_any_bytes_are_taken_alike(device: FakeDevice, pieces: list[bytes]) -> None:
    noise = b"".join(pieces) + b"\0"
    bodies, drops = decode(noise, max_body_bytes=28)
    assert (bodies, sum(drops.values())) == (
        (on_device := device.decode(noise, capacity=32))[0],
        sum(on_device[1].values()),
    )


@given(st.lists(BODIES, min_size=1, max_size=4), st.data())
def test_a_changed_byte_costs_at_most_the_two_frames_it_joins(
    bodies: list[bytes], data: st.DataObject
) -> None:
    stream = bytearray(b"".join(map(encode_frame, bodies)))
    at = data.draw(st.integers(0, len(stream) - 1))
    change = data.draw(st.integers(1, 255))
    stream[at] ^= change
    received, drops = decode(bytes(stream))
    assert len(received) >= len(bodies) - 2
    assert set(received) <= set(bodies)
    assert len(received) == len(bodies) or sum(drops.values()) > 0 or stream[-1] != 0


@given(st.lists(BODIES, max_size=4), st.data())
def test_pieces_do_not_matter(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(encode_frame, bodies))
    decoder, received, at = FrameDecoder(1020), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream)))
        received += decoder.feed(stream[at : at + size])
        at += size
    assert received == bodies


def test_every_drop_is_counted_by_its_cause() -> None:
    intact = encode_frame(b"intact")
    wrong = b"wrong" + (zlib.crc32(b"wrong") ^ 1).to_bytes(4, "little")
    stream = b"".join(
        (
            *(b"\0\0", b"\x05abc\0", b"\x01\0", intact),  # idle line, cut short, too short
            *(cobs.encode(wrong), b"\0", intact),
            *(encode_frame(b"x" * 101), intact, b"y" * 1000, b"\0", intact),
        )
    )
    bodies, drops = decode(stream, max_body_bytes=100)
    assert bodies == [b"intact"] * 4
    assert drops == {"bad_frame": 2, "bad_crc": 1, "too_long": 2}


def test_endless_garbage_takes_no_memory() -> None:
    decoder = FrameDecoder(100)
    for _ in range(100):
        assert decoder.feed(b"\xaa" * 10_000) == []
        assert len(decoder._pending) <= encoded_bound(100)
    assert decoder.feed(b"\0" + encode_frame(b"then")) == [b"then"]


class TestSequence:
    """The receiver's watch over sequence numbers."""

    def credits(self, *sequences: int) -> bytes:
        bodies = (messages.CREDIT.pack(run=1, sequence=n, received=0, ack=0) for n in sequences)
        return b"".join(map(encode_frame, bodies))

    def test_gaps_are_counted_and_repeats_dropped(self) -> None:
        receiver = Receiver()
        frames = receiver.feed(self.credits(65534, 65535, 2, 2, 0, 3))
        assert [frame.fields["sequence"] for frame in frames] == [65534, 65535, 2, 3]
        assert (receiver.counters["lost"], receiver.counters["repeated"]) == (2, 2)

    def test_a_restarted_device_is_heard(self) -> None:
        receiver = Receiver()
        receiver.feed(self.credits(40_000))
        error = messages.ERROR.pack(run=0, sequence=0, received=0, ack=7, code=16, detail=0)
        (frame,) = receiver.feed(encode_frame(error))
        assert frame.message is messages.ERROR
        assert len(receiver.feed(self.credits(1))) == 1

    def test_what_is_no_message_is_counted(self) -> None:
        receiver = Receiver()
        assert receiver.feed(encode_frame(b"\x77" * 8) + encode_frame(b"\x82\0\0")) == []
        assert receiver.counters["unknown"] == 2

    def test_numbers_wrap(self) -> None:
        sender, receiver = Sender(), Receiver()
        for _ in range(65_540):
            frame = sender.encode(messages.POLL, run=1, received=0)
        receiver.feed(frame)
        assert sender.next_sequence == 4
        assert receiver.counters["lost"] == 0


def test_a_frame_fits_the_firmwares_buffer_or_is_dropped(device: FakeDevice) -> None:
    for capacity in (5, 6, 31, 32):
        bodies, drops = device.decode(encode_frame(b"12345678") * 2 + encode_frame(b"1"), capacity)
        assert len(bodies) == (1 if capacity < 12 else 3)
        assert drops["too_long"] == (2 if capacity < 12 else 0)
