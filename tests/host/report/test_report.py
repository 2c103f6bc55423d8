"""The report: complete in itself, deterministic, readable without pictures, written whole or not at all."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import BORDER, MISS
from feast_codegen.codegen.model.model import Hyperparameters, Model, Sensor
from feast_codegen.host import colours as page_colours
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.report import page as report_page
from feast_codegen.host.report import pictures
from feast_codegen.host.report.page import (
    Exhibit,
    Fact,
    Report,
    Section,
    render_report,
    win_rates,
    write_report,
)
from feast_codegen.host.report.summary import model_report
from tests.support.networks import with_readout

SOURCE = "sim:bars?count=3"


def make_report(polarity: str = "merged", features: int = 4) -> Report:
    source = open_source(SOURCE)
    params = Hyperparameters(features=features, radius=2, polarity=polarity)  # type: ignore[arg-type]
    made = model_report(train(source, params).model, source, 1)
    section = Section("A <stage>", "Text & more.", (Fact("figure", "1 < 2", "a note"),))
    return Report(**{**vars(made), "sections": (section,)})


@pytest.fixture(scope="module")
def page() -> str:
    return render_report(make_report())


class Page(HTMLParser):
    """Collects what the checks need; complains about tags that do not match."""

    VOID = frozenset({"meta", "img", "br", "input", "link", "hr", "path", "use", "image"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_page_loads_nothing_from_elsewhere(page: str) -> None:
    links = re.findall(r'(?:src|href|action|data)="([^"]*)"', page) + re.findall(r"url\(([^)]*)\)", page)
    assert links
    assert not [link for link in links if not link.startswith(("data:image/png;base64,", "#"))]
    assert "@import" not in page and "fetch(" not in page


def test_every_picture_has_a_text(page: str) -> None:
    parsed = Page(page)
    assert all(image["alt"] for image in parsed.all("img"))
    assert all(canvas["aria-label"] for canvas in parsed.all("canvas"))
    drawings = [figure for figure in parsed.all("figure") if figure.get("role") == "img"]
    assert len(drawings) == len(parsed.all("svg")) == 4
    assert all(drawing["aria-label"] for drawing in drawings)


def test_ids_are_unique(page: str) -> None:
    ids = [attributes["id"] for _, attributes in Page(page).elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_values_are_escaped(page: str) -> None:
    assert "A &lt;stage&gt;" in page and "1 &lt; 2" in page and "Text &amp; more." in page


def test_page_states_model_and_law(page: str) -> None:
    made = make_report()
    assert made.model.model_id in page
    assert f"{100 * made.model.params.law_miss_rate:.2f} %" in page


def test_report_is_deterministic(page: str) -> None:
    assert render_report(make_report()) == page


@pytest.mark.parametrize("polarity", ["separate", "signed"])
def test_every_polarity_has_its_features(polarity: str) -> None:
    made = make_report(polarity)
    cards = re.findall(r'alt="Feature \d+: threshold', render_report(made))
    assert len(cards) == made.model.params.total_features


def test_one_feature_and_no_events() -> None:
    made = make_report(features=1)
    nothing = Exhibit("nothing", made.exhibit.events[:0], made.exhibit.results[:0])
    text = render_report(Report(**{**vars(made), "exhibit": nothing, "signals": None}))
    assert "nothing: 0 events" in text and "How they were learned" not in text


def test_report_replaces_the_file_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(report_page, "render_report", lambda _: "new")
    write_report(make_report(), path)
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]
    path.unlink()
    path.mkdir()
    with pytest.raises(FeastError, match=r"report\.html: cannot write the report"):
        write_report(make_report(), path)
    assert list(tmp_path.iterdir()) == [path]


def test_recording_that_is_not_there() -> None:
    source = open_source(SOURCE)
    model = train(source, Hyperparameters(features=2, radius=1)).model
    with pytest.raises(FeastError, match="no recording 3; there are 0 to 2"):
        model_report(model, source, 3)


def test_training_again_is_compared_with_the_model() -> None:
    source = open_source(SOURCE)
    model = train(source, Hyperparameters(features=2, radius=1)).model
    assert (
        Fact("trained again", "the same", "on sim:bars?seed=0&count=3")
        in model_report(model, source, 0).headline
    )
    scoring = model_report(with_readout(model, classes=3), source, 0)
    assert Fact("trained again", "the same", "on sim:bars?seed=0&count=3") in scoring.headline
    (scores,) = scoring.sections
    assert [fact.name for fact in scores.facts] == ["class 0", "class 1", "class 2"]
    largest = max(scores.facts, key=lambda fact: float(fact.value))
    assert [fact.note for fact in scores.facts if fact.note] == ["the largest: its label"] and largest.note
    other = Model(model.params, model.sensor, model.weights, model.thresholds - 0.1, model.training)
    assert "another model" in {fact.value for fact in model_report(other, source, 0).headline}


def test_win_rates_count_features_only() -> None:
    results = np.array([0, 1, 1, MISS, BORDER, 1], np.int16)
    assert win_rates(results, 3).tolist() == [0.25, 0.75, 0.0]
    assert win_rates(results[3:4], 3).tolist() == [0.0, 0.0, 0.0]


def test_surface_picture_holds_the_last_event_of_each_pixel() -> None:
    events = open_source(SOURCE).load(0).events
    uri = pictures.surface_picture(events, int(events["t_us"][-1]), Sensor(34, 34), 20_000.0)
    pixels = imread(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    last = events[-1]
    assert pixels.shape == (34, 34, 4)
    assert pixels[last["y"], last["x"], 3] == 1.0
    fired = np.zeros((34, 34), bool)
    fired[events["y"], events["x"]] = True
    assert not pixels[~fired].any()


def test_palette_has_distinct_colours() -> None:
    for count in (1, 2, 16, 64):
        colours = page_colours.palette(count)
        assert len(set(colours)) == count
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
