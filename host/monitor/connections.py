"""Connections to the monitor's server, limited so that nobody without the token can keep its owner out.

A connection that has not shown the token is *unproven*. There is a small number of places for these; where
all are taken, the oldest loses its place to the newest. A request of the owner is answered within a few turns
of the event loop, before as many others can come, so a flood of connections does not keep the owner out.
Connections that have shown the token take no place.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from websockets.asyncio.server import ServerConnection

UNPROVEN: Final = 64
"""Connections that have not shown the token."""
TABS: Final = 16
"""Open pages with the token. Each holds one view that is being sent to it."""
ACCEPTED_AT_ONCE: Final = 8
"""Connections that the event loop accepts in one turn: far fewer than UNPROVEN."""
HANDSHAKE_S: Final = 5.0
"""Limit for the whole request to arrive."""
_REQUEST_BYTES: Final = 8192
"""A longer request is cut off; browsers send less than 1,000 bytes."""


class Register:
    """The connections of one server. All methods belong to its event loop."""

    def __init__(self) -> None:
        self.unproven: dict[Connection, None] = {}
        """The oldest first."""
        self.proven: set[Connection] = set()

    def enter(self, connection: Connection) -> None:
        """Take a new connection; the oldest unproven one may have to go for it."""
        self.unproven[connection] = None
        if len(self.unproven) > UNPROVEN:
            self.abort(next(iter(self.unproven)))

    def prove(self, connection: Connection) -> None:
        """The connection has shown the token."""
        if connection in self.unproven:
            del self.unproven[connection]
            self.proven.add(connection)

    @property
    def tabs(self) -> int:
        """Connections that are, or are about to be, WebSockets of pages."""
        return sum(connection.is_tab for connection in self.proven)

    def leave(self, connection: Connection) -> None:
        """The connection is closed."""
        self.unproven.pop(connection, None)
        self.proven.discard(connection)

    def abort(self, connection: Connection) -> None:
        """Close a connection at once, even with data still to be sent."""
        self.leave(connection)
        connection.transport.abort()

    def abort_all(self) -> None:
        """Close all connections at once."""
        for connection in [*self.unproven, *self.proven]:
            self.abort(connection)


class Connection(ServerConnection):
    """A connection that is entered in a register while it lasts."""

    def __init__(self, register: Register, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.is_tab = False
        self._register = register
        self._request_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._register.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._register.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self in self._register.unproven:
            self._request_bytes += len(data)
            if self._request_bytes > _REQUEST_BYTES:
                self._register.abort(self)
                return
        super().data_received(data)
