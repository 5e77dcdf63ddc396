"""The page in a real browser: its tables, pictures, plots and verdicts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from tests.page.made_up import ABSENT, HOSTILE
from tests.page.visit import PLOTS, drawn, transforms
from tvqsr.plan import Plan


def test_every_section_shows_something(page: Page) -> None:
    for section in ("answer", "scores", "look", "plots", "claims", "methods", "data", "provenance"):
        assert page.locator(f"nav a[href='#{section}']").count() == 1
        assert len(page.locator(f"#{section}").inner_text()) > 100, section
    drawn(page, *PLOTS)
    for plot in PLOTS:
        marks = page.locator(f"#plot-{plot} .js-plotly-plot path.point, #plot-{plot} .js-plotly-plot path.js-line")
        assert marks.count() > 0, plot
        page.locator(f"#plot-{plot} details summary").click()
        assert page.locator(f"#{plot}-numbers tbody tr").count() > 0, plot


def test_plots_keep_within_their_places(page: Page) -> None:
    """Several panels side by side share the width, whenever each was drawn."""
    drawn(page, *PLOTS)
    places = page.locator(".js-plotly-plot")
    widths = places.evaluate_all("all => all.map(p => [p.clientWidth, p.querySelector('svg.main-svg').clientWidth])")
    assert len(widths) > len(PLOTS)
    assert all(abs(place - plot) <= 1 for place, plot in widths), widths


def column(page: Page, testset: str, protocol: str) -> list[str]:
    """First lines of the cells of a column of the main table that is shown."""
    panel = page.locator(f".panel[data-table=main][data-testset={testset}]")
    heads = [head.get_attribute("data-protocol") for head in panel.locator("thead th").all()]
    place = heads.index(protocol)
    return [cell.inner_text().splitlines()[0] for cell in panel.locator(f"tbody tr > :nth-child({place + 1})").all()]


def means(plan: Plan, testset: str, protocol: str) -> list[str]:
    table = pd.read_csv(plan.paths.table("main", testset, "csv"))
    rows = table[table.protocol == protocol]
    return [f"{value:.{rows.decimals.iloc[0]}f}" for value in rows["mean"]]


@pytest.mark.parametrize(("protocol", "higher"), [("psnr_y", True), ("lpips_alex", False)])
def test_a_click_sorts_the_best_first_and_another_turns_it(
    page: Page, shown: Plan, protocol: str, higher: bool
) -> None:
    given = means(shown, "first", protocol)
    assert column(page, "first", protocol) == given
    head = page.locator(f".panel:visible th[data-protocol={protocol}]")
    head.click()
    assert column(page, "first", protocol) == sorted(given, key=float, reverse=higher)
    head.click()
    assert column(page, "first", protocol) == sorted(given, key=float, reverse=not higher)


def test_enter_sorts_and_tab_gets_there(page: Page, shown: Plan) -> None:
    page.locator("#table-small").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('th')?.dataset.protocol") == "psnr_y":
            break
    page.keyboard.press("Enter")
    assert column(page, "first", "psnr_y") == sorted(means(shown, "first", "psnr_y"), key=float, reverse=True)


def test_filters_by_test_set_protocol_text_and_what_is_read(page: Page, shown: Plan) -> None:
    page.select_option("#testset", "second")
    assert page.locator(".panel:visible").get_attribute("data-testset") == "second"
    assert column(page, "second", "psnr_y") == means(shown, "second", "psnr_y")
    page.locator(".menu summary").click()
    page.locator("#table-columns input[value=psnr_y]").uncheck()
    assert page.locator(".panel:visible th[data-protocol=psnr_y]").count() == 0
    assert page.locator(".panel:visible th[data-protocol=lpips_alex]").count() == 1
    page.locator("#table-columns input[value=psnr_y]").check()
    page.fill("#table-find", "</script>")
    assert page.locator(".panel:visible tbody th").all_inner_texts() == [HOSTILE]
    page.fill("#table-find", "")
    page.uncheck("#table-hr")
    assert page.locator(".panel:visible tbody tr").count() == sum(e.reads == "lr" for e in shown.entries.values())
    page.select_option("#table", "codebook")
    assert page.locator(".panel:visible").get_attribute("data-table") == "codebook"


def test_marks_and_reasons(page: Page) -> None:
    assert page.locator(".panel:visible td.best").inner_text().startswith(means_first(page))
    weight = page.locator(".panel:visible td.best").evaluate(
        "cell => getComputedStyle(cell.querySelector('.mean')).fontWeight"
    )
    assert int(weight) >= 700
    reason = page.locator(".panel:visible button.na").first
    reason.focus()
    page.keyboard.press("Enter")
    assert page.locator("#tip").inner_text() == ABSENT
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def means_first(page: Page) -> str:
    return column(page, "first", "psnr_y")[0]


def test_the_slider_uncovers_the_right_image(page: Page) -> None:
    def covered() -> float:
        return float(
            page.locator("#stage-left").evaluate("i => parseFloat(getComputedStyle(i).clipPath.split(' ')[1])")
        )

    assert page.locator("#left").input_value() == "bicubic"
    assert page.locator("#right").input_value() == "tvqrap"
    slide = page.locator("#slide")
    slide.focus()
    before = slide.input_value()
    page.keyboard.press("ArrowRight")
    assert int(slide.input_value()) == int(before) + 1
    for value, expected in (("25", 75.0), ("100", 0.0)):
        slide.fill(value)
        share = page.locator("#stage").evaluate("s => s.style.getPropertyValue('--share')")
        assert share == f"{value}%"
        shown = page.locator("#stage-left").evaluate("i => getComputedStyle(i).clipPath")
        assert str(expected).rstrip("0").rstrip(".") in shown
    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator("#stage").bounding_box()
    assert box
    page.mouse.click(box["x"] + 0.1 * box["width"], box["y"] + 20)
    assert slide.input_value() == "10"
    sources = [page.locator(f"#stage-{side}").get_attribute("src") for side in ("left", "right")]
    page.click("#swap")
    assert [page.locator(f"#stage-{side}").get_attribute("src") for side in ("left", "right")] == sources[::-1]


def test_all_crops_zoom_and_move_together(page: Page, shown: Plan) -> None:
    tiles = page.locator("#grid figure")
    assert tiles.count() == 2 + len([name for name in shown.entries if name != "hr_copy"])
    assert set(transforms(page)) == {"matrix(1, 0, 0, 1, 0, 0)"}
    page.click("#zoom-in")
    page.click("#zoom-in")
    (zoomed,) = set(transforms(page))
    assert float(zoomed.removeprefix("matrix(").split(",")[0]) == pytest.approx(2.25)
    page.locator("#grid").focus()
    page.keyboard.press("ArrowRight")
    (moved,) = set(transforms(page))
    assert float(moved.split(",")[4]) < float(zoomed.split(",")[4])
    page.keyboard.press("0")
    assert set(transforms(page)) == {"matrix(1, 0, 0, 1, 0, 0)"}
    tiles.nth(3).scroll_into_view_if_needed()
    box = tiles.nth(3).locator(".view").bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.wheel(0, -300)
    expect(page.locator("#zoom-says")).not_to_have_text("1×")
    (wheeled,) = set(transforms(page))
    assert float(wheeled.removeprefix("matrix(").split(",")[0]) > 2
    page.mouse.down()
    page.mouse.move(box["x"] - 35, box["y"] + 5)
    page.mouse.up()
    (dragged,) = set(transforms(page))
    assert float(dragged.split(",")[4]) == pytest.approx(float(wheeled.split(",")[4]) - 40, abs=1)


def test_photos_turn_and_scores_stand_below(page: Page, shown: Plan) -> None:
    first = page.locator("#photo").input_value()
    page.click("#photo-after")
    assert page.locator("#photo").input_value() != first
    page.click("#photo-before")
    assert page.locator("#photo").input_value() == first
    tile = page.locator("#grid figure").nth(1)
    scores = pd.concat(pd.read_parquet(shown.paths.scores("bicubic", seed, "first")) for seed in (0,))
    value = scores[(scores.image == first) & (scores.protocol == "psnr_y")].value.mean()
    assert f"PSNR-Y {value:.2f}" in tile.inner_text()
    link = tile.locator("a").evaluate("a => a.href")
    assert Path(link.removeprefix("file://").replace("%20", " ")).name.startswith(first)


def test_links_lead_to_the_image_files(page: Page, shown: Plan) -> None:
    """Names with spaces, accents and signs, too."""
    from urllib.parse import unquote, urlparse

    for photo in page.locator("#photo option").all():
        page.select_option("#photo", photo.get_attribute("value"))
        for address in page.locator("#grid figcaption a").evaluate_all("all => all.map(a => a.href)"):
            assert Path(unquote(urlparse(address).path)).is_file(), address


def test_methods_are_chosen_for_pictures_and_plots_alike(page: Page, shown: Plan) -> None:
    drawn(page, "plane", "distribution")
    page.click("#choose")
    page.click("[data-choose=none]")
    page.check("#chooser-list input[value=tvq]")
    page.check("#chooser-list input[value=vq]")
    page.click("#chooser button.strong")
    assert page.locator("#chosen-count").inner_text() == f"2 of {len(shown.entries)}"
    assert page.locator("#grid figure").count() == 4
    assert page.locator("#plane-legend button").count() == 2
    assert page.locator("#distribution-canvas .ytick text").count() == 2
    assert HOSTILE in page.locator("#plane-legend").inner_text()


def test_a_dot_leads_to_its_image(page: Page) -> None:
    drawn(page, "distribution")
    dot = page.locator("#distribution-canvas path.point").first
    dot.scroll_into_view_if_needed()
    box = dot.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    picked = page.locator("#picked a")
    assert (picked.get_attribute("href") or "").startswith("images/")
    assert page.locator("#picked img").count() == 1


def test_verdicts_are_filtered(page: Page, shown: Plan) -> None:
    claims = pd.read_csv(shown.paths.claims)
    run = claims[claims.verdict != "not run"]
    assert page.locator("#claims-count").inner_text() == f"{len(run)} of {len(claims)}"
    page.select_option("[data-filter=verdict]", "not run")
    page.select_option("[data-filter=of]", "vq")
    expected = claims[(claims.verdict == "not run") & claims.claim.str.startswith("vq.")]
    assert page.locator("#claims-count").inner_text() == f"{len(expected)} of {len(claims)}"
    assert set(page.locator("table.verdicts .verdict").all_inner_texts()) == {"not run"}
