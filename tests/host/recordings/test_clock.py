"""Events out of order: outliers go and the rest stays, clocks start again, small disorder is sorted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import BACKWARDS, EVENT_DTYPE, OUTSIDE, Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.network.float_model import FloatFeast
from feast_codegen.host.recordings import clock
from feast_codegen.host.recordings.clock import Piece, in_order
from feast_codegen.host.recordings.events import check_events
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.reading import LeftOut, Reading, Tolerance
from tests.support.networks import event_streams, make_events, make_model

SENSOR = Sensor(9, 7)


def ordered(count: int, seed: int = 1) -> Events:
    return make_events(count, SENSOR, seed=seed)


def run(events: Events, size: int = 0, left_out: LeftOut | None = None, **said: Any) -> list[Piece]:
    """Pieces, read in chunks of `size` events, 0: at once."""

    def pieces() -> Iterator[Events]:
        step = size or max(events.size, 1)
        return (events[at : at + step] for at in range(0, events.size, step))

    return list(in_order(pieces, SENSOR, "a.csv", Tolerance(**said), left_out or LeftOut()))


def joined(pieces: list[Piece]) -> Events:
    return np.concatenate([np.zeros(0, EVENT_DTYPE), *(piece.events for piece in pieces)])


def refused(events: Events, size: int = 0, **said: Any) -> str:
    with pytest.raises(FeastError) as error:
        run(events, size, **said)
    return str(error.value)


def restarted(*counts: int) -> Events:
    """Stretches of a clock that starts again."""
    return np.concatenate([ordered(count, seed) for seed, count in enumerate(counts)])


# Outliers


@pytest.mark.parametrize(
    "where", [[0], [500], [998], [0, 1, 2], [10, 11, 12], [5, 300, 301, 700], [997, 998], [999]]
)
@pytest.mark.parametrize("time", [0, 10**12, 2**62])
def test_the_outliers_go_and_the_rest_stays(where: list[int], time: int) -> None:
    events = ordered(1000)
    events["t_us"] += np.uint64(1000)
    good = np.delete(events, where)
    events["t_us"][where] = time
    if not (np.diff(events["t_us"].astype(np.int64)) < 0).any():
        good = events  # early at the beginning, late at the end
    kept = run(events, skip_bad_events=True)
    np.testing.assert_array_equal(joined(kept), good)
    assert sum(piece.skipped for piece in kept) == events.size - good.size


@given(st.data())
def test_outliers_of_any_kind_are_found(data: st.DataObject) -> None:
    """Those that lie outside the times of their neighbours, alone or a few in a row, ahead or behind."""
    events = ordered(400, seed=data.draw(st.integers(0, 9)))
    events["t_us"] += np.uint64(10**6)
    starts = data.draw(st.lists(st.sampled_from(range(60, 370, 30)), unique=True, max_size=4))
    bad = [at for start in starts for at in range(start, start + data.draw(st.integers(1, 5)))]
    for at in bad:
        events["t_us"][at] = data.draw(st.sampled_from([0, 7, 10**9, 10**12, 2**63 - 1]))
    good = np.delete(events, bad)
    kept = run(events, data.draw(st.sampled_from([0, 1, 7, 300])), skip_bad_events=True)
    np.testing.assert_array_equal(joined(kept), good)


@given(events=event_streams(SENSOR))
def test_what_is_kept_is_what_a_network_accepts(events: Events) -> None:
    events["polarity"] &= 1
    said = {"skip_bad_events": True, "on_clock_reset": "split", "max_bad_share": 1.0}
    pieces = run(events, **said)
    seen = 0
    for stretch in {piece.stretch for piece in pieces}:
        kept = joined([piece for piece in pieces if piece.stretch == stretch])
        check_events(kept, SENSOR, "kept")
        results = FloatFeast(make_model(SENSOR, radius=1, features=2)).step(kept)
        assert not np.isin(results, (OUTSIDE, BACKWARDS)).any()
        seen += kept.size
    assert seen + sum(piece.skipped for piece in pieces) == events.size


def test_too_many_bad_events_are_refused() -> None:
    events = ordered(1000)
    events["x"][100:151] = 99
    assert re.search(
        r"a\.csv: 51 of 1000 events are bad \(51 outside the sensor .*0\.05 that --max-bad-share",
        refused(events, skip_bad_events=True),
    )
    assert joined(run(events, skip_bad_events=True, max_bad_share=0.051)).size == 949
    events["x"][150] = 0  # 5 % are allowed
    assert joined(run(events, skip_bad_events=True)).size == 950
    assert "of 0 that" in refused(events, skip_bad_events=True, max_bad_share=0.0)


def test_what_is_left_out_is_said_by_its_kind() -> None:
    events, left_out = ordered(300), LeftOut()
    events["t_us"] += np.uint64(1000)
    events["x"][7], events["polarity"][8] = 99, 2
    events["t_us"][[50, 120]] = 0
    events["t_us"][200] = 10**9
    for _ in range(2):  # said once, however often it is read
        run(events, left_out=left_out, skip_bad_events=True)
    assert left_out.lines() == [
        "2 events left out: earlier than the events before them",
        "1 events left out: later than the events after them",
        "2 events left out: outside the sensor or of no polarity",
    ]


# Clocks that start again


@pytest.mark.parametrize(
    "counts", [(1000, 1000), (10, 10), (50, 2000), (2000, 50), (300, 20, 300), (40,) * 9]
)
@pytest.mark.parametrize("size", [0, 1, 100])
def test_a_clock_that_starts_again(counts: tuple[int, ...], size: int) -> None:
    events = restarted(*counts)
    assert re.search(
        rf"a\.csv: event {counts[0]}: .*--on-clock-reset split .*--on-clock-reset continue",
        refused(events, size),
    )
    assert refused(events, size, skip_bad_events=True) == refused(events, size)
    left_out = LeftOut()
    pieces = run(events, size, left_out, on_clock_reset="split")
    for stretch, count in enumerate(counts):
        part = joined([piece for piece in pieces if piece.stretch == stretch])
        np.testing.assert_array_equal(part, ordered(count, stretch))
    assert len(left_out.lines()) == 1 and "each stretch is a recording" in left_out.lines()[0]
    whole = joined(run(events, size, on_clock_reset="continue"))
    check_events(whole, SENSOR, "continued")
    same = [name for name in EVENT_DTYPE.names or () if name != "t_us"]
    np.testing.assert_array_equal(whole[same], events[same])
    steps, starts = np.diff(whole["t_us"].astype(np.int64)), np.cumsum(counts)[:-1]
    assert (steps[starts - 1] == 1).all()
    np.testing.assert_array_equal(
        np.delete(steps, starts - 1), np.delete(np.diff(events["t_us"].astype(np.int64)), starts - 1)
    )


def test_a_reset_among_outliers_and_disorder() -> None:
    first, second = ordered(700, 1), ordered(900, 2)
    for part in (first, second):
        part["t_us"] = np.arange(part.size) * 100 + 5000
    bad_first, bad_second = first.copy(), second.copy()
    bad_first["t_us"][300], bad_second["t_us"][1] = 10**12, 10**13
    bad_second[100:102] = bad_second[100:102][::-1]
    said = {"skip_bad_events": True, "on_clock_reset": "split", "sort_within_us": 100}
    pieces = run(np.concatenate([bad_first, bad_second]), **said)
    parts = [joined([piece for piece in pieces if piece.stretch == at]) for at in (0, 1)]
    np.testing.assert_array_equal(parts[0], np.delete(first, 300))
    np.testing.assert_array_equal(parts[1], np.delete(second, 1))


def test_a_clock_does_not_start_again_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "MOST_STRETCHES", 5)
    assert "the clock starts again 5 times" in refused(restarted(*(40,) * 9), on_clock_reset="split")


def test_stretches_are_recordings(tmp_path: Path) -> None:
    events = restarted(500, 700)
    (tmp_path / "0").mkdir()
    for name, part in (("a", events), ("b", ordered(300))):
        np.save(tmp_path / "0" / f"{name}.npy", part_of_tonic(part))
    source = open_source(str(tmp_path), reading=Reading(SENSOR, on_clock_reset="split"))
    assert source.names == ("0/a.npy#1", "0/a.npy#2", "0/b.npy")
    assert source.labels == (0, 0, 0)
    for again in (source, source.pick([0, 1, 2])):
        for index, part in enumerate((events[:500], events[500:], ordered(300))):
            np.testing.assert_array_equal(again.load(index).events, part)
            chunks = [piece.events for piece in again.load_chunks(index)]
            np.testing.assert_array_equal(np.concatenate(chunks), part)
    whole = open_source(str(tmp_path), reading=Reading(SENSOR, on_clock_reset="continue"))
    assert whole.names == ("0/a.npy", "0/b.npy") and whole.load(0).events.size == 1200


def part_of_tonic(events: Events) -> Any:
    """The same as tonic holds them, in microseconds by the name."""
    fields = [("t_us", np.int64), ("x", np.int16), ("y", np.int16), ("p", np.int8)]
    rows = np.zeros(events.size, fields)
    for name, own in zip(("t_us", "x", "y", "p"), EVENT_DTYPE.names or (), strict=True):
        rows[name] = events[own]
    return rows


# Small disorder


@given(st.data())
def test_small_disorder_is_sorted(data: st.DataObject) -> None:
    within = data.draw(st.sampled_from([1, 30, 1000]))
    events = ordered(500, seed=data.draw(st.integers(0, 9)))
    delays = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, within + 1, events.size)
    arrival = np.argsort(events["t_us"] + delays.astype(np.uint64), kind="stable")
    mixed = events[arrival]
    expected = mixed[np.argsort(mixed["t_us"], kind="stable")]
    kept = run(mixed, data.draw(st.sampled_from([0, 1, 13, 200])), sort_within_us=within)
    np.testing.assert_array_equal(joined(kept), expected)


def test_more_disorder_than_is_sorted_is_refused_and_names_the_options() -> None:
    events = ordered(500)
    events["t_us"] = np.arange(500) * 1000 + 5000
    events["t_us"][300] -= np.uint64(4500)
    for within in (0, 3000):
        said = refused(events, sort_within_us=within)
        assert re.search(r"event 300: t=300500 us is earlier than the event before it \(t=304000 us\)", said)
        assert "--sort-within 10000 sorts" in said and "--skip-bad-events" in said
    assert joined(run(events, sort_within_us=3000, skip_bad_events=True)).size == 499
    assert joined(run(events, sort_within_us=10_000)).size == 500


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"sort_within_us": -1}, "--sort-within -1: expected 0 to 1000000 microseconds"),
        ({"sort_within_us": 1_000_001}, "--sort-within"),
        ({"max_bad_share": 1.5}, "--max-bad-share 1.5: expected a share from 0 to 1"),
        ({"max_bad_share": float("nan")}, "--max-bad-share nan"),
    ],
)
def test_values_out_of_range_are_refused(said: dict[str, Any], problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(5))
    with pytest.raises(FeastError, match=re.escape(problem)):
        open_source(str(tmp_path / "a.bin"), reading=Reading(**said))


# The same for all chunks


TOLERANCES = st.builds(
    Tolerance,
    st.booleans(),
    st.sampled_from(["error", "split", "continue"]),
    st.sampled_from([0, 5, 300]),
    st.sampled_from([0.05, 1.0]),
)


@given(st.data(), TOLERANCES)
def test_chunks_do_not_matter(data: st.DataObject, tolerance: Tolerance) -> None:
    """Events, stretches, counts and errors are the same for every size of chunk; what is kept is in order."""
    count = data.draw(st.integers(0, 900))
    seed = data.draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    events = ordered(count, seed % 10)
    for _ in range(data.draw(st.integers(0, 4))):
        at = int(rng.integers(0, max(count, 1)))
        kind = data.draw(st.sampled_from(["ahead", "behind", "reset", "outside", "mixed", "forward"]))
        length = data.draw(st.sampled_from([1, 2, 9, 40, 200]))
        part = events[at : at + length]
        if kind == "ahead":
            part["t_us"] += np.uint64(10**9)
        elif kind == "behind":
            part["t_us"] //= np.uint64(2)
        elif kind == "reset" and at < count:
            events["t_us"][at:] -= events["t_us"][at:].min()
        elif kind == "outside":
            part["x"] = 99
        elif kind == "mixed":
            rng.shuffle(part)
        else:
            events["t_us"][at:] += np.uint64(10**6)

    def outcome(size: int) -> Any:
        left_out = LeftOut()
        try:
            pieces = run(events, size, left_out, **vars(tolerance))
        except FeastError as error:
            return str(error)
        stretches = np.concatenate([np.full(piece.events.size, piece.stretch) for piece in pieces] or [[]])
        skipped = sum(piece.skipped for piece in pieces)
        return joined(pieces).tolist(), stretches.tolist(), skipped, left_out.lines()

    at_once = outcome(0)
    for size in (1, 64, 333):
        assert outcome(size) == at_once
    if not isinstance(at_once, str):
        pieces = run(events, **vars(tolerance))
        for stretch in {piece.stretch for piece in pieces}:
            kept = joined([piece for piece in pieces if piece.stretch == stretch])
            check_events(kept, SENSOR, "kept")
        assert sum(piece.events.size + piece.skipped for piece in pieces) == count
