"""The pages in a real browser: the home page, and Flower as the stack starts it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from base.database import Database
from base.settings import Settings
from models.adding import NewVersion
from models.registry import Registry
from rowmill.stack import Stack
from tests.builders import trained_wine
from tests.e2e.serving import score, submit
from tests.waiting import wait_until

pytestmark = pytest.mark.system

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium")
    assert found, "chromium is not installed (Debian: apt-get install chromium)"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("pages")
    with Stack(Settings(data_dir=folder, port=0, flower_port=0)) as running:
        database = Database(running.settings.database_url)
        file, sample = trained_wine(folder)
        Registry(database, folder / "models").add(NewVersion(name="wine", file=file, sample=sample))
        database.dispose()
        yield running


def test_the_home_page_shows_models_jobs_and_a_command(stack: Stack, page: Page) -> None:
    rows = (stack.settings.data_dir / "wine.csv").read_bytes()
    job = score(stack.url, rows, model="wine", name="first of all")
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    answer = page.goto(stack.url)
    assert answer is not None
    assert answer.ok
    shown = page.inner_text("body")
    assert "wine" in shown
    assert "first of all" in shown or job["id"] in shown
    assert f"{stack.url}/jobs?model=wine" in shown
    assert problems == []


def test_flower_shows_the_worker_and_each_chunk(stack: Stack, page: Page) -> None:
    rows = (stack.settings.data_dir / "wine.csv").read_bytes()
    job = submit(stack.url, rows, model="wine", chunk_rows=100).json()

    def tasks() -> str | None:
        page.goto(f"{stack.flower_url}/tasks")
        page.wait_for_selector("#tasks-table tbody tr")
        text = page.inner_text("#tasks-table")
        return text if f"{job['id']}-chunk-1" in text and "SUCCESS" in text else None

    shown = wait_until(tasks, "Flower shows the chunks", 60)
    assert shown
    assert "rowmill.score" in shown

    def workers() -> bool:
        page.goto(f"{stack.flower_url}/workers")
        page.wait_for_selector("#workers-table tbody tr")  # until it knows one, a row that says so
        return "Online" in page.inner_text("#workers-table")

    wait_until(workers, "Flower shows the worker", 60)
