"""Who gets at the page in a browser: loading, dark scheme, names and contrast, phones, keyboards, no scripts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.page.visit import PLOTS, Visit, drawn, transforms
from tvqsr.plan import Plan


def test_it_loads_without_a_complaint_or_a_request(visit: Visit, page: Page) -> None:
    drawn(page, *PLOTS)
    assert visit.complaints == []
    outside = [url for url in visit.requests if not url.startswith((visit.address, "data:", "blob:"))]
    assert outside == []


def test_it_follows_the_dark_scheme_live(browser: Browser, shown: Plan) -> None:
    visit = Visit(browser, shown, color_scheme="light")
    drawn(visit.page, "plane")

    def looks() -> tuple[str, str]:
        tick = visit.page.locator("#plane-canvas .xtick text").first
        return visit.page.evaluate("getComputedStyle(document.body).backgroundColor"), tick.evaluate(
            "t => t.style.fill"
        )

    light = looks()
    visit.page.emulate_media(color_scheme="dark")
    dark = looks()
    assert light[0] != dark[0] and light[1] != dark[1]
    assert visit.complaints == []
    visit.context.close()


RULES = {"light": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"], "dark": ["color-contrast"]}
"""What axe-core is asked: of the dark scheme only what can differ from the light one."""


@pytest.mark.parametrize("scheme", RULES)
def test_nothing_is_hard_to_reach(browser: Browser, shown: Plan, scheme: str) -> None:
    """Names, roles, contrast (WCAG 2.2 AA) by axe-core, with every fold open."""
    import axe_playwright_python

    visit = Visit(browser, shown, color_scheme=scheme, bypass_csp=True)
    drawn(visit.page, *PLOTS)
    visit.page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    visit.page.add_script_tag(path=Path(axe_playwright_python.__file__).parent / "axe.min.js")
    found = visit.page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES[scheme])["violations"]
    told = [(rule["id"], rule["help"], [node["target"] for node in rule["nodes"]][:3]) for rule in found]
    assert told == []
    visit.context.close()


def test_a_phone_scrolls_one_way_only(browser: Browser, shown: Plan) -> None:
    visit = Visit(browser, shown, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    drawn(visit.page, *PLOTS)
    for section in ("answer", "scores", "look", "plots", "claims", "provenance"):
        visit.page.locator(f"#{section}").scroll_into_view_if_needed()
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390, section
    visit.page.locator("#zoom-in").tap()
    (zoomed,) = set(transforms(visit.page))
    assert zoomed.startswith("matrix(1.5,")
    assert small_targets(visit.page.locator("button:visible, select:visible")) == []
    visit.context.close()


def small_targets(controls: Locator) -> list[str]:
    """Controls lower than the 24 pixels that WCAG 2.2 asks for; n/a stands in a line of text, which it exempts."""
    found: list[str] = controls.evaluate_all(
        "all => all.filter(c => !c.matches('.na') && c.getBoundingClientRect().height < 24).map(c => c.outerHTML)"
    )
    return found


def test_the_keyboard_gets_everywhere(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    drawn(page, "plane")
    page.evaluate("scrollTo(0, 0)")
    page.mouse.click(2, 2)
    reached = set()
    for _ in range(140):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    wanted = {
        "testset",
        "choose",
        "table",
        "table-find",
        "photo",
        "left",
        "right",
        "slide",
        "zoom-in",
        "grid",
        "plane-x",
    }
    assert wanted <= reached, wanted - reached


def test_without_scripts_tables_and_verdicts_are_there(browser: Browser, shown: Plan) -> None:
    visit = Visit(browser, shown, java_script_enabled=False)
    tables = len([name for name in shown.tables for _ in shown.table_sets(name)])
    assert visit.page.locator("table.scores:visible").count() == tables
    assert visit.page.locator("table.verdicts tbody tr:visible").count() == len(pd.read_csv(shown.paths.claims))
    assert visit.page.locator("#table-controls").is_hidden()
    visit.context.close()
