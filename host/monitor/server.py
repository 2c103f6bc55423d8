"""Serves the page and its data on the loopback interface, to whoever holds the token."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from codegen.errors import FeastError
from host.monitor.session import Session

ORDERS: Final = ("pause", "resume", "record", "stop", "learn", "freeze", "save")
_PICTURE_S: Final = 0.1
_START_S: Final = 10.0
_HOST: Final = "127.0.0.1"


class Monitor:
    """The server of one session. ``url`` holds the token."""

    def __init__(self, session: Session, port: int) -> None:
        """port: 0 for any. Raises FeastError if it is taken."""
        self._session = session
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
        routes = [Route("/", self._page), WebSocketRoute("/live", self._live)]
        config = uvicorn.Config(
            Starlette(routes=routes), log_level="error", lifespan="off", ws="websockets-sansio"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, daemon=True, name="monitor-web")

    @contextmanager
    def running(self) -> Iterator[Monitor]:
        """Serve while the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._server.should_exit = True
            self._thread.join(_START_S)
            self._socket.close()

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def _refusal(self, connection: HTTPConnection) -> str | None:
        """Why a request is not answered; None if it may be.

        The host name keeps out pages that point a name of theirs to this machine, the origin those that
        talk to it directly, the token everybody else.
        """
        if connection.headers.get("host") not in self._hosts:
            return "wrong host"
        origin = connection.headers.get("origin")
        if origin is not None and origin not in {f"http://{host}" for host in self._hosts}:
            return "foreign origin"
        if not hmac.compare_digest(connection.query_params.get("token", "").encode(), self._token.encode()):
            return "no valid token: use the whole address that codegen monitor has printed"
        return None

    async def _page(self, request: Request) -> Response:
        if reason := self._refusal(request):
            return PlainTextResponse(f"refused: {reason}", 403)
        nonce = secrets.token_urlsafe(16)
        folder = resources.files("host.monitor") / "page"
        text = {
            name: (folder / name).read_text("utf-8") for name in ("index.html", "style.css", "monitor.js")
        }
        page = text["index.html"].replace("{{nonce}}", nonce)
        page = page.replace("/*style*/", text["style.css"]).replace("/*script*/", text["monitor.js"])
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
            f"connect-src 'self' ws://{request.headers['host']}; img-src data:; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )
        headers = {
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return HTMLResponse(page, headers=headers)

    async def _live(self, socket: WebSocket) -> None:
        if self._refusal(socket) or socket.headers.get("origin") is None:
            await socket.close(4403)
            return
        await socket.accept()
        orders = asyncio.create_task(self._take_orders(socket))
        seen = -1
        try:
            while not orders.done():
                version = self._session.version
                if version != seen:
                    seen = version
                    await socket.send_text(json.dumps(self._session.view(), allow_nan=False))
                await asyncio.sleep(_PICTURE_S)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            orders.cancel()

    async def _take_orders(self, socket: WebSocket) -> None:
        try:
            while True:
                what = await socket.receive_text()
                if what in ORDERS:
                    self._session.order(what)
        except (WebSocketDisconnect, RuntimeError):
            return
