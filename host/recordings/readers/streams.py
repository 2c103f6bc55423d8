"""Which of several cameras, groups or sources of one file is read: never all of them as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.recordings.reading import LeftOut, Reading

_MOST_NAMED = 8


def choose(path: Path, kind: str, names: Sequence[str], reading: Reading, left_out: LeftOut) -> str:
    """The one of `names`, at least one, that `reading` says, else the first; then it is said that there are
    others.

    A name with slashes is also called by any part of it that no other has, e.g. ``left``. Raises FeastError
    if none is called so, or several are.
    """
    wanted = reading.stream
    listed = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
    if wanted is None:
        if len(names) > 1:
            chosen = f"of {len(names)} {kind}s ({listed}) the first, {names[0]}, is read"
            remark = f"{chosen}; --stream chooses another"
            left_out.say(str(FeastError(remark)), str(path))  # as an error, names are shown with escapes
        return names[0]
    exact = [name for name in names if name.strip("/") == wanted.strip("/")]
    found = exact or [name for name in names if wanted in name.split("/")]
    if len(found) != 1:
        problem = "several are called so" if found else "there is none"
        raise FeastError(f"{path}: --stream {wanted!r}: {problem}; its {kind}s are {listed}")
    return found[0]
