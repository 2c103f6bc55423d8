"""The serial port of a real board: which it is, and whether the firmware behind it is the expected one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from serial.tools import list_ports

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.boards.board import Board
from feast_codegen.host.link.handshake import Hello
from feast_codegen.host.link.link import open_link

CONNECT_S = 10.0
"""Time for a board to start and to show up again after it was flashed."""


def usb_id(port: Any) -> str:
    """``vendor:product`` of a port that pyserial lists, or empty."""
    return f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None and port.pid is not None else ""


def find_port(board: Board, ports: Iterable[Any] | None = None) -> str:
    """Name of the one serial port that belongs to the board's own probe.

    ports: what pyserial lists, for tests. Raises FeastError if there is none or more than one.
    """
    known = list(list_ports.comports() if ports is None else ports)
    wanted = board.program.usb if board.program else ()
    found = [port.device for port in known if usb_id(port) in wanted]
    if len(found) == 1:
        return str(found[0])
    others = ", ".join(f"{port.device} ({port.description})" for port in known) or "none"
    if found:
        raise FeastError(f"several boards are connected ({', '.join(found)}): choose one with --port")
    raise FeastError(
        f"board {board.name}: no serial port of its probe (USB {', '.join(wanted)}) was found: name the port "
        f"its UART is connected to with --port; ports here: {others}"
    )


def verify_device(
    board: Board,
    port: str,
    build_id: str,
    state_id: int,
    connect_s: float = CONNECT_S,
    model_id: str | None = None,
) -> Hello:
    """Say HELLO and require that the device was built as `build_id`, from `model_id`, and holds `state_id`.

    Raises FeastError saying what to do: port missing, busy or not permitted, no answer, another firmware.
    """
    try:
        with open_link(port, baud=board.uart.baud, connect_s=connect_s) as link:
            link.hello.require(build_id, state_id, model_id)
            return link.hello
    except FeastError as error:
        raise FeastError(f"{error}{port_advice(str(error), port)}") from None


def port_advice(reason: str, port: str) -> str:
    """What to do about a port that cannot be opened, as an addition to the reason; empty if nothing is known.

    >>> port_advice("[Errno 16] Device or resource busy", "/dev/ttyACM0")
    '; another program has it: close serial monitors (on Linux `fuser -v /dev/ttyACM0` names them)'
    """
    text = reason.lower()
    if "permission denied" in text:
        return "; on Linux let your user in with: sudo usermod -aG dialout $USER, then log in again"
    if "busy" in text or "exclusively lock" in text or "access is denied" in text:
        return f"; another program has it: close serial monitors (on Linux `fuser -v {port}` names them)"
    if "no such file" in text or "filenotfound" in text:
        return "; `python -m serial.tools.list_ports` lists the ports that are there"
    return ""
