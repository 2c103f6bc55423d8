"""A serial port, or what stands in for one, with bounded waits and readable error messages."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import serial

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.link.clock import REAL, TURN_S, Clock, OnWait, ignore

_READ_BYTES: Final = 1 << 16
WRITE_LIMIT_S: Final = 4.0
"""How long a port may take no byte at all."""
_WRITE_BYTES: Final = 4096
_TURN_S: Final = 0.02


class LinkError(FeastError):
    """The connection, or the device's memory of the run, is gone; a new one can begin again."""


class Port:
    """A pyserial port whose errors are FeastErrors and whose reads wait for the first byte only."""

    def __init__(
        self, name: str, port: Any, write_s: float = WRITE_LIMIT_S, on_wait: OnWait = ignore
    ) -> None:
        """port: pyserial's. write_s: how long it may take no byte. on_wait: is called meanwhile."""
        self._name, self._port, self._write_s, self._on_wait = name, port, write_s, on_wait
        self.sent_bytes = self.received_bytes = 0
        self._selectable = True
        try:
            port.fileno()
        except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
            self._selectable = False
            port.timeout = _TURN_S  # once: over rfc2217:// each change is agreed with the server
        else:
            port.write_timeout = 0  # `write` waits by itself: pyserial's limit is for all the bytes together
        _send_at_once(port)

    def read(self, limit_s: float) -> bytes:
        """What has arrived, waiting up to `limit_s` for something to arrive."""
        data = self._read(limit_s)
        self.received_bytes += len(data)
        return data

    def _read(self, limit_s: float) -> bytes:
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
        """Send all of `data`. Raises LinkError where no byte of it can be sent for a while."""
        with self._errors():
            if not self._selectable:
                self._port.write(data)
                self.sent_bytes += len(data)
                return
            left, waited_s = memoryview(data), 0.0
            while left:
                turn_s = min(TURN_S, self._write_s)
                if select.select([], [self._port], [], turn_s)[1]:
                    written = self._port.write(left[:_WRITE_BYTES])
                    self.sent_bytes += written
                    left, waited_s = left[written:], 0.0
                else:
                    waited_s += turn_s
                    self._on_wait("the line takes no bytes", waited_s)
                    if waited_s >= self._write_s:
                        raise serial.SerialTimeoutException

    def close(self) -> None:
        """Close at once: bytes that the line has not taken yet are dropped, not waited for."""
        connection = getattr(self._port, "_socket", None)
        with suppress(serial.SerialException, OSError, ValueError):
            self._port.reset_output_buffer()
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
                f"{self._name}: takes no more bytes for {self._write_s:.0f} s: check cable and power"
            ) from None
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self._name}: connection lost ({error}): reconnect, run again") from None


def _send_at_once(port: Any) -> None:
    """Switch off the delay of small packets, which would cost 40 ms an exchange over TCP."""
    connection = getattr(port, "_socket", None)
    if isinstance(connection, socket.socket):
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def open_port(url: str, baud: int, limit_s: float, clock: Clock = REAL, on_wait: OnWait = ignore) -> Port:
    """Open what pyserial can open by that name.

    A network port may not listen yet: it is tried until the limit. Raises LinkError.
    """
    began = clock.now()
    while True:
        on_wait(f"{url} cannot be opened", clock.now() - began)
        try:
            # RFC 2217 ports know no limit for writing; they give up a socket that takes nothing for 5 s.
            write_s = None if url.startswith("rfc2217://") else WRITE_LIMIT_S
            port = serial.serial_for_url(url, baudrate=baud, timeout=0, write_timeout=write_s)
            return Port(url, port, on_wait=on_wait)
        except (serial.SerialException, OSError, ValueError) as error:
            if not url.startswith(("socket://", "rfc2217://")) or clock.now() > began + limit_s:
                raise LinkError(
                    f"{url}: cannot be opened ({error}): check name, cable and the permission to use it"
                ) from None
        clock.sleep(0.1)
