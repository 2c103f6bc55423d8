"""Events packed by the host come out of the firmware's own reader unchanged, wherever frames are cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.host.link.payloads import MAX_STEP_US, pack_events, unpack_results
from tests.support.link_device import FakeDevice, toy_events

STEPS_US = st.one_of(
    st.integers(-3, 20_000),
    st.sampled_from([-(2**40), 63, 64, 8191, 8192, 2**20, 2**27, MAX_STEP_US, MAX_STEP_US + 1, 2**40]),
)


@st.composite
def recordings(draw: st.DrawFn, side: int) -> Events:
    steps = draw(st.lists(STEPS_US, min_size=1, max_size=40))
    events = np.zeros(len(steps), EVENT_DTYPE)
    time_us = draw(st.sampled_from([0, 5, 2**32 - 10, 2**63, 2**64 - 1]))
    for event, step in zip(events, steps, strict=True):
        time_us = min(max(time_us + step, 0), 2**64 - 1)
        event["t_us"] = time_us
        event["x"], event["y"] = draw(st.integers(0, side - 1)), draw(st.integers(0, side - 1))
        event["polarity"] = draw(st.integers(0, 1))
    return events


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> FakeDevice:
    return FakeDevice(tmp_path_factory.mktemp("narrow"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> FakeDevice:
    return FakeDevice(tmp_path_factory.mktemp("wide"), FEAST_SENSOR_WIDTH="300")


def through_device(device: FakeDevice, events: Events, wide: bool, max_bytes: int, batch: int) -> Events:
    """Pack in batches, cut into frames, and read each frame back on the device."""
    received, previous_us, first = [], None, 0
    while first < len(events):
        packed = pack_events(events[first : first + batch], first, previous_us, wide)
        start = first
        while start < packed.end:
            end = packed.cut(start, max_bytes, max_events=7)
            tail = packed.tail(start, end)
            assert start < end <= start + 7
            assert len(tail) <= max_bytes
            frame = device.unpack(tail, int(packed.base_us[start - first]))
            assert frame is not None
            received.append(frame)
            start = end
        first, previous_us = packed.end, packed.last_us
    return np.concatenate(received)


@given(recordings(256), st.integers(7, 40), st.integers(1, 50))
def test_narrow_events_survive(narrow: FakeDevice, events: Events, max_bytes: int, batch: int) -> None:
    assert (through_device(narrow, events, False, max_bytes, batch) == events).all()


@given(recordings(65536), st.integers(9, 40), st.integers(1, 50))
def test_wide_events_survive(wide: FakeDevice, events: Events, max_bytes: int, batch: int) -> None:
    assert (through_device(wide, events, True, max_bytes, batch) == events).all()


@given(st.binary(max_size=60))
def test_any_tail_is_read_whole_or_refused(narrow: FakeDevice, tail: bytes) -> None:
    events = narrow.unpack(tail, 10)
    if events is not None:
        again = pack_events(events, 0, 10, False) if len(events) else None
        assert again is None or again.data == minimal(tail)


def minimal(tail: bytes) -> bytes:
    """The same events with each varint at its shortest."""
    out, at = bytearray(), 0
    while at < len(tail):
        value = shift = 0
        while True:
            value |= (tail[at] & 0x7F) << shift
            shift += 7
            at += 1
            if tail[at - 1] < 0x80:
                break
        while value >= 0x80:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
        out += tail[at : at + 2]
        at += 2
    return bytes(out)


@pytest.mark.parametrize(
    "tail",
    [
        b"\x80",
        b"\x00\x01",
        b"\x80\x80\x80\x80\x80\x00\x01\x01",
        b"\xff\xff\xff\xff\x10\x01\x01",
        b"\x02\x01\x01\x02",
    ],
    ids=[
        "cut within a step",
        "cut in coordinates",
        "six bytes of step",
        "33 bits of step",
        "second event cut",
    ],
)
def test_malformed_tails_are_refused(narrow: FakeDevice, tail: bytes) -> None:
    assert narrow.unpack(tail, 0) is None


def test_an_event_is_about_four_bytes() -> None:
    packed = pack_events(toy_events(10_000), 0, None, False)
    assert 3.3 < len(packed.data) / 10_000 < 4.0


def test_any_polarity_but_0_is_brighter(narrow: FakeDevice) -> None:
    events = toy_events(3)
    events["polarity"] = [0, 1, 7]
    unpacked = narrow.unpack(pack_events(events, 0, None, False).data, int(events["t_us"][0]))
    assert unpacked is not None
    assert unpacked["polarity"].tolist() == [0, 1, 1]


def test_a_coordinate_that_cannot_be_sent_is_named() -> None:
    events = toy_events(3)
    events["x"][2] = 256
    with pytest.raises(FeastError, match=r"event 12: \(256, \d+\) cannot be sent: .* below 256"):
        pack_events(events, 10, None, False)


def test_results_of_one_and_of_two_bytes() -> None:
    assert unpack_results(bytes([0, 249, 255, 254, 253, 252]), wide=False).tolist() == [
        0,
        249,
        -1,
        -2,
        -3,
        -4,
    ]
    assert unpack_results(bytes.fromhex("2c01ffff0000"), wide=True).tolist() == [300, -1, 0]
    with pytest.raises(FeastError, match="half a result"):
        unpack_results(b"\0", wide=True)
