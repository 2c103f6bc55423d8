"""Numbers as people read them."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with escapes in the place of what a terminal would obey or turn around, line ends too.

    Names of files come from others: control characters, ANSI sequences and bidirectional marks stay visible.

    >>> printable("a\\x1b[31m\\u202eb\\udcff")
    'a\\\\x1b[31m\\\\u202eb\\\\udcff'
    """
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def count(number: int) -> str:
    """A whole number for people.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{number:,}"


def percent(share: float | None, digits: int = 2) -> str:
    """A share of one for people; a dash for None.

    >>> percent(0.0204)
    '2.04 %'
    """
    return "-" if share is None else f"{100 * share:.{digits}f} %"
