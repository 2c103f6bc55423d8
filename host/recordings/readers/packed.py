"""Recordings in ``.gz`` and ``.zip`` files: unpacked into a temporary folder, then read as what is inside.

What is inside is known by its name: ``a.csv.gz``, or the members of an archive. Of several, `--stream`
chooses one. An archive may not grow beyond what recordings do when they are unpacked.
"""

from __future__ import annotations

import gzip
import shutil
import weakref
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.base.temporary import temporary_folder
from feast_codegen.host.recordings.readers.base import CUT, Recording, foreign, opened, size_of
from feast_codegen.host.recordings.readers.streams import choose
from feast_codegen.host.recordings.reading import LeftOut, Reading

MOST_GROWTH: Final = 200
"""Times its packed size that a file may grow; texts of events grow some 10 times."""
ALWAYS_ALLOWED: Final = 1 << 26
"""Bytes that any file may have once it is unpacked."""
MOST_MEMBERS: Final = 100_000
_READ_BYTES: Final = 1 << 20
_TOO_FULL: Final = 0.95
"""Share of the free space that an unpacked file may take."""

Open = Callable[[Path, Reading, LeftOut], Recording]
"""Opens what is inside."""


def open_gz(
    path: Path, reading: Reading, left_out: LeftOut, suffixes: tuple[str, ...], inside: Open
) -> Recording:
    """Open ``name.suffix.gz``. Raises FeastError if it is damaged, grows too large or holds no recording."""
    name = path.stem
    _check_name(path, name, suffixes)
    with opened(path) as file:
        if file.read(2) != b"\x1f\x8b":
            raise FeastError(f"{path}: byte 0: not a gzip file")

    def unpack(target: Path) -> None:
        with opened(path) as raw, _damaged(path), gzip.GzipFile(fileobj=raw) as file:
            _copy(path, file, size_of(path), target, reading.accept_truncated, left_out)

    return _opened(path, name, unpack, reading, left_out, inside)


def open_zip(
    path: Path, reading: Reading, left_out: LeftOut, suffixes: tuple[str, ...], inside: Open
) -> Recording:
    """Open a member of an archive. Raises FeastError as `open_gz` does, and if there is no such member."""
    with opened(path) as raw, _damaged(path), zipfile.ZipFile(raw) as archive:
        members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise FeastError(f"{path}: {len(members)} members; unpack it, and name the folder as the source")
    names = [
        member.filename
        for member in members
        if not member.filename.endswith("/")  # is_dir() fails on a name of no length
        and not member.filename.startswith("__MACOSX/")
        and not Path(member.filename).name.startswith(".")
        and Path(member.filename).suffix.lower() in suffixes
    ]
    if not names:
        raise FeastError(f"{path}: holds no recordings among its {len(members)} members")
    chosen = names[0] if len(names) == 1 else choose(path, "member", names, reading, left_out)
    if len(names) > 1:
        reading = replace(reading, stream=None)

    def unpack(target: Path) -> None:
        with opened(path) as raw, _damaged(path), ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(raw))
            info = next(member for member in archive.infolist() if member.filename == chosen)
            file = archive.open(info)
            assert isinstance(file, zipfile.ZipExtFile)
            stack.enter_context(file)
            _copy(path, file, info.compress_size, target, False, left_out)

    return _opened(path, Path(chosen).name, unpack, reading, left_out, inside)


def _check_name(path: Path, name: str, suffixes: tuple[str, ...]) -> None:
    if Path(name).suffix.lower() not in suffixes:
        raise FeastError(
            f"{path}: inside is {name!r}, expected a recording, as in name.csv.gz; unpack others first"
        )


def _damaged(path: Path) -> AbstractContextManager[None]:
    return foreign(lambda reason: FeastError(f"{path}: damaged or truncated: {reason}"))


def _copy(
    path: Path,
    file: gzip.GzipFile | zipfile.ZipExtFile,
    packed: int,
    target: Path,
    accept_truncated: bool,
    left_out: LeftOut,
) -> None:
    """Unpack to `target`. Raises FeastError where it grows too large, or ends before its end."""
    limit = max(ALWAYS_ALLOWED, MOST_GROWTH * packed)
    free = int(_TOO_FULL * shutil.disk_usage(target.parent).free)
    total = 0
    with target.open("wb") as out:
        while True:
            try:
                data = file.read1(_READ_BYTES)  # what is there before the end, then the error
            except EOFError:
                if not accept_truncated:
                    raise FeastError(f"{path}: truncated after {total} unpacked bytes; {CUT}") from None
                left_out.say("the file ends before its last event", str(path))
                return
            if not data:
                return
            total += len(data)
            if total > limit:
                raise FeastError(
                    f"{path}: grows more than {MOST_GROWTH} times when unpacked, to over {limit} bytes: "
                    "no recording does; unpack it yourself if it is one"
                )
            if total > free:
                raise FeastError(f"{path}: unpacked, it takes more than the {free} bytes free in $TMPDIR")
            out.write(data)


def _opened(
    path: Path,
    name: str,
    unpack: Callable[[Path], None],
    reading: Reading,
    left_out: LeftOut,
    inside: Open,
) -> Recording:
    """What is inside, unpacked now; the unpacked file lasts as long as the recording is held."""
    stack = ExitStack()
    try:
        folder = stack.enter_context(temporary_folder("unpacked"))
        target = folder / f"recording{Path(name).suffix.lower()}"
        unpack(target)
    except OSError as error:
        stack.close()
        raise FeastError(f"{path}: cannot unpack: {error.strerror or error}") from None
    except BaseException:
        stack.close()
        raise
    said = LeftOut()
    shown = f"{path} [{name}]"

    @contextmanager
    def named() -> Iterator[None]:
        """Errors and remarks name the packed file."""
        try:
            yield
        except FeastError as error:
            raise FeastError(str(error).replace(str(target), shown)) from None
        finally:
            for (what, why), count in said.counts.items():
                left_out.add(what, why, count, str(path))
            for remark in said.remarks:
                left_out.say(remark, str(path))

    try:
        with named():
            recording = inside(target, reading, said)
    except BaseException:
        stack.close()
        raise

    held = _Held()
    weakref.finalize(held, stack.close)

    def chunks() -> Iterator[Events]:
        with named(), held:
            yield from recording.chunks()

    return Recording(recording.sensor, chunks)


class _Held:
    """The unpacked file is there as long as this, to which all that may read it refer."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass
