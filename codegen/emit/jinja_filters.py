"""Jinja filters: Python values as C text. Pure functions, each with an executed example."""

from __future__ import annotations

from collections.abc import Iterable

from feast_codegen.codegen.emit.budget import Member
from feast_codegen.codegen.fixed_point.state_layout import ACCEPTANCE, UNUSED, Span


def c_rows(values: Iterable[int], width: int = 108) -> str:
    """Initialiser values in indented lines of at most `width` characters, without a trailing comma.

    >>> print(c_rows(range(8), width=14))
        0, 1, 2,
        3, 4, 5,
        6, 7
    """
    return _lines((str(int(value)) for value in values), width)


def c_words(values: Iterable[int], width: int = 108) -> str:
    """32-bit words in hexadecimal, laid out as `c_rows` does.

    >>> print(c_words([1, 0xFFFF0000]))
        0x00000001u, 0xffff0000u
    """
    return _lines((f"0x{int(value):08x}u" for value in values), width)


def c_strings(values: Iterable[str], width: int = 108) -> str:
    """An initialiser of string literals for a macro, in continued lines of at most `width` characters.

    >>> print(c_strings(["one", "two", "three"], width=24))
        { "one", "two", \\
        "three" }
    """
    lines = _lines((c_string(value) for value in values), width - 4).split("\n")
    lines[0] = lines[0].replace("    ", "    { ", 1)
    return " \\\n".join(lines) + " }"


def c_string(text: str) -> str:
    """A string literal of ASCII alone: UTF-8 in escapes, each ended by the end of a literal or the next one.

    Question marks are escaped, or two of them could begin a trigraph.

    >>> print(c_string('4" disc?'), c_string("caf\u00e9s"))
    "4\\" disc\\?" "caf\\303\\251" "s"
    """
    literal, in_escape = "", False
    for byte in text.encode():
        is_ascii = 0x20 <= byte < 0x7F
        if is_ascii and in_escape:
            literal += '" "'
        character = chr(byte)
        literal += ("\\" if character in '"\\?' else "") + character if is_ascii else f"\\{byte:03o}"
        in_escape = not is_ascii
    return f'"{literal}"'


def hex_bytes(digits: str) -> str:
    """Hex digits as C byte constants.

    >>> hex_bytes("00ff10")
    '0x00, 0xff, 0x10'
    """
    return ", ".join(f"0x{digits[i : i + 2]}" for i in range(0, len(digits), 2))


def declaration(member: Member) -> str:
    """A struct member as a C declaration.

    >>> declaration(Member("wins", "uint32_t", 16, ""))
    'uint32_t wins[16];'
    >>> declaration(Member("phase", "uint32_t", 0, ""))
    'uint32_t phase;'
    >>> declaration(Member("t_us", "uint64_t", 0, "", aligned=True))
    'alignas(FEAST_STATE_ALIGNMENT) uint64_t t_us;'
    """
    size = f"[{member.count}]" if member.count else ""
    aligned = "alignas(FEAST_STATE_ALIGNMENT) " if member.aligned else ""
    return f"{aligned}{member.ctype} {member.name}{size};"


def word_of_stage(span: Span) -> str:
    """C expression of word `index` of the state, which lies in `span`.

    >>> word_of_stage(Span("filter", start=90, end=97, own=0, sections=("filtered",)))
    'feast_filter_word(&self->filter, index - 90u)'
    """
    if span.stage == UNUSED:
        return "0"
    holder = "self" if span.stage == ACCEPTANCE else f"&self->{span.stage}"
    own = "index" if span.start == span.own else f"index - {span.start - span.own}u"
    return f"feast_{span.stage}_word({holder}, {own})"


def _lines(items: Iterable[str], width: int) -> str:
    lines: list[str] = []
    line = "   "
    for text in items:
        item = f" {text},"
        if len(line) + len(item) > width:
            lines.append(line)
            line = "   "
        line += item
    return "\n".join([*lines, line]).removesuffix(",")


FILTERS = {
    "c_rows": c_rows,
    "c_words": c_words,
    "c_strings": c_strings,
    "hex_bytes": hex_bytes,
    "declaration": declaration,
    "word_of_stage": word_of_stage,
}
