"""Serves the page and its data on the loopback interface, to whoever holds the token."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qs

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.monitor.connections import ACCEPTED_AT_ONCE, HANDSHAKE_S, TABS, Connection, Register
from feast_codegen.host.monitor.session import Session

_PICTURE_S: Final = 0.1
_ORDER_S: Final = 0.05
"""Orders of one page are taken at this interval; the rest waits in the page's own connection."""
_ORDER_BYTES: Final = 16
_WAITING_ORDERS: Final = 4
_START_S: Final = 10.0
FAREWELL_S: Final = 0.3
"""Limit for the pages to take the last view and the end of the connection; then they are cut off."""
STOP_S: Final = 0.8
"""Limit for the server to end, farewell included."""
_CLOSE_S: Final = 2.0
"""Limit for a browser to close a connection that has been answered or ended."""
_BACKLOG: Final = 128
_HOST: Final = "127.0.0.1"
_ENDED: Final = 1001  # RFC 6455: going away
_NO_ORDER: Final = 1008  # policy violation
_LOG: Final = logging.getLogger("codegen.monitor")
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False  # what strangers send is not worth a line; failures of our own are in `Monitor.error`


class Monitor:
    """A port of this machine, and while it is `running` the server of a session. ``url`` holds the token."""

    def __init__(self, port: int) -> None:
        """port: 0 for any. Raises FeastError if it is taken."""
        self.error: Exception | None = None
        """Why the server has ended, if nobody asked it to."""
        self._token = secrets.token_urlsafe(24)
        try:
            self._socket = socket.create_server((_HOST, port))
        except OSError as error:
            raise FeastError(
                f"port {port}: {error.strerror or error}: choose another with --web-port"
            ) from None
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{_HOST}:{self.port}/?token={self._token}"
        self._hosts = {f"{_HOST}:{self.port}", f"localhost:{self.port}"}
        self._page = _Page()
        self._register = Register()
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._ending: asyncio.Event

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    @contextmanager
    def running(self, session: Session) -> Iterator[Monitor]:
        """Serve `session` while the block runs; then end within STOP_S, even if pages stay open."""
        self._session = session
        self._thread = threading.Thread(target=self._run, daemon=True, name="monitor-web")
        self._thread.start()
        try:
            if not self._started.wait(_START_S):
                raise self.error or FeastError(f"the server has not started within {_START_S:.0f} s")
            yield self
        finally:
            with suppress(AttributeError, RuntimeError):  # it has not started, or has ended
                self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(STOP_S)
            self._socket.close()

    def is_alive(self) -> bool:
        """Whether the server serves."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # the command raises it again, in its own thread
            self.error = self.error or error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        server = await serve(
            self._live,
            sock=self._socket,
            backlog=ACCEPTED_AT_ONCE,
            process_request=self._answer,
            create_connection=self._connection,  # type: ignore[arg-type] # documented: a wrapper may be given
            compression=None,
            open_timeout=HANDSHAKE_S,
            close_timeout=_CLOSE_S,
            max_size=_ORDER_BYTES,
            max_queue=_WAITING_ORDERS,
            server_header=None,
            logger=_LOG,
        )
        # asyncio takes one number for the length of the queue and for what it accepts in one turn.
        self._socket.listen(_BACKLOG)
        self._started.set()
        await self._ending.wait()
        server.close(close_connections=False)
        limit = self._loop.time() + FAREWELL_S
        while self._register.proven and self._loop.time() < limit:
            await asyncio.sleep(_PICTURE_S / 10)
        self._register.abort_all()
        await server.wait_closed()

    def _connection(self, *given: Any, **options: Any) -> Connection:
        return Connection(self._register, *given, **options)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a request; None to open a WebSocket."""
        assert isinstance(connection, Connection)
        try:
            return self._response(connection, request)
        except Exception as error:
            self._fail(error)
            raise

    def _response(self, connection: Connection, request: Request) -> Response | None:
        path, _, query = request.path.partition("?")
        if reason := self._refusal(request, query):
            return connection.respond(403, f"refused: {reason}\n")
        self._register.prove(connection)
        if path == "/":
            return self._page.response(connection, request.headers["Host"])
        if path != "/live":
            return connection.respond(404, "there is no such page\n")
        if not request.headers.get_all("Origin"):
            return connection.respond(403, "refused: no origin\n")
        if self._register.tabs >= TABS:
            return connection.respond(503, f"{TABS} pages are open already: close one\n")
        connection.is_tab = True
        return None

    def _refusal(self, request: Request, query: str) -> str | None:
        """Why a request is not answered; None if it may be.

        The host name keeps out pages that point a name of theirs to this machine, the origin those that
        talk to it directly, the token everybody else.
        """
        hosts, origins = request.headers.get_all("Host"), request.headers.get_all("Origin")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return "wrong host"
        if origins and (len(origins) != 1 or origins[0] not in {f"http://{host}" for host in self._hosts}):
            return "foreign origin"
        token = parse_qs(query, errors="replace").get("token", [""])[0]
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self._token.encode()):
            return "no valid token: use the whole address that codegen monitor has printed"
        return None

    async def _live(self, socket: ServerConnection) -> None:
        """Send a page each new view until it leaves or the server ends; take its orders."""
        orders = asyncio.create_task(self._take_orders(socket))
        ending = asyncio.create_task(self._ending.wait())
        seen = -1
        try:
            while not orders.done() and not ending.done():
                seen = await self._send_view(socket, seen)
                await asyncio.wait({orders, ending}, timeout=_PICTURE_S, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                await self._send_view(socket, seen)
                await socket.close(_ENDED)
        except ConnectionClosed:
            pass
        except Exception as error:
            self._fail(error)
        finally:
            orders.cancel()
            ending.cancel()

    async def _send_view(self, socket: ServerConnection, seen: int) -> int:
        version = self._session.version
        if version != seen:
            await socket.send(json.dumps(self._session.view(), allow_nan=False))
        return version

    async def _take_orders(self, socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                what: Any = await socket.recv()
                if not isinstance(what, str) or not self._session.order(what):
                    await socket.close(_NO_ORDER)
                    return
                await asyncio.sleep(_ORDER_S)

    def _fail(self, error: Exception) -> None:
        """End the server: this is a mistake of the program, not of a page."""
        self.error = self.error or error
        self._ending.set()


class _Page:
    """The page, as one document that loads nothing."""

    def __init__(self) -> None:
        folder = resources.files("feast_codegen.host.monitor") / "page"
        html, style, script = (
            (folder / name).read_text("utf-8") for name in ("index.html", "style.css", "monitor.js")
        )
        self._text = html.replace("/*style*/", style).replace("/*script*/", script)

    def response(self, connection: ServerConnection, host: str) -> Response:
        """The page for a browser that came by the name `host`."""
        nonce = secrets.token_urlsafe(16)
        response = connection.respond(200, self._text.replace("{{nonce}}", nonce))
        del response.headers["Content-Type"]
        response.headers.update(
            {
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": f"default-src 'none'; script-src 'nonce-{nonce}'; "
                f"style-src 'nonce-{nonce}'; connect-src 'self' ws://{host}; img-src data:; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'",
                "Referrer-Policy": "no-referrer",
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            }
        )
        return response
