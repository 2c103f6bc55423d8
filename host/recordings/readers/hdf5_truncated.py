"""HDF5 files that are cut off: opened as if zeros followed, and read as far as they go.

HDF5 refuses a file that is shorter than its superblock says, though what describes the data often lies at its
beginning. No row beyond the cut is read: rows are counted from where the file keeps their chunks.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.recordings.readers.base import opened, size_of

_MOST_BYTES: Final = 1 << 50


def is_cut_off(path: Path) -> bool:
    """Whether the file ends before its superblock says."""
    with opened(path) as file:
        return size_of(path) < _said_size(file.read(64))


class PaddedFile(io.RawIOBase):
    """A file that goes on with zeros up to the size that its superblock says."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise FeastError(f"{path}: cannot read: {error.strerror or error}") from None
        self._length = max(size_of(path), min(_said_size(self._file.read(64)), _MOST_BYTES))
        self._at = 0
        self.went_beyond = False
        """Whether something was read that the file does not hold."""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move as files do."""
        self._at = offset + (0, self._at, self._length)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, with zeros beyond the end of the file."""
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self._length - self._at))
        self._file.seek(self._at)
        data = self._file.read(wanted)
        view[:wanted] = data + bytes(wanted - len(data))
        self.went_beyond |= len(data) < wanted
        self._at += wanted
        return wanted

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def _said_size(head: bytes) -> int:
    """End of the file as a superblock at its beginning says it; 0 for one with numbers of other widths."""
    version = head[8] if len(head) > 8 else 255
    width_at, at = {0: (13, 40), 1: (13, 44), 2: (9, 28), 3: (9, 28)}.get(version, (0, 0))
    if not at or len(head) < at + 8 or head[width_at] != 8:
        return 0
    return int.from_bytes(head[at : at + 8], "little")


def rows_before(path: Path, dataset: Any, padded: PaddedFile) -> int:
    """How many rows of a dataset lie before the end of a file that is cut off, from the first on.

    Raises FeastError if something that was read of the file so far, to find them, does not: HDF5 took zeros
    for it.
    """
    import h5py

    end = size_of(path)
    described = h5py.h5o.get_info(dataset.id)
    padded.went_beyond |= described.addr + described.hdr.space.total > end
    count = len(dataset)
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        row = dataset.dtype.itemsize * (dataset.shape[1] if dataset.ndim > 1 else 1)
        rows = max(0, min(count, (end - offset) // row)) if offset else 0
    else:
        rows = _rows_of_chunks(dataset, count, end)
    if padded.went_beyond:
        raise FeastError(f"{path}: {dataset.name}: the file is cut off before what says where its rows lie")
    return rows


def _rows_of_chunks(dataset: Any, count: int, end: int) -> int:
    across = range(0, dataset.shape[1], dataset.chunks[1]) if dataset.ndim > 1 else (None,)
    for first in range(0, count, dataset.chunks[0]):
        for other in across:
            place = dataset.id.get_chunk_info_by_coord((first,) if other is None else (first, other))
            if not place.byte_offset or place.byte_offset + place.size > end:
                return first
    return count
