"""Where a search is kept: a study of Optuna in a journal file (also on a network drive), or in a database."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from feast_codegen.codegen.base.errors import FeastError

Direction = Literal["maximize", "minimize"]

ATTEMPTS: Final = 6
"""Times a database is opened, half a second apart, when another process makes its tables."""
LEASE_S: Final = 120
"""A process silent for this long is taken for dead; its trial counts as failed (databases only)."""


@contextlib.contextmanager
def opened(storage: str, name: str, directions: tuple[Direction, ...]) -> Iterator[Any]:
    """The study of that name, made where there is none; connections to a database are closed at the end.

    `storage`: a file (a journal is made there) or the URL of a database. `directions`: of each of a trial's
    values, "maximize" or "minimize". Raises FeastError for a storage that cannot be used.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    with contextlib.ExitStack() as at_the_end:
        with _told_apart(storage):
            place: Any
            if "://" in storage:
                place = _database(storage)
                at_the_end.callback(place.engine.dispose)
            else:
                path = Path(storage)
                if not path.parent.is_dir():
                    raise FeastError(f"{storage}: there is no folder {path.parent} to keep the study in")
                lock = JournalFileOpenLock(storage) if os.name == "nt" else None
                place = JournalStorage(JournalFileBackend(storage, lock_obj=lock))
            study = optuna.create_study(
                storage=place, directions=list(directions), study_name=name, load_if_exists=True
            )
        yield study


def _database(url: str) -> Any:
    """Storage in a database; its tables are made at the first use, where another process may be first."""
    import optuna
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    for left in range(ATTEMPTS - 1, -1, -1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return RDBStorage(url, heartbeat_interval=LEASE_S // 2, grace_period=LEASE_S)
        except (IntegrityError, ProgrammingError, RuntimeError):
            if left == 0:
                raise
            time.sleep(0.5)
    raise AssertionError("the last attempt returns or raises")


@contextlib.contextmanager
def _told_apart(storage: str) -> Iterator[None]:
    """Turn what goes wrong with a storage into one line; a URL's password is left out of it."""
    place = storage if "://" not in storage else storage.split("://")[0] + "://" + storage.split("@")[-1]
    try:
        yield
    except (FeastError, KeyboardInterrupt):
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FeastError(f"{place}: cannot keep a study there: {reason}") from None
