"""Which library a firmware holds: asked for by the manifest, proven by the ELF."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.emit.render import MANIFEST

SECTION: Final = ".feast_identity"
"""Not loaded; firmware/platforms/feastcortex/runtime/identity.c writes it."""
_SHOWN: Final = 16


@dataclass(frozen=True)
class Identity:
    """The two ids that an emitted library carries, in hex digits."""

    build_id: str
    model_id: str

    def __str__(self) -> str:
        return f"build {self.build_id}, model {self.model_id[:_SHOWN]}"

    @property
    def folder(self) -> str:
        """Name of the folder of its firmware."""
        return f"{self.build_id}-{self.model_id[:_SHOWN]}"


def identity_of_library(library: Path) -> Identity | None:
    """What the manifest of an emitted library says; None for a library without ids."""
    try:
        manifest = json.loads((library / MANIFEST).read_text(encoding="utf-8"))
        found = Identity(str(manifest["build_id"]), str(manifest["model_id"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if re.fullmatch(r"[0-9a-f]+ [0-9a-f]+", f"{found.build_id} {found.model_id}") else None


def identity_of_firmware(elf: Path) -> Identity | None:
    """What the ELF says; None if it says nothing. Raises FeastError if it cannot be read."""
    try:
        with elf.open("rb") as file:
            section = ELFFile(file).get_section_by_name(SECTION)
            text = section.data().rstrip(b"\0").decode("ascii", "replace") if section else ""
    except (OSError, ELFError) as error:
        raise FeastError(f"{elf}: not a readable firmware: {error}") from None
    build_id, _, model_id = text.partition(" ")
    return Identity(build_id, model_id) if model_id else None


def require_identity(elf: Path, wanted: Identity, origin: Path | None = None) -> None:
    """Raise FeastError unless the ELF was compiled from the library of that identity.

    origin: what the message names, where `elf` is a copy.
    """
    found = identity_of_firmware(elf)
    if found != wanted:
        raise FeastError(
            f"{origin or elf}: holds {found or 'no ids'}, asked for was {wanted}: something else wrote to "
            "the firmware project during the build: run it again"
        )
