"""Event cameras on a serial port: eDVS and GenX320 bytes to events, however they are cut."""

from __future__ import annotations

import os
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.streaming.cameras import EdvsDecoder, EdvsMode, Genx320Decoder
from feast_codegen.host.streaming.inputs import live_feed
from tests.support.networks import make_events


def edvs_bytes(events: Events, mode: int) -> bytes:
    """As the camera sends them, written without the decoder's help."""
    out = bytearray()
    for event in events:
        stamp = int(event["t_us"]) % 256**mode
        out += bytes([0x80 | int(event["y"]), int(event["polarity"]) << 7 | int(event["x"])])
        out += stamp.to_bytes(mode, "big")
    return bytes(out)


def genx320_rows(events: Events) -> np.ndarray[Any, np.dtype[np.uint16]]:
    t = events["t_us"].astype(np.int64)
    columns = (events["polarity"], t // 10**6 % 2**16, t // 1000 % 1000, t % 1000, events["x"], events["y"])
    return np.stack(columns, axis=1).astype("<u2")


def feed_in_pieces(decoder: Any, data: bytes, cuts: list[int]) -> Events:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [decoder.feed(data[a:b]) for a, b in pairwise(edges)]
    return np.concatenate(pieces)


def same(got: Events, events: Events) -> bool:
    same_time = got["t_us"] - got["t_us"][0] == events["t_us"] - events["t_us"][0]
    return bool(same_time.all() and all((got[n] == events[n]).all() for n in ("x", "y", "polarity")))


@given(
    mode=st.sampled_from([2, 3, 4]),
    cuts=st.lists(st.integers(0, 10_000), max_size=6),
    start=st.integers(0, 2**32),
)
def test_edvs_in_any_pieces_across_wraps(mode: EdvsMode, cuts: list[int], start: int) -> None:
    events = make_events(300, Sensor(128, 128), mean_gap_us=900.0)
    events["t_us"] += np.uint64(start)
    decoder = EdvsDecoder(mode)
    assert same(feed_in_pieces(decoder, edvs_bytes(events, mode), cuts), events)
    assert decoder.dropped == 0


def test_edvs_bytes_by_hand() -> None:
    """y 5, x 9, brighter, 0x0102 us."""
    (event,) = EdvsDecoder(2).feed(bytes([0x85, 0x89, 0x01, 0x02]))
    assert event.tolist() == (0x0102, 9, 5, 1)
    (event,) = EdvsDecoder(2, invert_polarity=True).feed(bytes([0x85, 0x89, 0x01, 0x02]))
    assert event["polarity"] == 0


def test_edvs_finds_its_step_in_foreign_bytes() -> None:
    events = make_events(50, Sensor(128, 128))
    decoder = EdvsDecoder(4)
    got = np.concatenate([decoder.feed(b"eDVS ready\n"), decoder.feed(edvs_bytes(events, 4))])
    assert same(got, events)
    assert decoder.dropped == len("eDVS ready\n")


@given(cuts=st.lists(st.integers(0, 10_000), max_size=6), start=st.integers(0, 2**34))
def test_genx320_in_any_pieces_across_wraps(cuts: list[int], start: int) -> None:
    events = make_events(300, Sensor(320, 320), mean_gap_us=900_000.0)
    events["t_us"] += np.uint64(start)
    assert same(feed_in_pieces(Genx320Decoder(), genx320_rows(events).tobytes(), cuts), events)


def test_genx320_out_of_step() -> None:
    events = make_events(5, Sensor(320, 320))
    events["t_us"] += np.uint64(7_000_000)
    data = genx320_rows(events).tobytes()
    with pytest.raises(FeastError, match="is no event of this camera: out of step"):
        Genx320Decoder().feed(data[2:])


class TestSources:
    def test_a_live_edvs_camera(self) -> None:
        """Behind a pseudo-terminal: it is sent its format; what lies off the device's sensor is left out."""
        events = make_events(400, Sensor(128, 128))
        ours, theirs = os.openpty()
        sent: list[bytes] = []

        def camera() -> None:
            sent.append(os.read(ours, 100))
            os.write(ours, edvs_bytes(events, 3))

        import tty

        tty.setraw(theirs)
        thread = threading.Thread(target=camera)
        thread.start()
        batches = []
        with live_feed(f"edvs://{os.ttyname(theirs)}?format=3", Sensor(100, 128), seconds=60.0) as feed:
            for batch in feed.batches():
                batches.append(batch)
                feed.stop = sum(map(len, batches)) + feed.dropped_events == len(events)
        got = np.concatenate(batches)
        thread.join()
        os.close(ours)
        os.close(theirs)
        assert sent == [b"!E3\nE+\n"]
        assert same(got, events[events["x"] < 100])
        assert feed.dropped_events == np.count_nonzero(events["x"] >= 100)
        assert not feed.replayable

    @pytest.mark.parametrize("kind", ["npz", "npy", "raw"])
    def test_a_genx320_capture(self, tmp_path: Path, kind: str) -> None:
        events = make_events(400, Sensor(320, 320))
        path = tmp_path / f"capture.{kind}"
        rows = genx320_rows(events)
        if kind == "npz":
            np.savez(path, events=rows, metadata="{}")
        elif kind == "npy":
            np.save(path, rows)
        else:
            path.write_bytes(rows.tobytes())
        with live_feed(f"genx320://{path}", Sensor(320, 320)) as feed:
            assert same(np.concatenate(list(feed.batches())), events)
            assert feed.replayable

    def test_an_edvs_capture(self, tmp_path: Path) -> None:
        events = make_events(100, Sensor(128, 128))
        (tmp_path / "c.edvs").write_bytes(edvs_bytes(events, 2))
        with live_feed(f"edvs://{tmp_path / 'c.edvs'}?format=2", Sensor(128, 128)) as feed:
            assert same(np.concatenate(list(feed.batches())), events)

    @pytest.mark.parametrize(
        ("spec", "problem"),
        [
            ("dvs://x", "unknown live source"),
            ("edvs://", "unknown live source"),
            ("edvs:///dev/null?format=5", "format=5: expected a whole number, at most 4"),
            ("edvs:///dev/none?speed=1", "unknown option 'speed'; known: baud, format, invert"),
            ("edvs:///dev/none", "cannot be opened"),
        ],
    )
    def test_refused(self, spec: str, problem: str) -> None:
        with pytest.raises(FeastError, match=problem), live_feed(spec, Sensor(128, 128)):
            pass

    def test_not_a_capture(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.zeros((3, 4)))
        with (
            pytest.raises(FeastError, match=r"events are float64 \(3, 4\), expected uint16"),
            live_feed(f"genx320://{tmp_path / 'x.npy'}", Sensor(320, 320)),
        ):
            pass
