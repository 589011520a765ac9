"""The page in a real browser: Debian's chromium, driven by Playwright.

Slow, and skipped where there is no chromium (`apt-get install chromium`). Screenshots go to the
folder that SWEEP_SCREENSHOTS names.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from sweep.log.study_folder import EVENTS
from sweep.report.server import Server
from sweep.report.study import StudyData
from sweep.report.write import write_page
from sweep.storage.location import locate
from tests.report.studies import HOSTILE, study, write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
READY = "html[data-ready=true]"
TRIALS = 24

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
    pytest.mark.xdist_group("browser"),
]


@dataclass
class Opened:
    """A page, the requests that it made, and what its console said."""

    page: Page
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def marks(self, picture: str) -> int:
        """Return how many points of the first layer of trials a picture shows."""
        return self.page.locator(f"#picture-{picture} g.mark-symbol").first.locator("path").count()

    def rows(self) -> list[str]:
        """Return the trials that the table shows, in order."""
        cells = self.page.locator(".trials tbody tr[data-id] td:first-child button")
        return [text.split()[0] for text in cells.all_inner_texts()]

    def column(self, name: str) -> list[str]:
        """Return the cells of a column of the table."""
        heads = self.page.locator(".trials thead th button").all_inner_texts()
        place = next(i for i, head in enumerate(heads) if head.split()[0] == name)
        cells = self.page.locator(f".trials tbody tr[data-id] td:nth-child({place + 1})")
        return cells.all_inner_texts()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> StudyData:
    return study(tmp_path_factory.mktemp("studies"), trials=TRIALS)


@pytest.fixture(scope="module")
def file(made: StudyData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page([made], path)
    return path


def opened(browser: Browser, file: Path | str, *, hash_: str = "", **options: Any) -> Opened:
    page = browser.new_context(viewport={"width": 1400, "height": 1000}, **options).new_page()
    found = Opened(page)

    def requested(request: Request) -> None:
        if not request.url.startswith(("file:", "blob:")):
            found.requests.append(request.url)

    page.on("request", requested)
    page.on("console", lambda message: found.console.append(message.text))
    page.on("pageerror", lambda error: found.console.append(str(error)))
    page.goto(f"{file if isinstance(file, str) else file.as_uri()}{hash_}")
    page.wait_for_selector(READY, timeout=60_000)
    return found


def test_a_page_asks_for_nothing_and_draws_every_trial(browser: Browser, file: Path) -> None:
    for scheme in ("light", "dark"):
        found = opened(browser, file, color_scheme=scheme)
        assert found.requests == []
        assert found.console == []
        assert found.page.title() == "made · sweep"
        assert found.page.locator("figure").count() == 6
        assert found.marks("landscape") == TRIALS
        assert len(found.rows()) == TRIALS
        assert found.page.evaluate("document.documentElement.dataset.theme") == scheme
        if folder := os.environ.get("SWEEP_SCREENSHOTS"):
            found.page.screenshot(path=f"{folder}/{scheme}.png", full_page=True)


def test_hostile_names_and_errors_are_text(browser: Browser, file: Path) -> None:
    found = opened(browser, file)
    found.page.locator(".trials tbody button").last.click()
    assert found.page.locator("img").count() == 0
    assert found.page.title() == "made · sweep"
    assert "<img src=x onerror" in found.page.locator("#details .error").first.inner_text()
    assert any("<img src=x onerror" in cell for cell in found.column("encoder"))
    assert found.console == []


def test_brushing_a_picture_filters_the_table_and_the_others(
    browser: Browser, file: Path, made: StudyData
) -> None:
    found = opened(browser, file)
    page = found.page
    page.locator("#picture-alpha").scroll_into_view_if_needed()
    box = page.locator("#picture-alpha g.mark-symbol").first.bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2
    page.mouse.move(box["x"] - 6, box["y"] - 6)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + box["height"] + 6, steps=5)
    page.mouse.up()
    page.wait_for_selector("#filters button")
    chosen = found.rows()
    alphas = {row["trial_id"]: row["alpha"] for row in made.rows}
    assert 0 < len(chosen) < sum(alpha is not None for alpha in alphas.values())
    assert all(alphas[trial] is not None for trial in chosen)
    faded = page.locator("#picture-landscape g.mark-symbol").first.locator("path[opacity='0.12']")
    assert faded.count() == TRIALS - len(chosen)
    address = page.url
    assert "f.alpha=" in address
    again = opened(browser, file, hash_="#" + address.partition("#")[2])
    assert again.rows() == chosen, "the selection is in the URL"
    page.get_by_role("button", name="Clear all").click()
    assert len(found.rows()) == TRIALS


def test_a_filter_is_typed_and_removed_by_keyboard(browser: Browser, file: Path) -> None:
    found = opened(browser, file)
    field_ = found.page.get_by_label("filter d (dimensions of the projector's output)")
    field_.focus()
    found.page.keyboard.type("16..32")
    assert set(found.column("d")) == {"16", "32"}
    assert len(found.rows()) == TRIALS / 2
    found.page.locator("#filters button").first.press("Enter")
    assert len(found.rows()) == TRIALS


def test_the_table_sorts_and_groups(browser: Browser, file: Path, made: StudyData) -> None:
    found = opened(browser, file)
    winner = made.winner
    assert winner
    assert found.rows()[0] == winner["trial_id"], "the best comes first"
    sort = found.page.locator(".trials thead button", has_text="alpha").first
    sort.click()
    known = [float(text) for text in found.column("alpha") if text]
    assert known == sorted(known, reverse=True)
    sort = found.page.locator(".trials thead button", has_text="alpha").first
    sort.click()
    known = [float(text) for text in found.column("alpha") if text]
    assert known == sorted(known)
    found.page.get_by_label("group by").select_option("status")
    groups = found.page.locator("tr.group td").all_inner_texts()
    assert any(text.startswith("status = probed") and "mean" in text for text in groups)


def test_why_shows_the_verdicts_of_a_trial(browser: Browser, file: Path, made: StudyData) -> None:
    found = opened(browser, file)
    stopped = made.rows[1]["trial_id"]
    button = found.page.locator(f"tr[data-id='made/{stopped}'] button")
    button.click()
    events = found.page.locator("tr.why tbody tr td:nth-child(3)").all_inner_texts()
    assert events == [row["event"] for row in made.story[stopped]]
    assert "because </script>" in found.page.locator("tr.why").inner_text()
    assert f"why=made%2F{stopped}" in found.page.url


def test_what_differs_from_the_winner_is_marked(browser: Browser, file: Path) -> None:
    found = opened(browser, file)
    found.page.locator("#differ").check()
    assert found.page.locator("td.differs").count() > 0
    assert found.page.locator("tr.best td.differs").count() == 0


def test_the_table_is_saved_as_csv(browser: Browser, file: Path) -> None:
    found = opened(browser, file)
    with found.page.expect_download() as download:
        found.page.locator("#csv").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("trial_id,status,d,lambd,encoder,accuracy")
    assert len(lines) == TRIALS + 1


def test_axes_and_colours_are_chosen(browser: Browser, file: Path) -> None:
    found = opened(browser, file)
    figure = found.page.locator("#picture-landscape")
    figure.get_by_label("colour of Landscape").select_option("alpha")
    figure.get_by_label("x of Landscape").select_option("encoder")
    figure.locator("svg", has_text="small_conv").wait_for()
    curves = found.page.locator("#picture-curves")
    curves.get_by_label("measure of Learning curves").select_option(HOSTILE)
    curves.locator("svg", has_text="</script>").wait_for()
    assert "m.landscape.colour=alpha" in found.page.url
    assert found.console == []


def test_a_large_study_is_drawn_on_canvases(browser: Browser, tmp_path: Path) -> None:
    write_page([study(tmp_path, trials=2400)], tmp_path / "large.html")
    found = opened(browser, tmp_path / "large.html")
    assert found.page.locator("#picture-landscape canvas").count() == 1
    assert found.page.locator("#picture-landscape svg").count() == 0
    assert len(found.rows()) == 100
    assert found.console == []


def probed(found: Opened) -> int:
    """Return how many trials of the table have an accuracy."""
    return sum(any(letter.isdigit() for letter in cell) for cell in found.column("accuracy"))


def test_a_live_page_shows_what_is_added_and_keeps_the_selection(
    browser: Browser, tmp_path: Path
) -> None:
    folder = write(tmp_path, trials=TRIALS, ended=False)
    log = folder / EVENTS
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[: len(lines) // 2]))
    server = Server(studies=lambda: {"made": locate(folder)})
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        found = opened(browser, server.page_of("made"), hash_="#f.d=16..64")
        page = found.page
        page.wait_for_selector("html[data-version]", timeout=60_000)
        before = probed(found)
        version = page.evaluate("document.documentElement.dataset.version")
        with log.open("ab") as file:
            file.write(b"".join(lines[len(lines) // 2 :]))
        page.wait_for_selector(f"html:not([data-version='{version}'])", timeout=60_000)
        assert probed(found) > before
        assert page.url.endswith("#f.d=16..64")
        assert page.locator("#live").inner_text() == "no driver"
        assert {url.split("/")[2] for url in found.requests} == {f"127.0.0.1:{server.port}"}
        assert found.console == []
        server.close()
        thread.join()
        page.locator("#live", has_text="The server does not answer.").wait_for(timeout=60_000)
        page.close()
    finally:
        server.close()
        thread.join()
