"""How fast the link is: at the speed of a serial line; how much of a core it takes at a million events/s."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.protocol import messages
from feast_codegen.host.link.link import open_link
from tests.support import link_device
from tests.support.fault_proxy import Faults, faulty, process_device
from tests.support.networks import make_events, make_model

BAUD = 921_600
BYTES_PER_S = BAUD / 10
BOARD_BUFFERS = {
    "NATIVE_RX_BYTES": "4096u",
    "LINK_FRAME_BYTES": "512u",
    "LINK_RESULT_WINDOW": "1024u",
    "LINK_RESULTS_PER_FRAME": "256u",
}
"""6 KB in all: a window of 40 ms of the line, more than an exchange takes."""


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model(features=8, radius=2)


@pytest.mark.prove
def test_through_a_pseudo_terminal_paced_to_921600_baud(tmp_path: Path, model: Model) -> None:
    """The line is busy for at least 90 % of the time, and most of its bytes are events."""
    program = link_device.build_real_process(tmp_path, model, **BOARD_BUFFERS)
    events = make_events(60_000)
    with (
        faulty(process_device(program), Faults(), BYTES_PER_S, pty=True) as proxy,
        open_link(proxy.url, baud=BAUD) as link,
    ):
        before = proxy.done["up"]
        began = time.monotonic()
        result = link.run(events)
        elapsed = time.monotonic() - began
        sent = proxy.done["up"] - before
    assert result.result_digest == messages.result_digest(result.results)
    assert sent < 4.6 * len(events), "bytes an event on the wire"
    assert sent / elapsed > 0.9 * BYTES_PER_S, f"{sent / elapsed:.0f} of {BYTES_PER_S:.0f} bytes/s"


@pytest.mark.prove
def test_host_takes_less_than_a_core_at_a_million_events_a_second(tmp_path: Path, model: Model) -> None:
    """CPU time of the host for 4 million events through a loopback; the device has large buffers."""
    program = link_device.build_real_process(tmp_path, model, **link_device.LARGE_BUFFERS)
    events = make_events(4_000_000)
    with link_device.listening(program) as url, open_link(url) as link:
        link.run(events[:100_000])
        before = resource.getrusage(resource.RUSAGE_SELF)
        link.run(events)
        after = resource.getrusage(resource.RUSAGE_SELF)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used_s / len(events) * 1e6 < 1.0, f"{used_s / len(events) * 1e6:.2f} s of CPU a million events"
