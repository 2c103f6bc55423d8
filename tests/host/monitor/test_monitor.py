"""The live view: who may see it, and in a real browser whether it shows what the device says."""

from __future__ import annotations

import base64
import json
import queue
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as websocket

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.file import load_model
from feast_codegen.codegen.model.model import Model, Sensor
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.colours import WEIGHTS, coloured, weight_scale_end
from feast_codegen.host.link.link import open_link
from feast_codegen.host.monitor.server import Monitor
from feast_codegen.host.monitor.session import DRAWN_EVENTS, Session
from feast_codegen.host.network.receptive_field import receptive_field
from feast_codegen.host.recordings.events import EventStream
from feast_codegen.host.streaming.learned_state import to_words
from feast_codegen.host.streaming.streamer import Feed, Recorded, Streamer
from tests.support import link_device
from tests.support.networks import make_events, make_model, make_stack, with_readout

SENSOR = Sensor(34, 34)
COUNT = 6000
LIMIT_S = 300.0
"""Only what never comes lasts as long."""


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model(features=8, radius=2)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    return link_device.build_real_process(tmp_path_factory.mktemp("device"), model)


class Silent(Recorded):
    """A recording after which nothing more comes, and that never ends."""

    def batches(self) -> Iterator[Any]:
        yield from super().batches()
        while True:
            yield self.stream.events[:0]


@dataclass(frozen=True, eq=False)
class Gated(Silent):
    """Such a recording, from the moment its gate is opened."""

    gate: threading.Event = field(default_factory=threading.Event)

    def batches(self) -> Iterator[Any]:
        while not self.gate.is_set():
            yield self.stream.events[:0]
        yield from super().batches()


@dataclass(frozen=True, eq=False)
class Stepped(Recorded):
    """A recording of which each `step` gives 1,000 events, from `first` on."""

    steps: queue.Queue[int] = field(default_factory=queue.Queue)

    def step(self, first: int) -> None:
        self.steps.put(first)

    def batches(self) -> Iterator[Any]:
        while True:
            with suppress(queue.Empty):
                first = self.steps.get_nowait()
                yield self.stream.events[first : first + 1000]
                continue
            yield self.stream.events[:0]


@dataclass(frozen=True, eq=False)
class Failing(Gated):
    """A recording that fails once its gate is opened."""

    def batches(self) -> Iterator[Any]:
        while not self.gate.is_set():
            yield self.stream.events[:0]
        raise FeastError("the camera is gone")


@contextmanager
def monitor(
    program: Path, model: Model, folder: Path, feed: Feed, learning: bool = True
) -> Iterator[tuple[Monitor, Session]]:
    with link_device.listening(program) as url:
        streamer = Streamer(lambda: open_link(url), learning=learning)
        session = Session(streamer, lambda: iter([feed]), model, folder)
        with Monitor(0).running(session) as server:
            session.start()
            try:
                yield server, session
            finally:
                session.close()
                streamer.close()


@pytest.fixture
def served(program: Path, model: Model, tmp_path: Path) -> Iterator[tuple[Monitor, Session]]:
    feed = Silent(EventStream(make_events(COUNT), SENSOR, "all", None))
    with monitor(program, model, tmp_path, feed) as both:
        yield both


def status(url: str, **headers: str) -> int:
    request = urllib.request.Request(url, headers={name.capitalize(): text for name, text in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def until(condition: Callable[[], Any]) -> Any:
    limit = time.monotonic() + LIMIT_S
    while not (found := condition()):
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.05)
    return found


class TestWhoMaySee:
    def test_only_with_the_token_from_this_machine_and_page(self, served: tuple[Monitor, Session]) -> None:
        server, _ = served
        base = f"http://127.0.0.1:{server.port}/"
        assert status(server.url) == 200
        assert status(base) == status(base + "?token=guess") == 403
        assert status(server.url, host="evil.example") == 403
        assert status(server.url, origin="http://evil.example") == 403
        assert status(server.url, origin=f"http://127.0.0.1:{server.port}") == 200
        assert server._socket.getsockname()[0] == "127.0.0.1"

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", None])
    def test_foreign_pages_get_no_data(self, served: tuple[Monitor, Session], origin: str | None) -> None:
        live = served[0].url.replace("http", "ws").replace("/?", "/live?")
        with pytest.raises(InvalidStatus), websocket(live, origin=origin):  # type: ignore[arg-type]
            pass

    def test_the_page_loads_nothing_from_outside(self, served: tuple[Monitor, Session]) -> None:
        with urllib.request.urlopen(served[0].url, timeout=LIMIT_S) as answer:
            policy = answer.headers["Content-Security-Policy"]
            page = answer.read().decode()
        assert policy.startswith("default-src 'none'")
        assert "://" not in page.replace("ws://${location.host}", "")


def views(live: str, orders: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """All that the page is sent; it is connected when the first comes."""
    origin: Any = live.replace("ws://", "http://").split("/live")[0]
    with websocket(live, origin=origin) as socket:
        for order in orders:
            socket.send(order)
        limit = time.monotonic() + LIMIT_S
        while time.monotonic() < limit:
            yield json.loads(socket.recv(timeout=LIMIT_S))
    raise AssertionError("it never came")


def read(live: str, wanted: Callable[[dict[str, Any]], Any], orders: tuple[str, ...] = ()) -> dict[str, Any]:
    """What the page is sent, once `wanted`."""
    return next(view for view in views(live, orders) if wanted(view))


class TestWhatIsSent:
    def test_equals_the_twin(self, served: tuple[Monitor, Session], model: Model, tmp_path: Path) -> None:
        live = served[0].url.replace("http", "ws").replace("/?", "/live?")
        twin = learned_twin(model)
        done = read(live, lambda v: v["events"] == COUNT and sum(v["wins"]) == twin.wins.sum())
        assert done["wins"] == twin.wins.tolist()
        assert np.allclose(done["thresholds"], twin.thresholds / 2**30, atol=1e-6)
        assert done["device"]["law"] == model.params.law_miss_rate
        saved = read(live, lambda v: v["note"].startswith("saved learned"), ("save",))
        learned = load_model(tmp_path / saved["note"].removeprefix("saved "))
        assert (to_words(learned)[:-2] == twin.learned()[:-2]).all()

    def test_scores_and_the_surface_before_them(self, scoring: tuple[Monitor, Twin]) -> None:
        server, twin = scoring
        surface = base64.b64encode(twin.surface().astype("<i2").tobytes()).decode()
        live = server.url.replace("http", "ws").replace("/?", "/live?")
        read(live, lambda v: v["events"] == COUNT and v.get("surface") == surface)
        done = read(live, lambda v: v.get("scores") == [str(score) for score in twin.scores.tolist()])
        assert done["label"] == twin.label
        assert done["device"]["labels"] == list("0123456789")

    def test_a_second_layer(self, tmp_path: Path) -> None:
        """Two surfaces below, though it has one bank, and its features in pixels; none without the model."""
        model = make_stack(make_model(features=3, radius=1, polarity="separate"), features=4, radius=1)
        program = link_device.build_real_process(tmp_path, model)
        twin = learned_twin(model)
        surfaces = twin.snapshot()[-2 * SENSOR.width * SENSOR.height :]
        feed = Silent(EventStream(make_events(COUNT), SENSOR, "all", None))
        with monitor(program, model, tmp_path, feed) as (server, session):
            live = server.url.replace("http", "ws").replace("/?", "/live?")
            surface = base64.b64encode(surfaces.tobytes()).decode()
            done = read(live, lambda v: v["events"] == COUNT and v.get("surface") == surface)
            assert done["device"]["surfaces"] == 2
            assert (done["device"]["features"], done["device"]["side"]) == (4, 5)
            weights = twin.learned()[: 4 * 9 * 6].astype("<u2").view("<i2").reshape(4, -1)
            fields = [receptive_field(model, each / 2**15) for each in weights]
            pictures = np.stack([np.rint(each * 32767 / np.abs(each).max()) for each in fields])
            encoded = base64.b64encode(pictures.astype("<i2").tobytes()).decode()
            read(live, lambda v: v.get("weights") == encoded)
            unknown = Session(session._streamer, lambda: iter(()), None, tmp_path)
            assert (unknown._surfaces, unknown._weight_words) == (0, 0)

    def test_draws_little_and_processes_all(self, program: Path, model: Model, tmp_path: Path) -> None:
        """At 100 k events a second."""
        events = make_events(300_000, mean_gap_us=10.0)
        feed = Gated(EventStream(events, SENSOR, "fast", None), speed=1.0)
        with monitor(program, model, tmp_path, feed, learning=False) as (server, _):
            most = 0
            for view in views(server.url.replace("http", "ws").replace("/?", "/live?")):
                feed.gate.set()
                most = max(most, len(view.get("drawn", ())))
                if view["events"] == len(events):
                    break
            assert 0 < most <= DRAWN_EVENTS

    def test_records(self, program: Path, model: Model, tmp_path: Path) -> None:
        feed = Gated(EventStream(make_events(30_000, mean_gap_us=100.0), SENSOR, "x", None), speed=1.0)
        with monitor(program, model, tmp_path, feed) as (server, session):
            live = server.url.replace("http", "ws").replace("/?", "/live?")
            begun = read(live, lambda v: v.get("recording_to"), ("record",))
            feed.gate.set()
            until(lambda: session.view()["events"] > begun["events"] + 1000)
            read(live, lambda v: v["note"].startswith("saved rec"), ("stop",))
        with np.load(tmp_path / "recording-1.npz", allow_pickle=False) as file:
            assert len(file["events"]) == len(file["results"]) == file["ends"][-1] > 1000


@pytest.fixture
def scoring(tmp_path: Path) -> Iterator[tuple[Monitor, Twin]]:
    """A monitor of a device with class scores, and what the scores will be."""
    model = with_readout(make_model(features=4, radius=1), grid=5, classes=10)
    twin = Twin(quantise(model)[0], Options(learning=True))
    twin.set_learning(False)
    twin.step(make_events(COUNT))
    program = link_device.build_real_process(tmp_path, model)
    feed = Silent(EventStream(make_events(COUNT), SENSOR, "all", None))
    with monitor(program, model, tmp_path, feed, learning=False) as (server, _):
        yield server, twin


def learned_twin(model: Model) -> Twin:
    twin = Twin(quantise(model)[0], Options(learning=True))
    twin.step(make_events(COUNT))
    return twin


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium and chromedriver are not on PATH")
    options = selenium.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield chrome
    chrome.quit()


def visit(browser: Any, url: str) -> None:
    """Open a page, with what the page before it has complained about forgotten: its monitor has ended."""
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(url)


class TestInChromium:
    def test_values_on_the_page_equal_the_devices(
        self, browser: Any, served: tuple[Monitor, Session], model: Model
    ) -> None:
        twin = learned_twin(model)
        visit(browser, served[0].url)

        def text(name: str) -> str:
            return str(browser.find_element("id", name).text)

        until(lambda: text("events") == f"{COUNT:,}" and text("wins-0") == f"{twin.wins[0]:,}")
        for n in range(8):
            assert text(f"wins-{n}") == f"{twin.wins[n]:,}"
            assert abs(float(text(f"threshold-{n}")) - twin.thresholds[n] / 2**30) < 6e-5
        misses = COUNT - int(twin.wins.sum())
        assert text("counter-misses") == f"{misses:,}"
        assert text("miss") == f"{100 * misses / COUNT:.2f} %"
        assert text("law") == f"{100 * model.params.law_miss_rate:.2f} %"
        weights = np.asarray(twin.weights, np.float64).reshape(8, 25)
        assert weights.min() >= 0
        brightness = coloured(weights[0] / weight_scale_end(weights), WEIGHTS)[:, 1].astype(int)

        def first_feature() -> bool:
            pixels = browser.execute_script(
                "const c = document.querySelector('#cards canvas').getContext('2d');"
                "return Array.from(c.getImageData(0, 0, 5, 5).data).filter((_, i) => i % 4 === 1);"
            )
            return bool(np.abs(np.array(pixels) - brightness).max() <= 1)

        until(first_feature)
        lit = browser.execute_script(
            "const s = document.getElementById('scene');"
            "const all = s.getContext('2d').getImageData(0, 0, s.width, s.height).data;"
            "return all.some((value, i) => i % 4 === 3 && value > 90);"
        )
        assert lit, "the time surface is drawn"
        assert not [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]

    def test_class_scores_on_the_page_equal_the_devices(
        self, browser: Any, scoring: tuple[Monitor, Twin]
    ) -> None:
        server, twin = scoring
        visit(browser, server.url)

        def shown() -> list[str]:
            return [browser.find_element("id", f"score-{n}").text for n in range(10)]

        wanted = [f"{score:,}" for score in twin.scores.tolist()]
        until(lambda: browser.find_elements("id", "score-9") and shown() == wanted)
        assert browser.find_element("css selector", "#scores .first th").text == str(twin.label)
        assert not [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]

    def test_no_panel_for_a_device_without_scores(
        self, browser: Any, served: tuple[Monitor, Session]
    ) -> None:
        visit(browser, served[0].url)
        until(lambda: browser.find_element("id", "events").text not in ("–", "0"))
        assert not browser.find_element("id", "classes").is_displayed()

    def test_buttons(self, browser: Any, program: Path, model: Model, tmp_path: Path) -> None:
        feed = Stepped(EventStream(make_events(2000), SENSOR, "x", None))
        with monitor(program, model, tmp_path, feed, learning=False) as (server, session):
            visit(browser, server.url)
            feed.step(0)
            until(lambda: browser.find_element("id", "events").text == "1,000")
            browser.find_element("id", "pause").click()
            until(lambda: browser.find_element("id", "pause").text == "Resume")
            feed.step(1000)
            version = session.version
            until(lambda: session.version > version + 3)  # the device was asked thrice since
            assert session.view()["events"] == 1000
            browser.find_element("id", "pause").click()
            until(lambda: browser.find_element("id", "events").text == "2,000")
            browser.find_element("id", "learn").click()
            until(lambda: browser.find_element("id", "learn").text == "Learning")
            browser.find_element("id", "save").click()
            until(lambda: (tmp_path / "learned-1.npz").exists())
            assert not [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]

    def test_two_tabs(self, browser: Any, served: tuple[Monitor, Session]) -> None:
        """What one does, the other shows."""
        visit(browser, served[0].url)
        first = browser.current_window_handle
        browser.switch_to.new_window("tab")
        try:
            visit(browser, served[0].url)
            until(lambda: connection(browser) == "open")
            browser.find_element("id", "pause").click()
            browser.switch_to.window(first)
            until(lambda: browser.find_element("id", "pause").text == "Resume")
        finally:
            for handle in browser.window_handles:
                browser.switch_to.window(handle)
                if handle != first:
                    browser.close()
            browser.switch_to.window(first)

    def test_a_lost_connection_is_opened_again(self, browser: Any, served: tuple[Monitor, Session]) -> None:
        server, _ = served
        visit(browser, server.url)
        until(lambda: connection(browser) == "open")
        # What the page was sent before does not come again: only a connection that is open shows it.
        browser.execute_script(
            "window.states = [];"
            "new MutationObserver(() => states.push(document.body.dataset.connection))"
            ".observe(document.body, { attributeFilter: ['data-connection'] });"
        )
        server._loop.call_soon_threadsafe(server._register.abort_all)
        until(lambda: {"lost", "open"} <= set(browser.execute_script("return states;")))
        until(lambda: connection(browser) == "open")
        assert browser.find_element("id", "pause").is_enabled()

    def test_the_page_says_that_the_monitor_has_ended_and_why(
        self, browser: Any, program: Path, model: Model, tmp_path: Path
    ) -> None:
        feed = Failing(EventStream(make_events(1000), SENSOR, "x", None))
        with monitor(program, model, tmp_path, feed) as (server, session):
            visit(browser, server.url)
            until(lambda: connection(browser) == "open")
            feed.gate.set()
            session.join(LIMIT_S)
        until(lambda: connection(browser) == "ended")
        note = browser.find_element("id", "note").text
        assert "the camera is gone" in note
        assert "run codegen monitor again" in note
        assert not browser.find_element("id", "pause").is_enabled()


def connection(browser: Any) -> str | None:
    """What the page says of its connection."""
    found: str | None = browser.execute_script("return document.body.dataset.connection ?? null;")
    return found
