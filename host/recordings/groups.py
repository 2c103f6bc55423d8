"""Groups of recordings that a cross-validation must not tear apart: of one person, one recording, one file.

By the names of recordings within their source, with `auto`:

* recordings whose names hold the same mark of a person (user01, subject3, person_2, participant12) are one
  group, the others one each;
* else, where names differ only in the number of a clip, part or segment at their ends
  (``walk_clip003.bin``), those of one beginning are a group.

A rule that leaves fewer than two groups is not applied. `file` makes each file a group, a regular expression
makes groups of what it matches, or of its first group. Segments of one file are never torn apart.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.recordings.source import Source

AUTO: Final = "auto"
FILE: Final = "file"
_PERSON: Final = re.compile(
    r"(?<![a-z0-9])(user|subject|subj|person|participant)[-_ ]?(\d+)(?!\d)", re.IGNORECASE
)
_CLIP: Final = re.compile(r"(.+?)[-_. ]?(?:clip|part|segment|seg|chunk)[-_. ]?\d+", re.IGNORECASE)


def grouped(source: Source, rule: str) -> Source:
    """`source` with the groups of a rule: auto, file, or a regular expression.

    What was chosen by `auto` is noted. Raises FeastError for what is no expression, or does not match every
    name.
    """
    if rule == FILE:
        return source
    if rule == AUTO:
        for how, key in (("the person in their names", _person), ("the recording they are clips of", _clip)):
            groups = _with_others(source.names, key)
            if 1 < len(set(groups)) < len(source):
                first = ", ".join(sorted(set(groups))[:2])
                source.left_out.say(
                    f"cross-validations keep recordings together by {how}: {len(set(groups))} groups "
                    f"({first}, ...); --groups chooses others"
                )
                return replace(source, groups=groups)
        return source
    return replace(source, groups=_by_expression(source, rule))


def _person(name: str) -> str | None:
    match = _PERSON.search(name)
    return f"{match[1].lower()} {int(match[2])}" if match else None


def _clip(name: str) -> str | None:
    match = _CLIP.fullmatch(os.path.splitext(name.rpartition("/")[2])[0])  # noqa: PTH122 - of many names
    return match[1] if match else None


def _with_others(names: Sequence[str], key: Callable[[str], str | None]) -> tuple[str, ...]:
    """Groups by `key`; a name without one is a group of its own."""
    return tuple(name if (found := key(name)) is None else found for name in names)


def _by_expression(source: Source, rule: str) -> tuple[str, ...]:
    try:
        expression = re.compile(rule)
    except re.error as error:
        raise FeastError(f"--groups {rule!r}: expected auto, file or a regular expression: {error}") from None
    groups = []
    for name in source.names:
        match = expression.search(name)
        if match is None:
            raise FeastError(f"{source.spec}: --groups {rule!r} matches nothing in the name {name!r}")
        groups.append((match[1] if expression.groups else match[0]) or "")
    source.left_out.say(
        f"cross-validations keep recordings together by --groups {rule}: {len(set(groups))} groups"
    )
    return tuple(groups)
