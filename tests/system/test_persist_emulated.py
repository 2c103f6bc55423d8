"""A learned state kept by the real firmware: found after a reset, also one that comes while it is kept.

mps2_an386 has a stand-in for flash, memory that a reset leaves alone; bbcmicrobit has the flash controller of
the nRF51, which QEMU models.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from feast_codegen.codegen.boards.board import get_board
from feast_codegen.codegen.model.file import save_model
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.protocol import messages
from feast_codegen.host.boards.build import build
from feast_codegen.host.boards.emulator import Emulator, emulate
from feast_codegen.host.boards.firmware_project import prepare_project
from feast_codegen.host.boards.run import emit_for_board
from feast_codegen.host.cli.app import execute
from feast_codegen.host.link.link import Link, open_link
from feast_codegen.host.streaming.learned_state import to_words
from tests.support.firmware_project import needs_compiler, needs_emulator
from tests.support.networks import make_events, make_model
from tests.support.waiting import LIMIT_S

pytestmark = [pytest.mark.firmware, needs_compiler, needs_emulator]

NAMES = ("mps2_an386", "bbcmicrobit")
CUTS, MOST_CUTS = 4, 100
"""Resets after which the old state must be found, and the new one; how many may be tried for them."""


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model(features=12, radius=2)


@pytest.fixture(scope="module")
def elfs(tmp_path_factory: pytest.TempPathFactory, model: Model) -> dict[str, Path]:
    project = tmp_path_factory.mktemp("keeping") / "firmware"
    prepare_project(project)
    found = {}
    for name in NAMES:
        emit_for_board(model, get_board(name), Options(learning=True), project)
        found[name] = build(get_board(name), project).elf
    return found


def link_to(emulator: Emulator) -> Link:
    return open_link(emulator.url, connect_s=LIMIT_S)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_learned_is_there_after_a_reset(
    name: str, elfs: dict[str, Path], model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(model, tmp_path / "model.npz")
    with emulate(get_board(name), elfs[name]) as emulator:
        keep = [
            "state",
            "--port",
            emulator.url,
            "--persist",
            "--json",
            "--model",
            str(tmp_path / "model.npz"),
        ]
        original = messages.snapshot_digest(to_words(model))
        for times in (1, 2, 3):
            with link_to(emulator) as link:
                learned = link.run(make_events(700, seed=times), learning=True, initialise=False).state_id
            assert execute(keep) == 0
            said = json.loads(capsys.readouterr().out)
            assert said["persisted"] == times
            with link_to(emulator) as link:
                link.run(make_events(300), learning=True, initialise=False)
                assert link.hello.state_id != learned
            emulator.reset()
            with link_to(emulator) as link:
                assert link.hello.can_persist
                assert link.hello.state_id == learned != original
                assert messages.snapshot_digest(link.read_state()) == learned


def test_a_reset_in_the_middle_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    """57 KB, some milliseconds of writing: resets gather around its end, however fast the machine is.

    Each comes later than the last one if that left the old state, and sooner if it left the new one.
    """
    board, model = get_board("mps2_an386"), make_model(features=120, radius=7)
    prepare_project(tmp_path / "firmware")
    emit_for_board(model, board, Options(learning=True), tmp_path / "firmware")
    with emulate(board, build(board, tmp_path / "firmware").elf) as emulator:
        with link_to(emulator) as link:
            old = link.run(make_events(20), learning=True).state_id
            began = time.monotonic()
            assert link.persist_state() == 1
            wait_s = (time.monotonic() - began) / 2
        found: Counter[str] = Counter(old=0, new=0)
        while min(found.values()) < CUTS:
            attempt = found.total()
            assert attempt < MOST_CUTS, found
            with link_to(emulator) as link:
                assert link.hello.state_id == old
                new = link.run(make_events(20, seed=attempt), learning=True, initialise=False).state_id
                assert new != old
                link._port.write(link._sender.encode(messages.PERSIST, run=link.hello.last_run, received=0))
                time.sleep(wait_s)
                emulator.reset()
            with link_to(emulator) as link:
                kept = link.hello.state_id
                assert kept in (old, new)
                assert messages.snapshot_digest(link.read_state()) == kept
            found["new" if kept == new else "old"] += 1
            wait_s *= 0.8 if kept == new else 1.25
            old = kept
