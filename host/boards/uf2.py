"""Firmware as UF2, the file that a boot loader posing as a USB drive takes (github.com/microsoft/uf2)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from feast_codegen.codegen.base.errors import FeastError

BLOCK_BYTES: Final = 512
PAGE_BYTES: Final = 256
_MAGIC_START: Final = (0x0A324655, 0x9E5D5157)
_MAGIC_END: Final = 0x0AB16F30
_FLAG_FAMILY: Final = 0x2000


def flash_pages(elf: Path) -> dict[int, bytes]:
    """What of `elf` goes to flash: pages of 256 bytes by address, gaps filled with 0xFF.

    Raises FeastError if the file cannot be read.
    """
    pages: dict[int, bytearray] = {}
    try:
        with elf.open("rb") as file:
            for segment in ELFFile(file).iter_segments("PT_LOAD"):
                for offset, byte in enumerate(segment.data()):  # file content only, not zeroed memory
                    address = segment["p_paddr"] + offset
                    page = pages.setdefault(address - address % PAGE_BYTES, bytearray(b"\xff" * PAGE_BYTES))
                    page[address % PAGE_BYTES] = byte
    except (OSError, ELFError) as error:
        raise FeastError(f"{elf}: not a readable firmware: {error}") from None
    return {address: bytes(pages[address]) for address in sorted(pages)}


def uf2_image(pages: dict[int, bytes], family: int) -> bytes:
    """The UF2 file of flash pages for the chips of a family id.

    >>> len(uf2_image({0x1000_0000: bytes(256), 0x1000_0100: bytes(256)}, 0xE48BFF56))
    1024
    """
    blocks = []
    for number, (address, page) in enumerate(pages.items()):
        header = (*_MAGIC_START, _FLAG_FAMILY, address, len(page), number, len(pages), family)
        blocks.append(struct.pack("<8I476sI", *header, page, _MAGIC_END))
    return b"".join(blocks)
