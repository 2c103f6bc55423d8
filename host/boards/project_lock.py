"""One build at a time in a firmware project: its library and what PlatformIO keeps there are shared.

The builder of the firmware takes the same lock, so that a plain `pio run` waits as well.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.progress import note

LOCK_FILE: Final = Path(".pio") / "codegen.lock"
HELD: Final = "FEAST_PROJECT_LOCKED"
"""Variable that tells the builder that whoever runs it holds the lock."""
LIMIT_S: Final = 900.0
"""Longest wait for one holder; another holder begins it again."""
_SAID_S: Final = 2.0
_POLL_S: Final = 0.05
_LOCKED_AT: Final = 1 << 20
"""Windows locks bytes, and lets nobody read them: one far behind the holder's number."""


@contextmanager
def project_lock(project_dir: Path) -> Iterator[None]:
    """Hold the firmware project while the block runs; it is free again however this process ends.

    Not reentrant. Raises FeastError if the folder cannot be written, or after LIMIT_S of one other holder.
    """
    path = project_dir / LOCK_FILE
    with ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(path.open("a+b", buffering=0))
            _wait(file, project_dir)
            file.truncate(0)
            file.write(b"%d" % os.getpid())
        except OSError as error:
            raise FeastError(f"{path}: cannot lock the firmware: {error.strerror or error}") from None
        yield


def library_lock(library: Path) -> AbstractContextManager[None]:
    """The lock of the firmware project that a library is emitted to; none where it goes elsewhere."""
    project_dir = library.parent.parent
    inside = library.parent.name == "lib" and (project_dir / "platformio.ini").is_file()
    return project_lock(project_dir) if inside else nullcontext()


def _wait(file: IO[bytes], project_dir: Path) -> None:
    start = since = time.monotonic()
    holder, said = b"", False
    while not _try_lock(file):
        now = time.monotonic()
        file.seek(0)
        if (seen := file.read(20)) != holder:
            holder, since = seen, now
        if now - since > LIMIT_S:
            raise FeastError(
                f"{project_dir}: process {holder.decode('ascii', 'replace') or '?'} has been building in it "
                f"for {LIMIT_S:.0f} s: end it, or build in another folder"
            )
        if not said and now - start > _SAID_S:
            note(f"codegen: waiting for another build in {project_dir}")
            said = True
        time.sleep(_POLL_S)


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LOCKED_AT)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
