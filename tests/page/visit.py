"""Visits of a page with the browser that is installed: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tvqsr.plan import Plan

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """A headless browser; skips the test where none is installed."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"needs a browser that is installed: {', '.join(NAMES)}")
    with sync_playwright() as driver:
        # The sandbox wants user namespaces, which root in a container does not have.
        opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield opened
        opened.close()


class Visit:
    """A page that was opened, and what it complained of or asked for."""

    def __init__(self, browser: Browser, plan: Plan, **options: Any) -> None:
        # Reduced motion: what is scrolled to is there at once, where the mouse looks for it.
        usual = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
        self.context = browser.new_context(**(usual | options))
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.address = plan.paths.report.as_uri()
        self.page.goto(self.address)
        if options.get("java_script_enabled", True):
            self.page.wait_for_selector("html[data-ready]", timeout=30_000)


def drawn(page: Page, *plots: str) -> None:
    """Scroll to plots, which draws them."""
    for plot in plots:
        page.locator(f"#plot-{plot}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#plot-{plot}[data-drawn]", timeout=30_000)


def transforms(page: Page) -> list[str]:
    """How each crop is moved and enlarged."""
    return page.locator("#grid img").evaluate_all("all => all.map(i => getComputedStyle(i).transform)")


PLOTS = ("plane", "codebook", "cost", "codes", "distribution", "curves")
