"""Plan -> text of every emitted file. Pure: the same plan gives the same bytes."""

from __future__ import annotations

import json
import re
from typing import Final

import jinja2

from codegen import records, wire_text
from codegen.boards import Kernel
from codegen.cformat import FILTERS
from codegen.plan import Plan
from codegen.resources import resource

_PACKAGE: Final = {
    "CMakeLists.txt": "CMakeLists.txt.j2",
    "library.json": "library.json.j2",
    "include/feast_wire.h": "feast_wire.h.j2",
}
_LAYER: Final = {
    "include/feast.h": "feast.h.j2",
    "src/feast_internal.h": "feast_internal.h.j2",
    "src/feast_simd.h": "feast_simd.h.j2",
    "src/feast.c": "feast.c.j2",
    "src/feast_state.c": "feast_state.c.j2",
    "src/feast_tables.c": "feast_tables.c.j2",
}
_LEARNING: Final = {"src/feast_learn.c": "feast_learn.c.j2", "src/feast_learn.h": "feast_learn.h.j2"}
_READOUT: Final = {
    "src/feast_readout.c": "feast_readout.c.j2",
    "src/feast_readout.h": "feast_readout.h.j2",
    "src/feast_readout_tables.c": "feast_readout_tables.c.j2",
}
_FILTERS: Final = {"src/feast_filter.c": "feast_filter.c.j2", "src/feast_filter.h": "feast_filter.h.j2"}
_KERNELS: Final[dict[Kernel, str]] = {
    "small": "feast_kernel_pairs.h.j2",
    "portable": "feast_kernel_pairs.h.j2",
    "dsp": "feast_kernel_pairs.h.j2",
    "vector": "feast_kernel_vector.h.j2",
}
_JOINT: Final = {"include/feast.h": "feast.h.j2", "src/feast.c": "feast_joint.c.j2"}
MANIFEST: Final = "manifest.json"


def template_environment() -> jinja2.Environment:
    """How templates are read here: undefined names raise, block lines vanish, C filters are known."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(FILTERS)
    return environment


def render(plan: Plan) -> dict[str, str]:
    """Text of each file of the library by its relative path, the manifest among them."""
    files: dict[str, str] = {}
    for number, layer in enumerate(plan.layers, start=1):
        files |= as_layer(_fill(_layer_templates(layer), layer), number)
    files |= _fill(_JOINT if plan.layers else _layer_templates(plan), plan)
    files |= _fill(_READOUT if plan.readout else {}, plan)
    sources = sorted(path for path in files if path.endswith(".c"))
    files |= _fill(_PACKAGE, plan, sources=sources, **wire_text.template_values())
    files = {path: files[path] for path in sorted(files)}
    return files | {MANIFEST: _manifest(plan, files)}


def as_layer(files: dict[str, str], number: int) -> dict[str, str]:
    """The same library under the prefix of one of several layers, names of files included.

    >>> as_layer({"src/feast.c": '#include "feast.h" /* FEAST: */ int feast_init(feast_t *a);'}, 2)
    {'src/feast2.c': '#include "feast2.h" /* FEAST: */ int feast2_init(feast2_t *a);'}
    """

    def renamed(text: str) -> str:
        return re.sub(r"\b(feast|FEAST)(?=[_.])", rf"\g<1>{number}", text)

    return {renamed(path): renamed(text) for path, text in files.items()}


def _layer_templates(plan: Plan) -> dict[str, str]:
    chosen = _LAYER | (_LEARNING if plan.learning else {}) | (_FILTERS if plan.filters else {})
    return chosen | {"src/feast_kernel.h": _KERNELS[plan.kernel]}


def _fill(templates: dict[str, str], plan: Plan, **values: object) -> dict[str, str]:
    environment = template_environment()
    return {
        path: environment.get_template(name).render(plan=plan, codes=records, **values)
        for path, name in templates.items()
    }


def _manifest(plan: Plan, files: dict[str, str]) -> str:
    """What reproduces the library: ids, options, and the files that belong to it."""
    content = {
        "model_id": plan.model_id,
        "build_id": plan.build_id,
        "state_id": f"{plan.state_id:08x}",
        "api_version": ".".join(map(str, plan.api_version)),
        "board": plan.board,
        "layers": max(1, len(plan.layers)),
        "learning": plan.learning,
        "select": "threshold" if plan.select_threshold else "nearest",
        "weights": "int8" if plan.narrow else "int16",
        **({"readout": {"grid": plan.readout.grid, "labels": plan.readout.labels}} if plan.readout else {}),
        **({"filters": str(plan.filters)} if plan.filters else {}),
        "ram_bytes": plan.ram_bytes,
        "table_bytes": plan.table_bytes,
        "flash_bytes": plan.flash_bytes,
        "stack_bytes": plan.stack_bytes,
        "files": sorted(files),
        "command": "codegen emit MODEL"
        + ("" if plan.board == "host" else f" --board {plan.board}")
        + (" --learning" if plan.learning else "")
        + (" --select threshold" if plan.select_threshold else "")
        + (" --weights int8" if plan.narrow else "")
        + (" --no-readout" if plan.readout_left_out else "")
        + (" --no-filters" if plan.leaves_filters_out else ""),
    }
    return json.dumps(content, indent=2) + "\n"
