"""The process that decodes for `isolated_decoder`: requests on its input, answers on its output."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.extras import missing_extra
from feast_codegen.host.recordings.readers.aedat4 import open_aedat4
from feast_codegen.host.recordings.readers.base import Recording
from feast_codegen.host.recordings.readers.hdf5 import open_hdf5
from feast_codegen.host.recordings.readers.isolated_decoder import MOST_REMARKS, READY
from feast_codegen.host.recordings.readers.mat import open_mat
from feast_codegen.host.recordings.readers.rosbag import open_rosbag
from feast_codegen.host.recordings.reading import LeftOut, Reading

DECODERS: Final[dict[str, Callable[[Path, Reading, LeftOut], Recording]]] = {
    "hdf5": open_hdf5,
    "aedat4": open_aedat4,
    "mat": open_mat,
    "rosbag": open_rosbag,
}


def serve(request: dict[str, Any], out: IO[bytes]) -> None:
    """Answer one request."""

    def send(head: dict[str, Any], data: bytes = b"") -> None:
        out.write(json.dumps(head).encode() + b"\n")
        out.write(data)
        out.flush()

    try:
        if request["folder"] is not None:
            os.chdir(request["folder"])  # messages name the path as it was given
        left_out = LeftOut()
        reading = Reading(**request["reading"])
        recording = DECODERS[request["decoder"]](Path(request["path"]), reading, left_out)
        sensor = recording.sensor
        send({"sensor": str(sensor) if sensor else None})
        for events in recording.chunks() if request["read"] else ():
            send({"events": events.size}, events.tobytes())
        counts = [[what, why, count] for (what, why), count in left_out.counts.items()]
        send({"end": True, "left_out": counts[:MOST_REMARKS], "remarks": [*left_out.remarks][:MOST_REMARKS]})
    except FeastError as error:
        send({"error": str(error)})
    except ImportError as error:
        missing = missing_extra(error)
        text = f"{request['path']}: {missing}" if missing else traceback.format_exc()
        send({"error" if missing else "bug": text})
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
