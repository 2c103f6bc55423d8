"""Mutants of C text: one operator, shift amount, constant or bound changed in each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

SWAPS = {
    **{"<": ("<=",), "<=": ("<",), ">": (">=",), ">=": (">",), "==": ("!=",), "!=": ("==",)},
    **{"<<": (">>", "<< 1u +"), ">>": ("<<", ">> 1u +"), "<<=": (">>=",), ">>=": ("<<=",)},
    **{"+": ("-",), "-": ("+",), "/": ("%",), "%": ("/",), "*": ("+",), "&&": ("||",), "||": ("&&",)},
    **{
        "+=": ("-=",),
        "-=": ("+=",),
        "++": ("--",),
        "--": ("++",),
        "&": ("|",),
        "|": ("&",),
        "!": ("",),
        "~": ("",),
    },
    **{"true": ("false",), "false": ("true",)},
}
"""What takes the place of a token. `1u +` makes a shift one longer; a changed constant makes one shorter."""
BOUNDS = {
    *("INT16_MAX", "INT16_MIN", "INT32_MIN", "UINT32_MAX", "FEAST_UNIT", "FEAST_NONE", "FEAST_DEAD_OCTAVES"),
    *(
        "FEAST_OCTAVE_Q8",
        "FEAST_WINDOW_EVENTS",
        "FEAST_LEARNING_SHIFT",
        "FEAST_WEIGHT_FRACTION",
        "FEAST_MARGIN",
    ),
    *("FEAST_RADIUS", "FEAST_SIDE", "FEAST_FILTER_STAMP_REACH"),
}
"""Named constants that are tried one larger and one smaller."""

_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<number>0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<operator><<=|>>=|->
                    |\+\+|--|&&|\|\||<<|>>|<=|>=|==|!=|[-+*/%&|^]=|[-+*/%&|^~!<>=?:;,.(){}\[\]])""",
    re.VERBOSE | re.DOTALL,
)
_POINTERS = re.compile(r"_t$|^(const|void|char|int)$")


@dataclass(frozen=True, order=True)
class Mutant:
    """A change of one token of a statement, on one line. `occurrence` counts equal ones of a file from 0."""

    file: str
    statement: str
    occurrence: int
    column: int
    old: str
    new: str

    def __str__(self) -> str:
        marked = f"{self.statement[: self.column]}«{self.old} → {self.new}»"
        again = f" #{self.occurrence + 1}" if self.occurrence else ""
        return f"{self.file}: {marked}{self.statement[self.column + len(self.old) :]}{again}"


def mutants(file: str, text: str, live: set[int]) -> Iterator[tuple[Mutant, str]]:
    """Each mutant of the `live` lines (from 1) of a file, with the whole mutated text."""
    statements = _statements(text.splitlines())
    previous = ""
    for match in _TOKEN.finditer(text):
        if match["skip"] is not None:
            continue
        token, start = match[0], match.start()
        number = text.count("\n", 0, start)
        statement, occurrence, begins = statements[number]
        if number + 1 in live and not statement.startswith(("#", "FEAST_REQUIRE", "alignas", "extern")):
            column = start - (text.rfind("\n", 0, start) + 1) + begins
            unread = text[:start].endswith("[") and "sizeof" in text[max(0, start - 12) : start]
            for new in () if unread else _replacements(match, previous):
                mutant = Mutant(file, statement, occurrence, column, token, new)
                yield mutant, text[:start] + new + text[match.end() :]
        previous = token


def _statements(lines: list[str]) -> list[tuple[str, int, int]]:
    """For each line its statement without line breaks, the number among equal ones, where the line begins.

    The breaks depend on how long the names of a layer are, and say nothing about a mutant.
    """
    seen: Counter[str] = Counter()
    found: list[tuple[str, int, int]] = []
    statement, begins = "", list[int]()
    for line in lines:
        part = line.strip()
        gap = "" if not statement or statement.endswith("(") else " "
        begins.append(len(statement) + len(gap) - (len(line) - len(line.lstrip())))
        statement += gap + part
        code = re.sub(r"/\*.*?\*/", "", statement).strip()
        apart = not code or code.startswith(("#", "/*", "* ", "*/"))
        if apart or (code.endswith((";", "{", "}", ":")) and code.count("(") == code.count(")")):
            found += [(statement, seen[statement], begin) for begin in begins]
            seen[statement] += 1
            statement, begins = "", []
    return found + [(statement, seen[statement], begin) for begin in begins]


def _replacements(match: re.Match[str], previous: str) -> tuple[str, ...]:
    token = match[0]
    if match["number"]:
        digits = token.rstrip("uUlL")
        value, suffix = int(digits, 0), token[len(digits) :]
        return (f"{value + 1}{suffix}", *([f"{value - 1}{suffix}"] if value else []))
    if token in BOUNDS:
        return (f"({token} + 1)", f"({token} - 1)")
    unary = not (re.fullmatch(r"[\w)\]]+", previous)) or previous in ("return", "case")
    if unary and token in "*&":
        return ()  # indirection, address
    if unary and token == "-":
        return ("",)
    if token == "*" and _POINTERS.search(previous):
        return ()  # a pointer type
    return SWAPS.get(token, ())
