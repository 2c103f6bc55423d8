"""QEMU's own control line: the little of its machine protocol that the emulator needs."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any, Final

_LIMIT_S: Final = 20.0


class ControlLine:
    """One JSON object a line, each way, over a connected socket. Every wait has a limit."""

    def __init__(self, line: socket.socket) -> None:
        line.settimeout(_LIMIT_S)
        self._line, self._incoming = line, line.makefile("rb")
        self._greeted = False

    def reset(self) -> None:
        """Reset the machine; returns once that is done. Raises OSError if QEMU does not do it."""
        if not self._greeted:
            self._order("qmp_capabilities", lambda said: "return" in said)
            self._greeted = True
        self._order("system_reset", lambda said: said.get("event") == "RESET")

    def close(self) -> None:
        """Close the line; QEMU goes on."""
        self._incoming.close()
        self._line.close()

    def _order(self, name: str, is_done: Callable[[dict[str, Any]], bool]) -> None:
        self._line.sendall(json.dumps({"execute": name}).encode())
        while said := self._incoming.readline():
            if is_done(json.loads(said)):
                return
        raise ConnectionError("it has closed its control line")
