"""The firmware around the emitted library, file by file as the boards compile it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from feast_codegen.codegen.base.resources import resource
from feast_codegen.codegen.boards.board import Board, load_boards
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.host.boards.platformio_files import PLATFORM, manifest
from tests.support.networks import make_model
from tests.support.proofs.driver import emitted, write_library
from tests.support.proofs.products import networks

LINK: Final = resource("firmware") / "src"
RUNTIME: Final = resource("firmware") / "platforms" / PLATFORM / "runtime"


@dataclass(frozen=True)
class Build:
    """Sources that are compiled together, and the preprocessor's flags for all of them."""

    sources: tuple[Path, ...]
    flags: tuple[str, ...]
    machine: tuple[str, ...]
    """Flags of the cross compiler that choose the core."""

    @property
    def defined(self) -> list[str]:
        """`flags`, and what the compiler defines by itself about the core."""
        return [*self.flags, *(f"-D{name}={value}" for name, value in _core_macros(self.machine))]


def libraries(board: Board) -> dict[str, dict[str, str]]:
    """Emitted libraries whose headers switch every option of the link on or off, for a board's kernel."""
    wide = make_model(Sensor(300, 200), radius=1, features=300)
    kinds = networks()
    options = {
        "filters, scores, learning": (kinds["filtered"], Options(learning=True)),
        "wide results and coordinates": (wide, Options(select="threshold")),
        "two layers": (kinds["layers"], Options(learning=True)),
    }
    return {name: emitted(network, chosen, board.kernel) for name, (network, chosen) in options.items()}


def with_link(board: Board, library: dict[str, str], folder: Path) -> Build:
    """The firmware of a board: link and runtime around an emitted library, which is written to `folder`."""
    parts = manifest(board)["feast"]
    sources = [*sorted(LINK.glob("*.c")), *_runtime(*parts["sources"], *parts["link_sources"], "identity.c")]
    return _build(
        board,
        library,
        folder,
        sources,
        [f"-D{name}={value}" for name, value in parts["link_defines"].items()],
    )


def with_driver(board: Board, library: dict[str, str], folder: Path) -> Build:
    """The same with a driver of the user's own, but without that driver."""
    own = ("identity.c", "driver/event_queue.c", "driver/main.c")
    sources = _runtime(*manifest(board)["feast"]["sources"], *own)
    return _build(board, library, folder, sources, ["-DFEAST_DRIVER", f"-I{RUNTIME / 'driver'}"])


def every_file(folder: Path) -> list[Build]:
    """Each source once, with the first board that has it; those of the link once with every library."""
    boards = load_boards()
    first = next(board for board in boards.values() if board.persist)
    kinds = libraries(first)
    builds = [with_link(first, library, folder / name) for name, library in kinds.items()]
    builds[1:] = [replace(build, sources=tuple(LINK.glob("*.c"))) for build in builds[1:]]
    library = next(iter(kinds.values()))
    others = [with_link(board, library, folder / name) for name, board in boards.items()]
    seen = set(builds[0].sources)
    for build in [*others, with_driver(first, library, folder / "driver")]:
        new = tuple(source for source in build.sources if source not in seen)
        seen.update(new)
        builds += [replace(build, sources=new)] if new else []
    return builds


def texts() -> dict[str, str]:
    """All C of the firmware by path, headers too."""
    paths = [path for root in (LINK, RUNTIME) for path in sorted(root.rglob("*.[ch]"))]
    return {str(path): path.read_text(encoding="utf-8") for path in paths}


@cache
def _core_macros(machine: tuple[str, ...]) -> list[tuple[str, str]]:
    command = ["arm-none-eabi-gcc", *machine, "-dM", "-E", "-xc", "/dev/null"]
    macros = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.findall(r"^#define (__ARM_\w+) (.+)$", macros, re.MULTILINE)


def _runtime(*names: str) -> list[Path]:
    return [RUNTIME / name for name in names]


def _build(
    board: Board, library: dict[str, str], folder: Path, sources: list[Path], flags: list[str]
) -> Build:
    """What firmware/platforms/feastcortex/builder/main.py tells the compiler."""
    parts = manifest(board)["feast"]
    write_library(library, folder)
    macros = "".join(f"#define {name} {value}\n" for name, value in parts["header"].items())
    (folder / "board.h").write_text(macros, encoding="utf-8")
    includes = [f"-I{path}" for path in (RUNTIME, LINK, folder, folder / "include")]
    return Build(tuple(sources), (*flags, *includes), ("-mthumb", *parts["machine_flags"]))
