"""docs/reference/python-api.md, made from the docstrings of the public API, and its examples as doctests."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import inspect
import itertools
import re
import textwrap
from collections.abc import Callable
from typing import Any, Final

import feast_codegen
from tests.support.paths import ROOT

PAGE: Final = ROOT / "docs" / "reference" / "python-api.md"
SECTIONS: Final = (
    "open_recordings",
    "events_from",
    "train",
    "save_model",
    "load_model",
    "quantise",
    "verify",
    "emit",
    "boards",
    "Feast",
    "HistogramClassifier",
    "build",
    "run_on_board",
    "open_link",
)
"""In an order in which each example finds what it needs."""
_WIDTH: Final = 108
NEED_FIRMWARE: Final = ("build", "run_on_board", "open_link")
_INTRODUCTION: Final = """# Python API

`import feast_codegen` gives what the commands do to programs. It is typed, and loads each name at its first
use. Exporting a model to C takes two lines:

```python
model = feast_codegen.load_model("model.npz")
feast_codegen.emit(model, "feast", board="mps2_an386")
```

Where a model is taken, the path of a model file will do. What a user can put right is a `FeastError`, whose
text is one line; a missing package of an extra is a `MissingExtraError`, which is an `ImportError` too and
says what to install. The types `Model`, `Hyperparameters`, `Options`, `Filters`, `Sensor`, `Reading`,
`Source`, `EventStream`, `Board` and `EVENT_DTYPE` are there to be named and constructed. The
[sources](../use/recordings.md) of recordings and the [boards](../use/boards.md) have pages of their own.

This page is written from the docstrings, and a test runs its examples, which continue one another.
"""


def render() -> str:
    """The whole page."""
    return "\n".join(
        [
            _INTRODUCTION,
            *map(_section, SECTIONS),
            *map(_fields, (feast_codegen.Options, feast_codegen.Reading)),
        ]
    )


def run_examples(names: tuple[str, ...], namespace: dict[str, Any]) -> int:
    """Run the examples of these sections, all in `namespace`; returns how many there were.

    Raises AssertionError with doctest's report of the first that fails.
    """
    namespace["feast_codegen"] = feast_codegen
    runner = doctest.DocTestRunner(optionflags=doctest.FAIL_FAST)
    report: list[str] = []
    for name in names:
        text = inspect.getdoc(getattr(feast_codegen, name)) or ""
        test = doctest.DocTestParser().get_doctest(text, namespace, name, None, None)
        assert test.examples, f"{name} has no example"
        runner.run(test, out=report.append, clear_globs=False)
        assert not runner.failures, "".join(report)
        namespace.update(test.globs)
    return runner.tries


def _section(name: str) -> str:
    value = getattr(feast_codegen, name)
    text, arrow, example = (inspect.getdoc(value) or "").partition(">>> ")
    lines = [f"## {name}\n", "```text", _signature(name, value), "```\n", _with_bullets(text)]
    if inspect.isclass(value):
        lines += [_methods(value)]
    if arrow:
        lines += ["```pycon", (arrow + example).rstrip(), "```\n"]
    return "\n".join(lines)


def _signature(name: str, value: Callable[..., Any]) -> str:
    words, named = [], False
    for parameter in inspect.signature(value).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not named:
            words.append("*")
            named = True
        default = parameter.default
        shown = getattr(default, "__name__", repr(default))
        if dataclasses.is_dataclass(default):
            shown = f"{type(default).__name__}()"
        words.append(parameter.name if default is parameter.empty else f"{parameter.name}={shown}")
    line = f"{name}({', '.join(words)})"
    if len(line) <= _WIDTH:
        return line
    wrapped = textwrap.fill(", ".join(words), _WIDTH, initial_indent="    ", subsequent_indent="    ")
    return f"{name}(\n{wrapped}\n)"


def _with_bullets(text: str) -> str:
    """Lines ``argument: meaning`` as a list, with the lines that continue them."""
    lines, inside = [], False
    for line in text.rstrip().splitlines():
        argument = re.match(r"([a-z_]\w*(?:, [a-z_]\w*)*): ", line)
        if argument:
            line = (
                "- " + ", ".join(f"`{each}`" for each in argument[1].split(", ")) + line[argument.end() - 2 :]
            )
        elif inside and line.strip():
            line = "  " + line
        inside = bool(line.strip()) and (inside or argument is not None)
        lines.append(line)
    return "\n".join([*lines, ""])


def _fields(value: type[Any]) -> str:
    """A section about a dataclass: what stands below each of its fields."""
    (body,) = (
        node.body for node in ast.parse(inspect.getsource(value)).body if isinstance(node, ast.ClassDef)
    )
    lines = [f"## {value.__name__}\n", f"{inspect.getdoc(value)}\n"]
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            lines.append(f"- `{ast.unparse(field)}`: {' '.join(ast.literal_eval(text.value).split())}")
    return "\n".join([*lines, ""])


def _methods(value: type[Any]) -> str:
    own = [(name, each) for name, each in vars(value).items() if not name.startswith("_") and callable(each)]
    return "\n".join(
        [f"- `{name}`: {(inspect.getdoc(each) or '').splitlines()[0]}" for name, each in own] + [""]
    )
