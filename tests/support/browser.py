"""Debian's Chromium, driven by Playwright, and what tests ask of the pages in it."""

from __future__ import annotations

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(
    scope="module"
)  # no longer: while it is there, Playwright's loop runs in this thread, and no other one can
def browser():
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None and not os.environ.get("CI"):
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def contrast_of(element) -> float:
    """How far the colour of a text is from what is behind it (WCAG 2.2, 1.4.3)."""
    colours = element.evaluate(
        """element => { const seen = [getComputedStyle(element).color];
        for (let e = element; e; e = e.parentElement) seen.push(getComputedStyle(e).backgroundColor);
        return seen; }"""
    )
    return contrast(colours[0], next(c for c in colours[1:] if c != "rgba(0, 0, 0, 0)"))


def contrast(one: str, other: str) -> float:
    def luminance(colour):
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
