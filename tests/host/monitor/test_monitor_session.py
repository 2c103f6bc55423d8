"""The monitor's worker: what ends it, what it does with orders, and that it can always be left."""

from __future__ import annotations

import errno
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import RESULT_DTYPE
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.cli.commands.monitor import _watch
from feast_codegen.host.link.requests import DeviceSignals
from feast_codegen.host.link.run_results import NO_EVENTS, Latency, ResultChunk
from feast_codegen.host.link.serial_port import LinkError
from feast_codegen.host.monitor import server, session
from feast_codegen.host.monitor.orders import ORDERS, Orders
from feast_codegen.host.monitor.session import Session
from feast_codegen.host.streaming.streamer import Piece
from tests.support.networks import make_events

LIMIT_S = 300.0
"""Only what never comes lasts as long."""
HELLO = SimpleNamespace(
    build_id="0123456789abcdef",
    sensor=Sensor(4, 4),
    features=2,
    banks=1,
    radius=1,
    classes=0,
    snapshot_words=100,
    learning=True,
    layered=False,
    select_threshold=False,
    downsample=0,
)


class FakeLink:
    """Answers questions, except the first `refusals`."""

    name, hello = "fake", HELLO
    latency, losses = Latency(), {"polls": 0}
    sent_bytes = received_bytes = 0

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals

    def signals(self) -> DeviceSignals:
        if self.refusals:
            self.refusals -= 1
            raise LinkError("no answer")
        zeros = (0,) * 10
        return DeviceSignals(*zeros, np.zeros(2, np.int32), np.zeros(2, np.uint32))

    def counters(self) -> Counter[str]:
        return Counter()

    def read_state(self, first: int = 0, count: int = 100) -> Any:
        return np.zeros(count, np.uint16)


class FakeStreamer:
    """Gives the pieces of a function; ``closed`` is set when the port is closed."""

    def __init__(self, pieces: Callable[[FakeStreamer], Iterator[Any]], link: FakeLink | None = None) -> None:
        self.link = link or FakeLink()
        self.totals: Counter[str] = Counter()
        self.learning, self.resumed = False, 0
        self.closed = threading.Event()
        self._pieces = pieces

    def stream(self, feeds: Any) -> Iterator[Any]:
        return self._pieces(self)

    def close(self) -> None:
        self.closed.set()


def piece(count: int = 0) -> Piece:
    events = make_events(count) if count else NO_EVENTS
    return Piece(0, "fake", ResultChunk(0, events, np.zeros(count, RESULT_DTYPE)))


def endless(_: FakeStreamer) -> Iterator[Piece]:
    while True:
        yield piece(10)


def begun(streamer: FakeStreamer, folder: Path = Path()) -> Session:
    made = Session(streamer, lambda: iter(()), None, folder)  # type: ignore[arg-type]
    made.start()
    return made


def until_view(made: Session, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """A view, once `wanted`."""
    tick = threading.Event()
    for _ in range(int(LIMIT_S / 0.01)):
        if wanted(view := made.view()):
            return view
        tick.wait(0.01)
    raise AssertionError(f"it never came: {made.view()}")


class TestFailures:
    @pytest.mark.parametrize("error", [FeastError("the device lies"), IndexError("no such event")])
    def test_any_error_ends_the_worker_and_is_raised_in_the_command(self, error: Exception) -> None:
        def failing(_: FakeStreamer) -> Iterator[Piece]:
            yield piece(10)
            raise error

        made = begun(FakeStreamer(failing))
        made.join(LIMIT_S)
        assert made.view()["state"] == "stopped"
        assert str(error) in made.view()["note"]
        monitor: Any = SimpleNamespace(is_alive=lambda: True, error=None)
        with pytest.raises(type(error), match=str(error)):
            _watch(made, monitor)
        assert made.close() is None  # it is not raised a second time

    def test_the_servers_error_ends_the_command(self) -> None:
        made = begun(FakeStreamer(endless))
        monitor: Any = SimpleNamespace(is_alive=lambda: False, error=ValueError("not JSON"))
        with pytest.raises(ValueError, match="not JSON"):
            _watch(made, monitor)
        made.close()

    def test_no_recordings(self) -> None:
        made = begun(FakeStreamer(lambda _: iter(())))
        made.join(LIMIT_S)
        assert "no recordings" in str(made.error)

    def test_one_question_without_an_answer_is_left_to_the_run(self) -> None:
        made = begun(FakeStreamer(endless, FakeLink(refusals=1)))
        until_view(made, lambda view: view.get("signals"))
        made.close()

    def test_questions_without_answers_end_it(self) -> None:
        made = begun(FakeStreamer(endless, FakeLink(refusals=2)))
        made.join(LIMIT_S)
        assert isinstance(made.error, LinkError)


class TestRecording:
    def test_a_full_disk_ends_it_and_says_which_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("feast_codegen.host.streaming.recorder.Recorder.add", full)
        made = begun(FakeStreamer(endless), tmp_path)
        made.order("record")
        made.join(LIMIT_S)
        assert "recording-1.npz: cannot write: No space left on device" in str(made.error)
        assert "--folder" in str(made.error)
        assert made.recording is None
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("by_order", [True, False])
    def test_one_that_cannot_be_saved_is_not_passed_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_order: bool
    ) -> None:
        def refuse(*_: object) -> None:
            raise FeastError("recording-1.npz: cannot write")

        monkeypatch.setattr("feast_codegen.host.streaming.recorder.Recorder.save", refuse)
        made = begun(FakeStreamer(endless), tmp_path)
        made.order("record")
        until_view(made, lambda view: view.get("recording_to"))
        if by_order:
            made.order("stop")
            made.join(LIMIT_S)
            assert "cannot write" in str(made.error)
        else:
            with pytest.raises(FeastError, match="cannot write"):
                made.close()
            assert "cannot write" in made.view()["note"]

    def test_what_is_recorded_at_the_end_is_saved(self, tmp_path: Path) -> None:
        made = begun(FakeStreamer(endless), tmp_path)
        made.order("record")
        before = until_view(made, lambda view: view.get("recording_to"))["events"]
        until_view(made, lambda view: view["events"] > before)
        assert made.close() == tmp_path / "recording-1.npz"
        with np.load(tmp_path / "recording-1.npz", allow_pickle=False) as file:
            assert len(file["events"]) > 0

    def test_a_folder_that_cannot_be_written_is_told_and_the_monitor_goes_on(self, tmp_path: Path) -> None:
        made = begun(FakeStreamer(endless), tmp_path / "missing")
        made.order("record")
        until_view(made, lambda view: "cannot write" in view["note"])
        assert made.is_alive()
        made.close()
        assert made.error is None


class TestClose:
    def test_the_limits_leave_two_seconds(self) -> None:
        assert session.WORKER_S + session.BROKEN_S + server.STOP_S < 2.0

    def test_a_worker_that_waits_for_the_device_is_freed_by_closing_the_port(self) -> None:
        def waiting(streamer: FakeStreamer) -> Iterator[Piece]:
            assert streamer.closed.wait(LIMIT_S)
            raise LinkError("connection lost")
            yield

        streamer = FakeStreamer(waiting)
        made = begun(streamer)
        made.close(worker_s=0.01, broken_s=LIMIT_S)
        assert not made.is_alive()
        assert made.error is None

    def test_a_worker_that_never_ends_is_left(self, tmp_path: Path) -> None:
        """What it has recorded is saved."""
        free, stuck = threading.Event(), threading.Event()

        def hanging(_: FakeStreamer) -> Iterator[Piece]:
            while made.recording is None:
                yield piece()
            yield piece(10)
            stuck.set()
            free.wait(LIMIT_S)

        streamer = FakeStreamer(hanging)
        made = Session(streamer, lambda: iter(()), None, tmp_path)  # type: ignore[arg-type]
        made.order("record")
        made.start()
        assert stuck.wait(LIMIT_S)
        assert made.close(worker_s=0.01, broken_s=0.01) == tmp_path / "recording-1.npz"
        assert made.is_alive()
        assert streamer.closed.is_set()
        free.set()
        made.join(LIMIT_S)

    def test_the_page_is_told(self) -> None:
        made = begun(FakeStreamer(endless))
        made.close()
        assert (made.view()["state"], made.view()["note"]) == ("stopped", "the monitor has ended")


class TestOrders:
    def test_only_known_orders(self) -> None:
        orders = Orders()
        assert not any(orders.put(what) for what in ("", "Pause", "pause ", "save" * 1000))
        assert all(orders.put(what) for what in ORDERS)

    def test_a_flood_takes_no_room_and_the_last_of_a_kind_counts(self) -> None:
        orders = Orders(lambda: 0.0)
        for _ in range(10_000):
            for what in ORDERS:
                orders.put(what)
        assert len(orders) == len(set(ORDERS.values()))
        taken = [orders.take() for _ in range(5)]
        assert taken == ["resume", "freeze", "stop", "save", None]

    def test_a_kind_comes_again_after_five_times_what_it_took(self) -> None:
        now = 10.0
        orders = Orders(lambda: now)
        orders.put("save")
        assert orders.take() == "save"
        now = 12.0
        orders.carried_out("save", 10.0)
        orders.put("save")
        orders.put("pause")
        assert orders.take() == "pause"  # the other kinds do not wait for it
        now = 21.9
        assert orders.take() is None
        now = 22.0
        assert orders.take() == "save"

    def test_the_worker_goes_on_in_a_flood(self, tmp_path: Path) -> None:
        made = begun(FakeStreamer(endless), tmp_path)
        stop = threading.Event()

        def flood() -> None:
            while not stop.is_set():
                for what in ORDERS:
                    made.order(what)

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        before = made.view()["events"]
        until_view(made, lambda view: view["events"] > before + 1000)
        stop.set()
        thread.join(LIMIT_S)
        made.close()
        assert made.error is None
