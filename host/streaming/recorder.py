"""Keeps streamed events and results in a file, in constant memory."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, RESULT_DTYPE
from feast_codegen.host.link.run_results import ResultChunk

_COPY_BYTES = 1 << 20


class Recorder:
    """Writes ``.npz`` without pickle; use as a context manager. The file appears whole, or not at all.

    ``events``: `base.events.EVENT_DTYPE` (n,). ``results``: int16 (n,). ``ends``: int64, index behind the
    last event of each recording. ``header``: uint8, one JSON object as UTF-8.
    """

    def __init__(self, path: Path) -> None:
        """Raises FeastError if the folder cannot be written."""
        self._path, self._partial = path, path.with_name(path.name + ".partial")
        self._ends: list[int] = []
        self._names: list[str] = []
        self._count = 0
        try:
            self._events: IO[bytes] = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 (closed by __exit__)
            self._results: IO[bytes] = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115
        except OSError as error:
            raise FeastError(f"{path}: cannot write: {error.strerror or error}") from None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._events.close()
        self._results.close()
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)

    def add(self, chunk: ResultChunk) -> None:
        """Append events and results."""
        self._events.write(chunk.events.tobytes())
        self._results.write(chunk.results.tobytes())
        self._count += len(chunk)

    def end_recording(self, name: str) -> None:
        """What comes next belongs to another recording."""
        self._ends.append(self._count)
        self._names.append(name)

    def save(self, header: Mapping[str, Any]) -> None:
        """Write the file. header: what is known of it, JSON; the recordings' names are added."""
        text = json.dumps({**header, "names": self._names}, sort_keys=True)
        try:
            with zipfile.ZipFile(self._partial, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
                self._member(archive, "events", EVENT_DTYPE, self._events)
                self._member(archive, "results", RESULT_DTYPE, self._results)
                _array(archive, "ends", np.array(self._ends, np.int64))
                _array(archive, "header", np.frombuffer(text.encode(), np.uint8))
            self._partial.replace(self._path)
        except OSError as error:
            raise FeastError(f"{self._path}: cannot write: {error.strerror or error}") from None

    def _member(self, archive: zipfile.ZipFile, name: str, dtype: np.dtype[Any], data: IO[bytes]) -> None:
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_2_0(
                member,
                {
                    "descr": np.lib.format.dtype_to_descr(dtype),
                    "fortran_order": False,
                    "shape": (self._count,),
                },
            )
            data.seek(0)
            while piece := data.read(_COPY_BYTES):
                member.write(piece)


def _array(archive: zipfile.ZipFile, name: str, values: npt.NDArray[Any]) -> None:
    with archive.open(f"{name}.npy", "w") as member:
        np.lib.format.write_array(member, values, allow_pickle=False)
