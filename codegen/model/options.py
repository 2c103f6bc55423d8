"""What a user may choose about the generated code, apart from model and board."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Final, Literal, get_args, get_origin, get_type_hints

from feast_codegen.codegen.base.errors import FeastError

Select = Literal["nearest", "threshold"]
Weights = Literal["int16", "int8"]
Input = Literal["evt2", "rows", "edvs"]
INPUTS: Final[tuple[Input, ...]] = get_args(Input)
"""Words of cameras that an emitted library can decode (docs/reference/input.md)."""

PREFIX: Final = "feast"
_PREFIX: Final = re.compile(r"[a-z][a-z0-9_]{0,23}")
_TAKEN: Final = re.compile(
    r"assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp|signal|stdalign|stdarg|"
    r"stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|strings?|tgmath|threads|time|uchar|wchar|wctype"
)
"""Headers of C: a folder of the library may come first in the search."""
_TYPES: Final = re.compile(
    r"u?int(_fast|_least)?(8|16|32|64)|u?int(ptr|max)|s?size|ptrdiff|max_align|wchar|char(8|16|32)|wint|clock|"
    r"off|mode|pid|bool|float|double|fpos|div|ldiv|lldiv|sig_atomic|va_list|locale|mtx|cnd|thrd|tss|once_flag|"
    r"fenv|fexcept|imaxdiv|mbstate|wctrans|wctype|nullptr"
)
"""NAME_t is a type of C or POSIX."""
_LATER: Final = ("input", "max_rate")
"""Options whose default leaves no trace: without them a library is what it was before they existed."""


@dataclass(frozen=True)
class Options:
    """Options of emission; the twin takes the same."""

    learning: bool = False
    """Keep the learned state in RAM and learn on the device; else features are const tables."""
    select: Select = "nearest"
    """Selection while features are frozen: nearest feature, or only those in range."""
    weights: Weights = "int16"
    """Stored weights; int8 halves the tables of frozen features and costs some agreement."""
    readout: bool = True
    """Keep class scores, if the model has a readout."""
    filters: bool = True
    """Filter as the model says; without, events come filtered and in pixels of the network already."""
    prefix: str = PREFIX
    """Begins every name and file of the emitted library."""
    input: tuple[Input, ...] = ()
    """Decoders of a camera's words beside the network, in the order of INPUTS, each once."""

    max_rate: int | None = None
    """A limiter of this many events per second in place of the model's; 0: none."""

    def check(self) -> None:
        """Raise FeastError for options that exclude each other or that C does not allow."""
        if not _PREFIX.fullmatch(self.prefix):
            raise FeastError(
                f"prefix {self.prefix!r}: expected a C identifier in lower case, 1 to 24 letters, digits "
                "and _, a letter first"
            )
        if _TAKEN.fullmatch(self.prefix) or _TYPES.fullmatch(self.prefix):
            raise FeastError(
                f"prefix {self.prefix}: {self.prefix}.h or {self.prefix}_t belongs to C itself: choose "
                "another"
            )
        if self.learning and self.weights == "int8":
            raise FeastError("weights int8: learning needs weights int16")
        if self.max_rate is not None and not self.filters:
            raise FeastError("max-rate: without the filters (--no-filters) there is no limiter either")
        if self.input != tuple(each for each in INPUTS if each in self.input):
            got, wanted = ",".join(self.input), ",".join(INPUTS)
            raise FeastError(f"input {got}: expected some of {wanted}, in this order")

    @property
    def content(self) -> dict[str, object]:
        """All options by name, as they tell libraries apart, without those that leave no trace."""
        content = asdict(self)
        for name in _LATER:
            if content[name] == getattr(type(self)(), name):
                del content[name]
        return content

    @property
    def below(self) -> Options:
        """Options of the lower of two layers: frozen, the nearest wins (the numerics page section 12)."""
        return Options(weights=self.weights, readout=False, filters=self.filters, max_rate=self.max_rate)

    @property
    def flags(self) -> str:
        """The options of `codegen emit` that give these; empty for the defaults.

        >>> Options(learning=True, select="threshold", filters=False).flags
        '--learning --select threshold --no-filters'
        """
        words = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                name = f"no-{field.name}" if value is False else field.name.replace("_", "-")
                value = ",".join(value) if isinstance(value, tuple) else value
                words.append(f"--{name}" if isinstance(value, bool) else f"--{name} {value}")
        return " ".join(words)


def inputs(names: str) -> tuple[Input, ...]:
    """Decoders by their names, with commas between them, in any order.

    Raises FeastError for another name, or for one that is given twice.

    >>> inputs("rows,evt2")
    ('evt2', 'rows')
    """
    given = [name.strip() for name in names.split(",")]
    wrong = [name for name in given if name not in INPUTS or given.count(name) > 1]
    if wrong:
        raise FeastError(f"--input {names}: {wrong[0]!r}: expected some of {','.join(INPUTS)}, each once")
    return tuple(each for each in INPUTS if each in given)


def every_combination() -> Iterator[Options]:
    """Every combination of the options with a choice of values, without those that exclude each other.

    The defaults come first; of two, the one that departs from them in a later field.
    """
    hints = get_type_hints(Options)
    domains: list[list[object]] = []
    for field in fields(Options):
        hint = hints[field.name]
        values = (False, True) if hint is bool else get_args(hint) if get_origin(hint) is Literal else ()
        domains.append([field.default, *(value for value in values if value != field.default)])
    for chosen in itertools.product(*domains):
        options = Options(*chosen)  # type: ignore[arg-type]
        try:
            options.check()
        except FeastError:
            continue
        yield options
