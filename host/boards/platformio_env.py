"""Make PlatformIO usable without its registry; as a module, prepare it once.

PlatformIO runs SCons from a package of its own, `platformio/tool-scons`, which it fetches from its
registry. SCons is on PyPI too and is a dependency of this project. Where PlatformIO has no tool-scons
yet, it is laid out here from that SCons: the same files at the same place. One that is there is kept.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from feast_codegen.codegen.base.errors import FeastError

_SCONS_ENTRY: Final = """\
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "scons-local"))

from SCons.Script import main

sys.exit(main())
"""


def platformio_environment() -> dict[str, str]:
    """Environment for `python -m platformio`: this one, without version look-ups and telemetry."""
    return {
        **os.environ,
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
        "PLATFORMIO_NO_ANSI": "true",
        "PYTHONUTF8": "1",
    }


def packages_folder() -> Path:
    """Where PlatformIO keeps its packages, by the variables it heeds itself."""
    if packages := os.environ.get("PLATFORMIO_PACKAGES_DIR"):
        return Path(packages)
    core = os.environ.get("PLATFORMIO_CORE_DIR") or os.environ.get("PLATFORMIO_HOME_DIR")
    return (Path(core) if core else Path.home() / ".platformio") / "packages"


def scons_requirement() -> str:
    """The version of tool-scons that the installed PlatformIO asks for, e.g. ``4.41101.0``.

    Raises FeastError if PlatformIO is not installed.
    """
    try:
        from platformio.dependencies import get_core_dependencies  # type: ignore[import-untyped]
    except ImportError:
        raise FeastError(
            "platformio is not installed in this environment: pip install 'platformio>=6.1.15'"
        ) from None
    return str(get_core_dependencies()["tool-scons"]).lstrip("~^=>")


def prepare_scons(packages: Path | None = None) -> bool:
    """Lay out tool-scons in `packages` unless PlatformIO has one; True if that was done.

    Raises FeastError if SCons is not installed or the folder cannot be written.
    """
    packages = packages or packages_folder()
    version = scons_requirement()
    for manifest in packages.glob("tool-scons*/package.json"):
        if _version_of(manifest) == version:
            return False
    spec = importlib.util.find_spec("SCons")
    if spec is None or not spec.submodule_search_locations:
        raise FeastError("scons is not installed in this environment: pip install scons")
    try:
        packages.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=packages, prefix=".tool-scons-") as work:
            folder = Path(work) / "tool-scons"
            _lay_out(folder, Path(next(iter(spec.submodule_search_locations))), version)
            target = packages / "tool-scons"
            if target.exists():  # another version, which this PlatformIO cannot use
                target = packages / f"tool-scons@{version}"
            try:
                folder.rename(target)
            except OSError:
                if not (target / "package.json").is_file():  # else another process was first
                    raise
    except OSError as error:
        reason = error.strerror or error
        raise FeastError(f"{packages}: cannot prepare PlatformIO's SCons: {reason}") from None
    return True


def _version_of(manifest: Path) -> str:
    try:
        return str(json.loads(manifest.read_text(encoding="utf-8")).get("version"))
    except (OSError, ValueError):
        return ""


def _lay_out(folder: Path, scons: Path, version: str) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "*Tests.py", "docbook")
    shutil.copytree(scons, folder / "scons-local" / "SCons", ignore=ignore)
    (folder / "scons.py").write_text(_SCONS_ENTRY, encoding="utf-8")
    manifest = {"name": "tool-scons", "version": version, "description": "SCons, from its PyPI package"}
    record = {
        "type": "tool",
        "name": "tool-scons",
        "version": version,
        "spec": {
            "owner": "platformio",
            "id": None,
            "name": "tool-scons",
            "requirements": None,
            "uri": None,
        },
    }
    (folder / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / ".piopm").write_text(json.dumps(record), encoding="utf-8")
    (folder / ".piokeep").write_text("", encoding="utf-8")


def main() -> int:
    """Prepare SCons and say what was done."""
    try:
        done = prepare_scons()
    except FeastError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{packages_folder()}: tool-scons {'prepared' if done else 'is there'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
