"""Plan -> text of every emitted file. Pure: the same plan gives the same bytes.

Templates speak of the library as ``feast``; the text is then given the names it needs, all by one mechanism
(`renamed`): those of a stage first, the user's prefix last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Final

import jinja2

from feast_codegen.codegen.base import events, tool
from feast_codegen.codegen.base.resources import resource
from feast_codegen.codegen.emit.ids import API_VERSION
from feast_codegen.codegen.emit.jinja_filters import FILTERS
from feast_codegen.codegen.emit.plan import LayerPlan, Plan, Stage
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.state_layout import WORD_BITS, WORDS_OF

_PACKAGE: Final = {
    "CMakeLists.txt": "package/CMakeLists.txt.j2",
    "library.json": "package/library.json.j2",
    "include/feast.h": "package/feast.h.j2",
    "include/feast_config.h": "package/config.h.j2",
    "src/feast.c": "package/feast.c.j2",
}
_SIMD: Final = "src/feast_simd.h"
_LIBRARY_WIDE: Final = frozenset(
    {
        "feast.h",
        "feast_simd.h",
        "FEAST_MISS",
        "FEAST_BORDER",
        "FEAST_WORD_BITS",
        "FEAST_WORDS_OF_32",
        "FEAST_WORDS_OF_64",
    }
)
"""Names that a layer's templates share with the whole library, besides those of feast_simd.h."""
MANIFEST: Final = "manifest.json"
_INLINE: Final = re.compile(
    r"(?:/\*(?:[^*]|\*(?!/))*\*/\n)?static inline [^\n;]*?(\w+)\([^;{]*\)\n\{\n.*?\n\}\n\n?", re.DOTALL
)


def template_environment(*folders: Path) -> jinja2.Environment:
    """Read templates, from `folders` too: undefined names raise, block lines vanish, C filters are known."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([resource("templates"), *folders]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(
        codes=events,
        formats=formats,
        tool=tool,
        api_version=API_VERSION,
        word_bits=WORD_BITS,
        words_of=WORDS_OF,
    )
    return environment


def render(plan: Plan) -> dict[str, str]:
    """Text of each file of the library by its relative path, the manifest among them."""
    environment = template_environment()
    files = {_SIMD: environment.get_template("layer/simd.h.j2").render(plan=plan)}
    config: list[str] = []
    for stage in plan.stages:
        for path, name in {**stage.templates, "": stage.config}.items():
            text = environment.get_template(name).render({**_parts(stage), "plan": plan})
            text = of_layer(text, stage.name) if isinstance(stage, LayerPlan) else text
            if path:
                files[path.replace("NAME", stage.name)] = text
            else:
                config.append(text)
    sources = sorted(path for path in [*files, "src/feast.c"] if path.endswith(".c"))
    for path, name in _PACKAGE.items():
        files[path] = environment.get_template(name).render(plan=plan, config=config, sources=sources)
    files, prefix = without_unused_inlines(files), plan.options.prefix
    named = {renamed(path, prefix): renamed(files[path], prefix) for path in sorted(files)}
    return named | {MANIFEST: _manifest(plan, named)}


def of_layer(text: str, layer: str) -> str:
    """A text of the library given the names of one layer, except for those that the whole library shares."""
    return renamed(text, f"feast_{layer}", _shared_names())


@cache
def _shared_names() -> frozenset[str]:
    simd = Path(resource("templates"), "layer", "simd.h.j2").read_text(encoding="utf-8")
    return _LIBRARY_WIDE | set(re.findall(r"\b(?:feast|FEAST)_\w+", simd))


def renamed(text: str, name: str, keep: Iterable[str] = ()) -> str:
    """`text` with `name` at the beginning of every name in place of ``feast``, except for those of `keep`.

    >>> renamed('#include "feast.h" int feast_init(feast_t *a); FEAST_MISS', "eye", {"FEAST_MISS"})
    '#include "eye.h" int eye_init(eye_t *a); FEAST_MISS'
    """
    kept = frozenset(keep)

    def other(match: re.Match[str]) -> str:
        if match[0] in kept:
            return match[0]
        return (name if match[1] == "feast" else name.upper()) + match[2]

    return re.sub(r"\b(feast|FEAST)((?:_\w+)?\.h\b|_\w+|\.(?=c\b))", other, text)


def without_unused_inlines(files: dict[str, str]) -> dict[str, str]:
    """The same files without the inline functions that none of them calls."""
    files = dict(files)
    while True:
        everything = "\n".join(files.values())
        unused = {
            match[0]
            for text in files.values()
            for match in _INLINE.finditer(text)
            if len(re.findall(rf"\b{match[1]}\b", everything)) == 1
        }
        if not unused:
            return files
        for path, text in files.items():
            for block in unused:
                text = text.replace(block, "")
            files[path] = text


def _parts(stage: Stage) -> dict[str, Stage]:
    """A stage under the name its templates know it by."""
    return {"layer" if isinstance(stage, LayerPlan) else stage.name: stage}


def _manifest(plan: Plan, files: dict[str, str]) -> str:
    """What reproduces the library: generator, ids, all options, and the files that belong to it."""
    readout, filters, quant = plan.readout, plan.filter, plan.last.quant
    in_effect = replace(
        plan.options,
        readout=plan.options.readout or quant.readout is None,
        filters=plan.options.filters or (quant.lower or quant).filters is None,
    )
    board = "" if plan.board == "host" else f"--board {plan.board}"
    content = {
        "generator": tool.NAME,
        "version": tool.VERSION,
        "command": " ".join(filter(None, ["codegen emit MODEL", board, in_effect.flags])),
        "model_id": plan.ids.model,
        "build_id": plan.ids.build,
        "state_id": f"{plan.ids.state:08x}",
        "library_id": plan.ids.library,
        "api_version": ".".join(map(str, API_VERSION)),
        "board": plan.board,
        "kernel": plan.last.layout.kernel,
        "options": asdict(plan.options),
        "layers": len(plan.layers),
        **({"readout": {"grid": readout.quant.grid, "labels": readout.quant.labels}} if readout else {}),
        **({"filters": str(filters.filters)} if filters else {}),
        "ram_bytes": plan.budget.ram,
        "table_bytes": plan.budget.tables,
        "flash_bytes": plan.budget.flash,
        "stack_bytes": plan.budget.stack,
        "files": sorted(files),
    }
    return json.dumps(content, indent=2) + "\n"
