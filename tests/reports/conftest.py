"""Pages in a real browser, and comparisons to make them of.

`compared(before, after)` compares two artifacts that are stored for it; `show(compared)` opens the page of it in the browser and
answers Playwright's page. CASSTORE_TEST_SCREENSHOTS: a folder where each test leaves a picture of its page.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from casstore import Store
from casstore.reports import page_of
from tests.support.browser import browser

__all__ = ["browser"]

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def store(databases, new_blobs):
    with databases.fresh() as dsn, Store(blobs=new_blobs(), catalog=dsn) as store:
        yield store


@pytest.fixture
def compared(store):
    def make(before, after, **options):
        tenant = store.tenant(f"tenant-{next(NUMBERS)}")
        tenant.put("a/thing", before, **options)
        tenant.put("a/thing", after, title="newer", **options)
        return tenant.compare("a/thing@1", "a/thing@2")

    return make


@pytest.fixture
def show(browser, tmp_path, request):
    """The page, which must not complain about anything, or ask anybody for anything."""
    faults = []
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda asked: faults.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None)

    def opened(compared):
        target = tmp_path / "page.html"
        target.write_text(page_of(compared), "utf-8")
        page.goto(target.as_uri())
        return page

    yield opened
    if folder := os.environ.get("CASSTORE_TEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{request.node.name}.png", full_page=True)
    page.close()
    assert faults == []
