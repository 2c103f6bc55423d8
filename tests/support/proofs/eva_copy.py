"""What EVA is given in place of the emitted text, so that it can follow it, and see more of it."""

from __future__ import annotations

import re
from typing import Final

from tests.support.proofs.layer_names import layer_of, layered, plain

_HALVE = re.compile(r"(static inline void feast_halve_row\(.*?\)\n)\{\n.*?\n\}\n", re.DOTALL)
_BY_CELL: Final = """{
    for (uint32_t i = 0; i < FEAST_STRIDE; i++) {
        row[i] = (int16_t)feast_halved(row[i], octaves);
    }
}
"""
_FILLED: Final = "    patch->count = 0;\n"
_BY_COUNT: Final = "    /*@ dynamic_split patch->count; */\n"

_STAGE = re.compile(r"(typedef struct \{\n)([^}]*)(\} feast_(layer\d|filter|readout)_t;)")
_ARRAY = re.compile(r"^    \w+ (\w+)\[\d+\];.*\n", re.MULTILINE)
_GAP_BYTES: Final = 16
_GAP: Final = f"typedef struct {{ uint8_t at[{_GAP_BYTES}]; }} feast_gap_t;\n"
_CLEAR: Final = "    (void)memset(self, 0, sizeof *self);\n"
_STEP: Final = "int16_t feast_step(feast_t *self, const feast_event_t *event)\n{\n"
_SIZE: Final = "alignof(uint64_t) != 8u || sizeof(feast_t) == FEAST_STATE_BYTES"
"""EVA has no alignof, and the gaps take room."""
_HEADER, _JOINT = "include/feast.h", "src/feast.c"


def for_eva(files: dict[str, str]) -> dict[str, str]:
    """A copy of the emitted files in which each layer is followed and each stage has gaps."""
    copy = dict(files)
    for path in files:
        if path.endswith("_kernel.h"):
            layer = layer_of(path)
            copy[path] = layered(_followed(plain(copy[path], layer)), layer)
    copy[_HEADER], copy[_JOINT] = _with_gaps(copy[_HEADER], copy[_JOINT])
    return copy


def _followed(kernel: str) -> str:
    """Rows are halved cell by cell, whose ranges EVA follows; four cells at once it does not.

    Sound for the real code as far as both halve alike: `test_packed_halving_is_halving_by_cell`. And
    where a patch lists the rows that are not all zero, an annotation has EVA look at each length of the list.
    """
    kernel, count = _HALVE.subn(lambda match: match[1] + _BY_CELL, kernel)
    assert count == 1
    assert kernel.count(_FILLED) == kernel.count("uint16_t filled[")
    return kernel.replace(_FILLED, _FILLED + _BY_COUNT)


def _with_gaps(header: str, source: str) -> tuple[str, str]:
    """Gaps on both sides of each array of the state, which no one may read or write.

    For a pointer into an array EVA knows the bounds of the whole state only. A gap is left uninitialised,
    which EVA sees when it is read; and each event asserts that it still is, so that it was not written.
    """
    names: list[str] = []

    def with_gaps(stage: re.Match[str]) -> str:
        def between_gaps(match: re.Match[str]) -> str:
            names.extend(f"{stage[4]}.{side}_{match[1]}" for side in ("before", "behind"))
            return f"    feast_gap_t before_{match[1]};\n{match[0]}    feast_gap_t behind_{match[1]};\n"

        return stage[1] + _ARRAY.sub(between_gaps, stage[2]) + stage[3]

    first = _STAGE.search(header)
    assert first
    header = header[: first.start()] + _GAP + _STAGE.sub(with_gaps, header[first.start() :])
    poison = "    const feast_gap_t gap;\n" + "".join(f"    self->{name} = gap;\n" for name in names)
    untouched = "".join(
        f"    /*@ assert {name.replace('.', '_')}: {_untouched(name)}; */\n" for name in names
    )
    for place, code in ((_CLEAR, poison), (_STEP, untouched)):
        assert source.count(place) == 1
        source = source.replace(place, place + code)
    return header, source.replace(_SIZE, "sizeof(feast_t) > 0u")


def _untouched(gap: str) -> str:
    return " && ".join(f"!\\initialized(&self->{gap}.at[{i}])" for i in range(_GAP_BYTES))
