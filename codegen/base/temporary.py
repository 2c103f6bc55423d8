"""Files written whole, and temporary folders that go with their process.

What a killed process has left is removed when the next one makes a folder in the same place.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final

PREFIX: Final = "feast-"
_LOCK: Final = ".in-use"
LOCK_LIMIT_S: Final = 60.0
_YOUNG_S: Final = 60.0
"""A folder that was made less than this ago may be about to be locked."""


@contextlib.contextmanager
def temporary_folder(purpose: str, parent: Path | None = None) -> Iterator[Path]:
    """An empty folder ``feast-PURPOSE-...`` in `parent` while the block runs; without `parent`, in $TMPDIR.

    A lock in it tells that its process lives. Folders there of the same name whose lock is free are what
    killed processes have left: they are removed first. Raises OSError if it cannot be made.
    """
    parent = parent or Path(tempfile.gettempdir())
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-", dir=parent))
    lock: IO[bytes] | None = None
    try:
        lock = (folder / _LOCK).open("wb")
        _try_lock(lock)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            lock.close()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` when the block ends well.

    So `path` holds its old content or all of the new one, also where two processes write it at once. Raises
    OSError if its folder cannot be written.
    """
    with temporary_folder("write", path.parent) as folder:
        partial = folder / "content"
        yield partial
        partial.replace(path)


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold `folder`, which must exist, while the block runs. On Windows it does nothing.

    Raises TimeoutError if another process holds it for LOCK_LIMIT_S, OSError if it cannot be opened.
    """
    if sys.platform == "win32":
        yield
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + LOCK_LIMIT_S
        while not _try_lock(number):
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process has been writing there for {LOCK_LIMIT_S:.0f} s")
            time.sleep(0.02)
        yield
    finally:
        os.close(number)


def variables(folder: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """`environment`, or this process's, for a program whose own temporary files go to `folder`."""
    own = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    return {**(os.environ if environment is None else environment), **own}


def _try_lock(file: IO[bytes] | int) -> bool:
    """Lock a file until it is closed or this process ends; False if another process has."""
    if sys.platform == "win32":
        return False  # an open file cannot be removed there, and nothing else is asked of the lock
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sweep(parent: Path) -> None:
    """Remove the folders of processes that are no more. What cannot be looked into stays."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        for folder in parent.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                status = folder.lstat()
                if status.st_uid != os.getuid() or time.time() - status.st_mtime < _YOUNG_S:
                    continue
                with (folder / _LOCK).open("r+b") as lock:
                    if _try_lock(lock):
                        shutil.rmtree(folder, ignore_errors=True)
