"""The process that decodes for `host.readers.apart`: requests on its input, answers on its output."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

from codegen.errors import FeastError
from host.readers.aedat import open_aedat4
from host.readers.apart import READY
from host.readers.base import Recording
from host.readers.hdf5 import open_hdf5

DECODERS: Final[dict[str, Callable[[Path], Recording]]] = {"hdf5": open_hdf5, "aedat4": open_aedat4}


def serve(request: dict[str, Any], out: IO[bytes]) -> None:
    """Answer one request."""

    def send(head: dict[str, Any], data: bytes = b"") -> None:
        out.write(json.dumps(head).encode() + b"\n")
        out.write(data)
        out.flush()

    try:
        if request["folder"] is not None:
            os.chdir(request["folder"])  # messages name the path as it was given
        recording = DECODERS[request["decoder"]](Path(request["path"]))
        sensor = recording.sensor
        send({"sensor": str(sensor) if sensor else None})
        for events in recording.chunks() if request["read"] else ():
            send({"events": events.size}, events.tobytes())
        send({"end": True})
    except FeastError as error:
        send({"error": str(error)})
    except Exception:
        send({"bug": traceback.format_exc()})


def main() -> None:
    """Serve until there are no more requests."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what a library prints is no answer
        out.write(READY)
        out.flush()
        for line in sys.stdin.buffer:
            serve(json.loads(line), out)


if __name__ == "__main__":
    main()
