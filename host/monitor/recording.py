"""The file that the monitor records to. The worker adds to it; whoever ends the session saves it."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.link.run_results import ResultChunk
from feast_codegen.host.streaming.recorder import Recorder


class RecordingError(FeastError):
    """What was recorded could not be written."""


class Recording:
    """At most one recording at a time, in files of `folder` that are numbered. Safe to use from two threads.

    ``name``: of the file that is being recorded, else None.
    """

    def __init__(self, folder: Path, build_id: str) -> None:
        """build_id: of the device, for the header of the file."""
        self.name: str | None = None
        self._folder, self._build_id = folder, build_id
        self._lock = threading.RLock()
        self._recorder: Recorder | None = None

    def begin(self) -> None:
        """Begin another file; save the one before first. Raises FeastError if it cannot be written."""
        with self._lock:
            path = free_name(self._folder, "recording")
            self._recorder, self.name = Recorder(path), path.name

    def add(self, chunk: ResultChunk) -> None:
        """Append events and results. Raises RecordingError if they cannot be written."""
        with self._lock:
            if self._recorder is None:
                return
            try:
                self._recorder.add(chunk)
            except OSError as error:
                name = self.name
                self._drop()
                raise RecordingError(
                    f"{self._folder / str(name)}: cannot write: {error.strerror or error}: the recording is "
                    "lost, make room or choose another folder with --folder"
                ) from None

    def end_recording(self, name: str) -> None:
        """What is added from now on belongs to another recording of the source."""
        with self._lock:
            if self._recorder is not None:
                self._recorder.end_recording(name)

    def save(self) -> Path | None:
        """Write the file and return its path; None if nothing was being recorded. Raises RecordingError."""
        with self._lock:
            recorder, name = self._recorder, self.name
            if recorder is None or name is None:
                return None
            path = self._folder / name
            try:
                recorder.end_recording("monitor")
                recorder.save({"build_id": self._build_id})
            except FeastError as error:
                raise RecordingError(str(error)) from None
            except OSError as error:
                raise RecordingError(f"{path}: cannot write: {error.strerror or error}") from None
            finally:
                self._drop()
            return path

    def _drop(self) -> None:
        recorder, self._recorder, self.name = self._recorder, None, None
        if recorder is not None:
            with suppress(OSError):  # closing writes what is left, and fails again where the disk is full
                recorder.__exit__(None, None, None)


def free_name(folder: Path, kind: str) -> Path:
    """The first of ``KIND-1.npz``, ``KIND-2.npz``, ... that `folder` does not have."""
    number = 1
    while (path := folder / f"{kind}-{number}.npz").exists():
        number += 1
    return path
