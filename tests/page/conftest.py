"""Made-up results with their page, and visits of it in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page

from tests.page.made_up import with_page
from tests.page.visit import Visit, opened_browser
from tvqsr.csv_files import write_csv
from tvqsr.plan import Plan
from tvqsr.report.page import write_page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Made-up results with their tables, verdicts and page; one table has marks, as `tables.py` writes them."""
    folder = tmp_path_factory.mktemp("shown")
    with chdir(folder):
        plan = with_page(folder)
        path = plan.paths.table("main", "first", "csv")
        table = pd.read_csv(path).drop(columns="mark", errors="ignore")
        best = (table.entry == "bicubic") & (table.protocol == "psnr_y")
        write_csv(path, table.assign(mark=best.map({True: "best", False: ""})).to_csv(index=False))
        write_page(plan)
    return Plan(plan.name, plan.preset, plan.entries, type(plan.paths)(folder / plan.paths.root))


@pytest.fixture(scope="session")
def visit(browser: Browser, shown: Plan) -> Visit:
    return Visit(browser, shown)


@pytest.fixture
def page(visit: Visit) -> Page:
    """The page as it is when it has just been opened."""
    visit.page.reload()
    visit.page.wait_for_selector("html[data-ready]", timeout=30_000)
    return visit.page
