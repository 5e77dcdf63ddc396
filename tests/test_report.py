"""Summaries, tables and figures' crops, from scores that are known."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tvqsr.plan import Plan
from tvqsr.plan.protocols import TOO_SMALL
from tvqsr.report.cells import cell, shown_protocols
from tvqsr.report.page.tables import score_cell
from tvqsr.report.scores import WHOLE_SET, per_image, summarise
from tvqsr.report.tables import grid, latex_texts, markdown, plain_words, table_summary, table_texts
from tvqsr.score.distances import kernel

PROTOCOLS: dict[str, dict[str, Any]] = {
    "psnr_y": {"title": "PSNR-Y", "higher_is_better": True, "decimals": 2, "crop": 4, "definition": "luma"},
    "lpips_alex": {"title": "LPIPS", "higher_is_better": False, "decimals": 4, "crop": 0, "definition": "Alex"},
}


def rows(entry: str, protocol: str, values: dict[int, list[float]], reason: str | None = None) -> list[dict[str, Any]]:
    """One value per image and seed; NaN where there is none."""
    return [
        {
            "entry": entry,
            "seed": seed,
            "testset": "photos_test",
            "image": f"i{number}",
            "protocol": protocol,
            "value": value,
        }
        | {"reason": reason}
        | PROTOCOLS[protocol]
        for seed, of_seed in values.items()
        for number, value in enumerate(of_seed)
    ]


def scores_of(plan: Plan, psnr: dict[str, list[float]]) -> pd.DataFrame:
    """PSNR per entry as given, 20 dB for the others; LPIPS is n/a."""
    table = []
    for entry in plan.entries:
        table += rows(entry, "psnr_y", {0: psnr.get(entry, [20.0] * 4)})
        table += rows(entry, "lpips_alex", {0: [float("nan")] * 4}, "weights absent: somewhere")
    return pd.DataFrame(table)


def test_a_summary_keeps_images_and_seeds_apart() -> None:
    frame = pd.DataFrame(rows("a", "psnr_y", {0: [10.0, 20.0, 30.0], 1: [12.0, 22.0, 32.0]}))
    row = summarise(frame).iloc[0]
    assert row["mean"] == pytest.approx(21.0)
    assert row.seed_sd == pytest.approx(np.std([20.0, 22.0], ddof=1))
    assert (row.seeds, row.images) == (2, 3)
    # Student's t of three images, 4.303 at two degrees of freedom: over images, whatever the seeds.
    assert (row.low, row.high) == pytest.approx((21 - 4.303 * 10 / 3**0.5, 21 + 4.303 * 10 / 3**0.5), abs=1e-2)
    assert per_image(frame, "a", "psnr_y").tolist() == [11.0, 21.0, 31.0]


def test_cells(tiny_plan: Plan) -> None:
    summary = summarise(scores_of(tiny_plan, {"vq": [20.0, 22.0, 24.0, 26.0]}))
    cells = {row.entry: cell(row) for _, row in summary[summary.protocol == "psnr_y"].iterrows()}
    assert cells["vq"].startswith("23.00 [")
    assert cells["tvq"] == "20.00 [20.00, 20.00]"
    assert cell(summary[summary.protocol == "lpips_alex"].iloc[0]) == "n/a"


def test_tables_say_what_is_na_and_why(tiny_plan: Plan) -> None:
    summary = summarise(scores_of(tiny_plan, {}))
    assert shown_protocols(summary) == ["psnr_y", "lpips_alex"]
    text = markdown(tiny_plan, tiny_plan.tables["main"], "photos_test", summary)
    assert "LPIPS is n/a: weights absent: somewhere." in text
    assert "PSNR-Y (`psnr_y`): luma, crop 4." in text
    assert list(grid(tiny_plan, summary).Reads) == ["LR", "HR", "LR", "HR", "LR", "HR", "LR"]
    tex = latex_texts(tiny_plan, "main", "photos_test", summary)["tex"]
    assert r"\toprule" in tex
    assert r"photos\_test: 4 photos" in tex
    assert "LPIPS is n/a: weights absent." in tex
    assert "PSNR-Y: luma, crop 4." in tex


KID: dict[str, Any] = {"protocol": "kid", "title": "KID", "higher_is_better": False, "decimals": 4, "crop": 0}
DEFINED = {
    "definition": "kernel distance, RGB",
    "colours": "RGB",
    "rounding": "8-bit images",
    "network": "Inception, its.pth",
    "library": "torch 2.1, numpy 2.4",
}


def of_sets(errors: dict[str, list[float]]) -> pd.DataFrame:
    """KID of the whole set, 0.0123 of each entry and 0.0002 more with each seed, with these standard errors."""
    table = [
        {"entry": entry, "seed": seed, "testset": "photos_test", "image": WHOLE_SET, "value": 0.0123 + 0.0002 * seed}
        | {"reason": None, "error": error}
        | KID
        | DEFINED
        for entry, of_seeds in errors.items()
        for seed, error in enumerate(of_seeds)
    ]
    return pd.DataFrame(table)


def test_a_standard_error_is_in_cells_and_csv_and_said_to_be_one(tiny_plan: Plan) -> None:
    """Of several seeds the mean of theirs: they see the same photos, so that errors do not average out."""
    errors = {entry: [0.0008] for entry in tiny_plan.entries} | {"vq": [0.0008, 0.0006], "tvq": [float("nan")]}
    scores = pd.concat([scores_of(tiny_plan, {}), of_sets(errors)], ignore_index=True)
    texts = table_texts(tiny_plan, "main", "photos_test", scores)
    table = pd.read_csv(io.StringIO(texts["csv"])).set_index(["protocol", "entry"])
    assert table.error["kid", "vq"] == pytest.approx(0.0007)
    assert table.error["kid", "bicubic"] == pytest.approx(0.0008)
    assert table.error[["psnr_y", "lpips_alex"]].isna().all()
    cells = {str(row.entry): row for _, row in table.reset_index().iterrows() if row.protocol == "kid"}
    assert cell(cells["vq"]) == "0.0124 (SE 0.0007) ±0.0001"
    assert score_cell(cells["vq"])["small"] == "(SE 0.0007) ±0.0001"
    assert cell(cells["tvq"]) == "0.0123"
    assert "| 0.0124 (SE 0.0007) ±0.0001 |" in texts["md"]
    assert r" & 0.0124 (SE 0.0007) $\pm$0.0001 \\" in texts["intervals.tex"]
    for text in (texts["md"], texts["intervals.tex"]):
        assert text.count("KID: SE is the standard error over images") == 1
    assert "standard error" not in markdown_of(tiny_plan, scores_of(tiny_plan, {}))


def test_the_standard_error_of_seeds_is_how_far_their_mean_strays() -> None:
    """Two seeds that err alike on the same photos, and a jackknife of their mean."""
    random = np.random.default_rng(0)
    hr = random.normal(size=(40, 8)).astype(np.float32)
    shift = 0.3 + 0.4 * random.normal(size=hr.shape).astype(np.float32)
    seeds = [hr + shift + 0.1 * random.normal(size=hr.shape).astype(np.float32) for _ in range(2)]
    values = [[kernel(np.delete(sr, i, 0), np.delete(hr, i, 0)).value for i in range(40)] for sr in seeds]
    of_mean = np.sqrt(39 * np.var(np.mean(values, axis=0)))
    found = [float(kernel(sr, hr).error or 0) for sr in seeds]
    told = summarise(of_sets({"a": found})).error.iloc[0]
    assert told == pytest.approx(of_mean, rel=0.1)
    assert np.sqrt(np.sum(np.square(found))) / 2 < 0.8 * of_mean


def test_cells_keep_their_digits_and_zero_has_no_sign(tiny_plan: Plan) -> None:
    """A column of nothing but numbers is no other: 99.2 is not 99.20."""
    scores = of_sets({entry: [float("nan")] for entry in tiny_plan.entries}).assign(value=99.2, decimals=2)
    scores.loc[scores.entry == "hr_copy", "value"] = -1e-9
    lines = markdown_of(tiny_plan, scores).splitlines()
    assert sum("99.20" in line for line in lines) == len(tiny_plan.entries) - 1
    assert any(" 0.00 |" in line for line in lines)


def test_a_column_is_told_with_what_its_definition_does_not_say(tiny_plan: Plan) -> None:
    """In a line of its own, and in the CSV; entries that another version scored are named."""
    scores = of_sets({entry: [0.0008] for entry in tiny_plan.entries})
    told = "- KID (`kid`): kernel distance, RGB; 8-bit images; Inception, its.pth"
    lines = markdown_of(tiny_plan, scores).splitlines()
    assert f"{told}." in lines
    assert "- Computed with numpy 2.4, torch 2.1." in lines
    scores.loc[scores.entry.isin(["vq", "tvq"]), ["library", "network"]] = ("torch 2.0, numpy 2.4", "Inception, my.pth")
    lines = markdown_of(tiny_plan, scores).splitlines()
    assert f"{told} (`vq`, `tvq`: Inception, my.pth)." in lines
    assert "- Computed with numpy 2.4, torch 2.1 (`vq`, `tvq`: 2.0)." in lines
    table = pd.read_csv(io.StringIO(table_texts(tiny_plan, "main", "photos_test", scores)["csv"])).set_index("entry")
    assert table.loc["bicubic", list(DEFINED)].to_dict() == DEFINED
    assert table.library["vq"] == "torch 2.0, numpy 2.4"
    tex = latex_texts(tiny_plan, "main", "photos_test", table_summary(tiny_plan, tiny_plan.tables["main"], scores))
    assert "KID: kernel distance, RGB; 8-bit images." in tex["tex"]


def test_a_table_says_of_whom_photos_are_not_scored_and_why(tiny_plan: Plan) -> None:
    scores = scores_of(tiny_plan, {"vq": [20.0, float("nan"), 24.0, float("nan")]})
    lacks = scores.value.isna() & (scores.protocol == "psnr_y")
    scores.loc[lacks, "reason"] = "too small"
    lines = markdown_of(tiny_plan, scores).splitlines()
    assert "- PSNR-Y is n/a for 2 of 4 photos of `vq`: too small." in lines
    tex = table_texts(tiny_plan, "main", "photos_test", scores)["tex"]
    assert "PSNR-Y is n/a for 2 of 4 photos of `vq`: too small." in tex
    assert len([line for line in lines if " is n/a" in line]) == 2, "that, and LPIPS"
    scores.loc[(scores.image == "i1") & (scores.protocol == "psnr_y"), ["value", "reason"]] = (None, "too small")
    scores.loc[(scores.image == "i3") & (scores.entry == "vq"), ["value", "reason"]] = (22.0, None)
    assert "- PSNR-Y is n/a for 1 of 4 photos of every entry: too small." in markdown_of(tiny_plan, scores).splitlines()
    scores.loc[lacks & (scores.image == "i3"), ["value", "reason"]] = (None, "lost")
    lines = markdown_of(tiny_plan, scores).splitlines()
    assert "- PSNR-Y is n/a for 2 of 4 photos of `vq`: too small (and 1 other reason)." in lines


def test_a_column_that_no_photo_is_large_enough_for_is_shown(tiny_plan: Plan) -> None:
    scores = scores_of(tiny_plan, {})
    scores.loc[scores.protocol == "lpips_alex", "reason"] = f"{TOO_SMALL}: 161 pixels a side are needed"
    assert "- LPIPS is n/a: too small: 161 pixels a side are needed." in markdown_of(tiny_plan, scores)
    scores.loc[scores.protocol == "lpips_alex", "reason"] = "no HR"
    assert "LPIPS" not in markdown_of(tiny_plan, scores)


def markdown_of(plan: Plan, scores: pd.DataFrame) -> str:
    return table_texts(plan, "main", "photos_test", scores)["md"]


def with_tracks(content: dict[str, Any]) -> None:
    """`tvq_rec` is on a test set of a track of its own."""
    content["datasets"]["blind"] = {"source": "skimage_test", "degradation": "bsrgan"}
    content["test_on"] = ["photos_test", "blind"]
    content["tracks"] = {"bicubic": ["photos_test"], "bsrgan": ["blind"]}
    content["entries"]["tvq_rec"]["track"] = "bsrgan"


def test_a_table_names_the_track_of_its_test_set(preset: Callable[..., Path]) -> None:
    plan = Plan.load(str(preset(with_tracks)))
    summary = summarise(scores_of(plan, {}))
    assert "; photos_test (track bicubic): 4 photos" in markdown(plan, plan.tables["main"], "photos_test", summary)


def test_the_table_says_plainly_who_does_not_reach_bicubic(tiny_plan: Plan) -> None:
    summary = summarise(scores_of(tiny_plan, {"bicubic": [25.0] * 4, "tvq": [21.0] * 4}))
    words = plain_words(tiny_plan, summary)
    assert words[0] == "No trained entry reaches bicubic's PSNR-Y (25.00 dB)."
    (above,) = words[1:]
    assert above.startswith("Above their own tokenizer's reconstruction of HR") and "TVQ" in above
    summary = summarise(scores_of(tiny_plan, {"bicubic": [20.5] * 4, "tvqrap": [26.0] * 4, "tvq_rec": [30.0] * 4}))
    assert plain_words(tiny_plan, summary) == ["2 of 3 trained entries do not reach bicubic's PSNR-Y (20.50 dB)."]
