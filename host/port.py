"""A serial port, or what stands in for one, with waits that end and errors that read."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import serial

from codegen.errors import FeastError

_READ_BYTES: Final = 1 << 16
_WRITE_LIMIT_S: Final = 10.0
_TURN_S: Final = 0.02


class LinkError(FeastError):
    """The connection, or the device's memory of the run, is gone; a new one can begin again."""


class Port:
    """A pyserial port whose errors are FeastErrors and whose reads wait for the first byte only."""

    def __init__(self, name: str, port: Any) -> None:
        self._name, self._port = name, port
        self._selectable = True
        try:
            port.fileno()
        except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
            self._selectable = False
            port.timeout = _TURN_S  # once: over rfc2217:// each change is agreed with the server
        _send_at_once(port)

    def read(self, limit_s: float) -> bytes:
        """What has arrived, waiting up to `limit_s` for something to arrive."""
        with self._errors():
            if self._selectable:
                if not select.select([self._port], [], [], limit_s)[0]:
                    return b""
                return bytes(self._port.read(_READ_BYTES))
            return self._read_in_turns(time.monotonic() + limit_s)

    def _read_in_turns(self, limit: float) -> bytes:
        """Where nothing can be selected: on Windows, and over rfc2217://."""
        while True:
            waiting = self._port.in_waiting
            if waiting or time.monotonic() < limit:
                if data := self._port.read(waiting or 1):
                    return bytes(data)
            else:
                return b""

    def write(self, data: bytes) -> None:
        with self._errors():
            self._port.write(data)

    def close(self) -> None:
        connection = getattr(self._port, "_socket", None)
        with suppress(serial.SerialException, OSError):
            self._port.close()
        if isinstance(connection, socket.socket):
            connection.close()  # pyserial leaves it open where the other end went first

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except serial.SerialTimeoutException:
            raise LinkError(
                f"{self._name}: takes no more bytes for {_WRITE_LIMIT_S:.0f} s: check cable and power"
            ) from None
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self._name}: connection lost ({error}): reconnect, run again") from None


def _send_at_once(port: Any) -> None:
    """Switch off the delay of small packets, which would cost 40 ms an exchange over TCP."""
    connection = getattr(port, "_socket", None)
    if isinstance(connection, socket.socket):
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def open_port(url: str, baud: int, limit_s: float) -> Port:
    """Open what pyserial can open by that name.

    A network port may not listen yet: it is tried until the limit. Raises FeastError.
    """
    limit = time.monotonic() + limit_s
    while True:
        try:
            # RFC 2217 ports know no limit for writing; they give up a socket that takes nothing for 5 s.
            write_s = None if url.startswith("rfc2217://") else _WRITE_LIMIT_S
            port = serial.serial_for_url(url, baudrate=baud, timeout=0, write_timeout=write_s)
            return Port(url, port)
        except (serial.SerialException, OSError, ValueError) as error:
            if not url.startswith(("socket://", "rfc2217://")) or time.monotonic() > limit:
                raise FeastError(
                    f"{url}: cannot be opened ({error}): check name, cable and the permission to use it"
                ) from None
        time.sleep(0.1)
