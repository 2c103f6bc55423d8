"""What EVA is given in place of the emitted text, so that it can follow it, and see more of it."""

from __future__ import annotations

import re
from typing import Final

from codegen.render import as_layer

_HALVE = re.compile(r"(static inline void feast_halve_row\(.*?\)\n)\{\n.*?\n\}\n", re.DOTALL)
_BY_CELL: Final = """{
    for (uint32_t i = 0; i < FEAST_STRIDE; i++) {
        row[i] = (int16_t)feast_halved(row[i], octaves);
    }
}
"""
_FILLED: Final = "    patch->count = 0;\n"
_BY_COUNT: Final = "    /*@ dynamic_split patch->count; */\n"

_STATE = re.compile(r"(typedef struct \{\n)([^}]*)(\} feast_t;)")
_ARRAY = re.compile(r"^    \w+ (\w+)\[\d+\];.*\n", re.MULTILINE)
_GAP_BYTES: Final = 16
_GAP: Final = f"typedef struct {{ uint8_t at[{_GAP_BYTES}]; }} feast_gap_t;\n"
_CLEAR: Final = "    (void)memset(self, 0, sizeof *self);\n"
_STEP: Final = "int16_t feast_step(feast_t *self, const feast_event_t *event)\n{\n"


def for_eva(files: dict[str, str]) -> dict[str, str]:
    """A copy of the emitted files in which each layer is followed and has gaps."""
    copy = dict(files)
    for number in sorted(
        {re.findall(r"feast(\d?)_kernel", path)[0] for path in files if "_kernel.h" in path}
    ):
        header, source, kernel = (
            f"{folder}feast{number}{rest}"
            for folder, rest in (("include/", ".h"), ("src/", ".c"), ("src/", "_kernel.h"))
        )
        copy[kernel] = _followed(copy[kernel], number)
        copy[header], copy[source] = _with_gaps(copy[header], copy[source], number)
    return copy


def _named(text: str, number: str) -> str:
    return as_layer({"": text}, int(number))[""] if number else text


def _unnamed(text: str, number: str) -> str:
    return re.sub(rf"\b(feast|FEAST){number}(?=[_.])", r"\1", text) if number else text


def _followed(kernel: str, number: str) -> str:
    """Rows are halved cell by cell, whose ranges EVA follows; four cells at once it does not.

    Sound for the real code as far as both halve alike: `test_packed_halving_is_halving_by_cell`. And
    where a patch lists the rows that are not all zero, an annotation has EVA look at each length of the list.
    """
    kernel, count = _HALVE.subn(lambda match: match[1] + _BY_CELL, _unnamed(kernel, number))
    assert count == 1
    assert kernel.count(_FILLED) == kernel.count("uint16_t filled[")
    return _named(kernel.replace(_FILLED, _FILLED + _BY_COUNT), number)


def _with_gaps(header: str, source: str, number: str) -> tuple[str, str]:
    """Gaps on both sides of each array of the state, which no one may read or write.

    For a pointer into an array EVA knows the bounds of the whole state only. A gap is left uninitialised,
    which EVA sees when it is read; and each event asserts that it still is, so that it was not written.
    """
    header, source = _unnamed(header, number), _unnamed(source, number)
    (state,) = _STATE.finditer(header)
    names: list[str] = []

    def between_gaps(match: re.Match[str]) -> str:
        names.extend((f"before_{match[1]}", f"behind_{match[1]}"))
        return f"    feast_gap_t before_{match[1]};\n{match[0]}    feast_gap_t behind_{match[1]};\n"

    members = _ARRAY.sub(between_gaps, state[2])
    header = header[: state.start()] + _GAP + state[1] + members + header[state.end(2) :]
    poison = "    const feast_gap_t gap;\n" + "".join(f"    self->{name} = gap;\n" for name in names)
    untouched = "".join(f"    /*@ assert {name}: {_untouched(name)}; */\n" for name in names)
    for place, code in ((_CLEAR, poison), (_STEP, untouched)):
        assert source.count(place) == 1
        source = source.replace(place, place + code)
    return _named(header, number), _named(source, number)


def _untouched(gap: str) -> str:
    return " && ".join(f"!\\initialized(&self->{gap}.at[{i}])" for i in range(_GAP_BYTES))
