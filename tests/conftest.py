"""What all tests share: real recordings where there are any, and visible skips where there are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.paths import ROOT

# The first example may compile a loop, and the machine may have other work: slowness is no failure.
settings.register_profile("feast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("feast")


def data_folder() -> Path:
    """Where the real recordings are: FEAST_DATA, or `shared/data` beside the checkout."""
    return Path(os.environ.get("FEAST_DATA") or ROOT.parent / "shared" / "data")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `data`, saying so, where the recordings are absent."""
    if (data_folder() / "nmnist").is_dir():
        return
    reason = f"no recordings in {data_folder()}; set FEAST_DATA to the folder that holds nmnist/"
    for item in items:
        if item.get_closest_marker("data"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the real recordings; only for tests marked `data`."""
    return data_folder()


@pytest.fixture(scope="session")
def nmnist(data: Path) -> Path:
    """Root of the N-MNIST recordings, with the splits train and test."""
    return data / "nmnist"
