"""Which optional extra of the package brings which module, for the one line that says what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from feast_codegen.codegen.base.errors import FeastError

MODULES_OF_EXTRA: Final = {
    "formats": ("h5py", "hdf5plugin", "aedat", "rosbags"),
    "tonic": ("tonic",),
    "firmware": ("platformio", "SCons", "elftools"),
    "link": ("serial", "cobs"),
    "monitor": ("websockets",),
    "report": ("matplotlib",),
    "tune": ("optuna",),
    "cluster": ("dask", "distributed", "psycopg"),
    "flash": ("pyocd",),
    "bench": ("eventcv",),
}
"""Top-level modules by the extra of pyproject.toml that installs them."""

_EXTRA_OF: Final = {module: extra for extra, modules in MODULES_OF_EXTRA.items() for module in modules}


class MissingExtraError(FeastError, ImportError):
    """A package of an extra is not installed; the one line says how to install it."""


@contextmanager
def naming_extras(what: str) -> Iterator[None]:
    """Where the block, or the function this decorates, lacks a package of an extra: raise MissingExtraError.

    `what`: what cannot be done without it, the subject of the sentence.
    """
    try:
        yield
    except ImportError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        raise MissingExtraError(f"{what} {missing}") from None


def missing_extra(error: ImportError) -> str | None:
    """One line that says which extra to install for the module of `error`; None if no extra brings it.

    >>> missing_extra(ModuleNotFoundError("No module named 'serial'", name="serial"))
    "needs the module serial, which is not installed: pip install 'feast-codegen[link]'"
    """
    module = (error.name or "").partition(".")[0]
    extra = _EXTRA_OF.get(module)
    if extra is None:
        return None
    return f"needs the module {module}, which is not installed: pip install 'feast-codegen[{extra}]'"
