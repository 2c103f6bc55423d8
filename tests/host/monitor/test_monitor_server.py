"""The monitor's server: who gets a connection, what orders may be, and that it ends with pages open."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as websocket

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.monitor import connections
from feast_codegen.host.monitor.connections import TABS, UNPROVEN
from feast_codegen.host.monitor.orders import Orders
from feast_codegen.host.monitor.server import Monitor

LIMIT_S = 300.0
"""Only what never comes lasts as long."""


class FakeSession:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.version = 0
        self.shown: Any = {"state": "running"}
        self.ordered: list[str] = []
        self._orders = Orders()

    def view(self) -> Any:
        return self.shown

    def show(self, view: Any) -> None:
        self.shown = view
        self.version += 1

    def order(self, what: str) -> bool:
        self.ordered.append(what)
        return self._orders.put(what)


@contextmanager
def serving(session: FakeSession) -> Iterator[Monitor]:
    with Monitor(0).running(session) as monitor:  # type: ignore[arg-type]
        yield monitor


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine nothing is late."""
    for limit in ("HANDSHAKE_S", "FAREWELL_S", "STOP_S"):
        monkeypatch.setattr(f"feast_codegen.host.monitor.server.{limit}", 10 * LIMIT_S)


@pytest.fixture
def session() -> FakeSession:
    return FakeSession()


@pytest.fixture
def monitor(session: FakeSession) -> Iterator[Monitor]:
    with serving(session) as made:
        yield made
    assert not made.is_alive()


def tab(monitor: Monitor) -> ClientConnection:
    live = monitor.url.replace("http", "ws").replace("/?", "/live?")
    origin: Any = f"http://127.0.0.1:{monitor.port}"
    return websocket(live, origin=origin, open_timeout=LIMIT_S, close_timeout=LIMIT_S)


def view(page: ClientConnection) -> Any:
    return json.loads(page.recv(timeout=LIMIT_S))


def stranger(monitor: Monitor, data: bytes = b"GET /live HTTP/1.1\r\nHost: x\r\n") -> socket.socket:
    """A connection that sends this and waits."""
    made = socket.create_connection(("127.0.0.1", monitor.port), LIMIT_S)
    made.sendall(data)
    return made


def ended(connection: socket.socket) -> bool:
    """Wait until the server closes a connection."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def until(condition: Callable[[], Any]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.01)


def silent_tab(monitor: Monitor) -> socket.socket:
    """A page that shows the token, opens its WebSocket and reads nothing."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(LIMIT_S)
    made.connect(("127.0.0.1", monitor.port))
    query = monitor.url.split("?")[1]
    made.sendall(
        f"GET /live?{query} HTTP/1.1\r\nHost: 127.0.0.1:{monitor.port}\r\n"
        f"Origin: http://127.0.0.1:{monitor.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    return made


class TestStrangers:
    def test_a_crowd_neither_keeps_the_owner_out_nor_disturbs_a_page(
        self, monitor: Monitor, session: FakeSession
    ) -> None:
        with tab(monitor) as page, ExitStack() as crowd:
            assert view(page) == session.shown
            for _ in range(3 * UNPROVEN):
                crowd.enter_context(stranger(monitor))
            with urllib.request.urlopen(monitor.url, timeout=LIMIT_S) as answer:
                assert answer.status == 200
            with tab(monitor) as second:
                session.show({"state": "learning"})
                while view(second) != session.shown:
                    pass
            while view(page) != session.shown:
                pass
            assert len(monitor._register.unproven) <= UNPROVEN

    def test_the_oldest_goes(self, monitor: Monitor) -> None:
        with ExitStack() as crowd:
            oldest = crowd.enter_context(stranger(monitor))
            until(lambda: len(monitor._register.unproven) == 1)
            others = [crowd.enter_context(stranger(monitor)) for _ in range(UNPROVEN)]
            assert ended(oldest)
            others[0].setblocking(False)
            with pytest.raises(BlockingIOError):
                others[0].recv(1)

    def test_a_request_has_a_limit_of_time(
        self, session: FakeSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("feast_codegen.host.monitor.server.HANDSHAKE_S", 0.05)
        with serving(session) as monitor, stranger(monitor, b"") as silent, stranger(monitor) as slow:
            assert ended(silent)
            assert ended(slow)
            assert not monitor._register.unproven

    def test_a_request_has_a_limit_of_length(self, monitor: Monitor) -> None:
        line = b"A: " + b"a" * 1000 + b"\r\n"
        with stranger(monitor) as long:
            try:
                for _ in range(10 * connections._REQUEST_BYTES // len(line)):
                    long.sendall(line)
            except ConnectionError:
                pass
            assert ended(long)
        until(lambda: not monitor._register.unproven)

    @pytest.mark.parametrize("data", [b"\0" * 100, b"POST / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n"])
    def test_nonsense_is_refused(self, monitor: Monitor, data: bytes) -> None:
        with stranger(monitor, data + b"\r\n") as other:
            assert ended(other)
        until(lambda: not monitor._register.unproven and not monitor._register.proven)
        assert monitor.error is None


class TestPages:
    def test_as_many_as_there_are_places(self, monitor: Monitor, session: FakeSession) -> None:
        with ExitStack() as stack:
            pages = [stack.enter_context(tab(monitor)) for _ in range(TABS)]
            with pytest.raises(InvalidStatus, match="503"), tab(monitor):
                pass
            pages.pop().close()
            until(lambda: monitor._register.tabs < TABS)
            with tab(monitor) as page:
                assert view(page) == session.shown

    @pytest.mark.parametrize("what", ["delete", "", b"pause", "x" * 16, b"\xff\xff"])
    def test_what_is_no_order_ends_the_connection(
        self, monitor: Monitor, session: FakeSession, what: Any
    ) -> None:
        with tab(monitor) as page:
            page.send(what)
            with pytest.raises(ConnectionClosed) as refusal:
                while True:
                    page.recv(timeout=LIMIT_S)
            assert refusal.value.rcvd is not None
            assert refusal.value.rcvd.code == 1008

    def test_a_long_order_is_not_read(self, monitor: Monitor, session: FakeSession) -> None:
        with tab(monitor) as page:
            page.send("p" * 100_000)
            with pytest.raises(ConnectionClosed) as refusal:
                while True:
                    page.recv(timeout=LIMIT_S)
            assert refusal.value.rcvd is not None
            assert refusal.value.rcvd.code == 1009
            assert not session.ordered

    def test_a_flood_of_orders_waits_in_its_own_connection(
        self, monitor: Monitor, session: FakeSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("feast_codegen.host.monitor.server._ORDER_S", LIMIT_S)
        with tab(monitor) as flood, tab(monitor) as other:
            count = 20_000

            def send() -> None:
                try:
                    for _ in range(count):
                        flood.send("save")
                except ConnectionClosed:
                    pass

            thread = threading.Thread(target=send, daemon=True)
            thread.start()
            until(lambda: session.ordered)
            session.show({"state": "learning"})
            while view(other) != session.shown:
                pass
            server_side = [each for each in monitor._register.proven if each.is_tab]
            until(lambda: any(not each.transport.is_reading() for each in server_side))
            assert session.ordered == ["save"]
            for each in server_side:
                monitor._loop.call_soon_threadsafe(each.transport.abort)
            thread.join(LIMIT_S)


class TestEnd:
    def test_pages_get_the_last_view_and_are_told(self, session: FakeSession) -> None:
        with ExitStack() as stack:
            with serving(session) as monitor:
                page = stack.enter_context(tab(monitor))
                assert view(page) == session.shown
                session.show({"state": "stopped"})
            shown = []
            with pytest.raises(ConnectionClosed) as end:
                while True:
                    shown.append(view(page))
            assert end.value.rcvd is not None
            assert end.value.rcvd.code == 1001
            assert shown == [{"state": "stopped"}]
            assert not monitor.is_alive()

    def test_a_page_that_reads_nothing_and_strangers_do_not_keep_it(
        self, session: FakeSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("feast_codegen.host.monitor.server.FAREWELL_S", 0.05)
        session.show({"surface": "s" * 5_000_000})
        with ExitStack() as stack:
            with serving(session) as monitor:
                silent = [stack.enter_context(silent_tab(monitor)) for _ in range(3)]
                stack.enter_context(stranger(monitor))
                until(lambda: len(monitor._register.unproven) == 1 and monitor._register.tabs == 3)
                until(lambda: all(each.paused for each in monitor._register.proven))  # it waits in `send`
            assert not monitor.is_alive()
            assert all(ended(each) for each in silent)

    def test_an_error_of_its_own_ends_it(self, session: FakeSession) -> None:
        with serving(session) as monitor:
            session.show({"rate": float("nan")})
            with tab(monitor) as page, pytest.raises(ConnectionClosed):
                view(page)
            until(lambda: not monitor.is_alive())
        assert isinstance(monitor.error, ValueError)

    def test_a_port_in_use(self, monitor: Monitor) -> None:
        with pytest.raises(FeastError, match=rf"^port {monitor.port}: .*choose another with --web-port$"):
            Monitor(monitor.port)
