"""Summaries, tables and figures' crops, from scores that are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tvqsr.plan import Plan
from tvqsr.report.scores import per_image, summarise
from tvqsr.report.tables import cell, grid, latex_texts, markdown, plain_words, shown_protocols

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
    assert 11.0 <= row.low < 21.0 < row.high <= 31.0
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
