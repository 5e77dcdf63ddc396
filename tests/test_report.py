"""Summaries, tables, figures' crops and verdicts, from scores that are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tvqsr.errors import UserError
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.protocols import WEIGHTS
from tvqsr.report.claim import Claim, claims_of
from tvqsr.report.claims import judge
from tvqsr.report.scores import MEASURES, per_image, summarise
from tvqsr.report.tables import cell, grid, latex, markdown, plain_words, shown_protocols

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


def moved_tracks() -> dict[str, list[str]]:
    """Tracks of `paper`, but ImageNet-Test is not its entries'."""
    tracks = {track: list(sets) for track, sets in Plan.load("paper").preset.tracks.items()}
    tracks["realesrgan"].remove("imagenet_test")
    tracks["bicubic"].append("imagenet_test")
    return tracks


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
    tex = latex(tiny_plan, "main", "photos_test", summary)
    assert r"\toprule" in tex
    assert r"photos\_test" in tex
    assert "±" not in tex.split("% ")[0]


def verdict(plan: Plan, scores: pd.DataFrame, claim: str, kind: str = "ordering") -> pd.Series:
    table = judge(plan, scores)
    return table[(table.claim == f"tvqrap.{claim}") & (table.kind == kind)].iloc[0]


@pytest.mark.parametrize(
    ("better", "expected"),
    [
        ([25.0, 26.0, 27.0, 28.0], "ordering holds"),
        ([15.0, 16.0, 17.0, 18.0], "ordering reversed"),
        ([15.0, 25.0, 19.0, 21.5], "undecided"),
    ],
)
def test_orderings_are_judged_by_the_paired_interval(tiny_plan: Plan, better: list[float], expected: str) -> None:
    found = verdict(tiny_plan, scores_of(tiny_plan, {"tvq_rec": better}), "tokenizer_psnr")
    assert found.verdict == expected
    assert found.reported == "tvq_rec 26.2, vq_rec 23.29"
    assert "of 4 images in favour" in found.why
    assert "a bootstrap interval is too narrow" in found.why


def test_pairing_decides_what_means_could_not(tiny_plan: Plan) -> None:
    """Images differ by 10 dB, the entries by a steady 0.1: unpaired intervals overlap, the paired one does not."""
    scores = scores_of(tiny_plan, {"vq_rec": [15.0, 20.0, 25.0, 30.0], "tvq_rec": [15.1, 20.1, 25.1, 30.1]})
    assert verdict(tiny_plan, scores, "tokenizer_psnr").verdict == "ordering holds"


def test_an_ordering_on_which_seeds_disagree_is_undecided(preset: Callable[..., Path]) -> None:
    plan = Plan.load(str(preset(lambda p: p.update(seeds=[0, 1]))))
    table = [
        row
        for entry, by_seed in (("tvq_rec", (30.0, 19.0)), ("vq_rec", (20.0, 20.0)))
        for row in rows(entry, "psnr_y", {seed: [value] * 4 for seed, value in enumerate(by_seed)})
    ]
    found = verdict(plan, pd.DataFrame(table), "tokenizer_psnr")
    assert found.verdict == "undecided"
    assert "by seed +10.00, -1.00" in found.why


def test_the_table_says_plainly_who_does_not_reach_bicubic(tiny_plan: Plan) -> None:
    summary = summarise(scores_of(tiny_plan, {"bicubic": [25.0] * 4, "tvq": [21.0] * 4}))
    words = plain_words(tiny_plan, summary)
    assert words[0] == "No trained entry reaches bicubic's PSNR-Y (25.00 dB)."
    (above,) = words[1:]
    assert above.startswith("Above their own tokenizer's reconstruction of HR") and "TVQ" in above
    summary = summarise(scores_of(tiny_plan, {"bicubic": [20.5] * 4, "tvqrap": [26.0] * 4, "tvq_rec": [30.0] * 4}))
    assert plain_words(tiny_plan, summary) == ["2 of 3 trained entries do not reach bicubic's PSNR-Y (20.50 dB)."]


def test_what_cannot_be_judged_says_why(tiny_plan: Plan) -> None:
    scores = scores_of(tiny_plan, {})
    found = verdict(tiny_plan, scores, "tokenizer_lpips")
    assert (found.verdict, found.why) == ("not run", "lpips_alex is n/a: weights absent: somewhere")
    found = verdict(tiny_plan, scores, "tokenizer_psnr", "value of tvq_rec")
    assert found.verdict == "not run"
    assert "values are judged at the paper's scale only" in found.why


def test_lower_is_better_turns_the_sign(tiny_plan: Plan) -> None:
    scores = scores_of(tiny_plan, {}).query("protocol == 'psnr_y'")
    lpips = [
        row
        for entry, value in (("tvq_rec", 0.1), ("vq_rec", 0.2))
        for row in rows(entry, "lpips_alex", {0: [value, value + 0.01, value + 0.02]})
    ]
    found = verdict(tiny_plan, pd.concat([scores, pd.DataFrame(lpips)]), "tokenizer_lpips")
    assert found.verdict == "ordering holds"


@pytest.mark.parametrize(("measured", "expected"), [(26.1, "reproduced"), (24.0, "differs")])
def test_values_are_judged_at_the_papers_scale(preset: Callable[..., Path], measured: float, expected: str) -> None:
    def change(content: dict[str, Any]) -> None:
        content["claims"] = "values"
        content["datasets"]["imagenet_test"] = content["datasets"].pop("photos_test")
        content["test_on"] = ["imagenet_test"]

    plan = Plan.load(str(preset(change)))
    scores = scores_of(plan, {"tvq_rec": [measured] * 4}).assign(testset="imagenet_test")
    found = verdict(plan, scores, "tokenizer_psnr", "value of tvq_rec")
    assert found.verdict == expected
    assert f"{measured - 26.2:+.2f}" in found.why


def test_every_shipped_claim_is_valid_and_has_a_source(tiny_plan: Plan) -> None:
    found: list[Claim] = [claim for method in tiny_plan.methods.values() for claim in claims_of(method)]
    assert {claim.id for claim in found} >= {"tokenizer_psnr", "rap_lpips", "rap_psnr", "main_lpips"}
    assert all(claim.source.url.startswith("https://") and claim.source.place for claim in found)
    assert all((claim.better is None) == (claim.worse is None) for claim in found)


def test_a_wrong_claim_is_named(tiny_plan: Plan, tmp_path: Path) -> None:
    from dataclasses import replace

    (tmp_path / "claims.yaml").write_text("claims:\n  - {id: a, statment: b}\n")
    method = replace(next(iter(tiny_plan.methods.values())), folder=tmp_path)
    with pytest.raises(
        UserError, match=r"claims\.yaml: claim 1: unknown key `statment`|claims\.yaml: claim 1: `statement` is missing"
    ):
        claims_of(method)


def values(entry: str, protocol: str, testset: str, value: float, **more: Any) -> dict[str, Any]:
    about = {"title": protocol, "higher_is_better": True, "decimals": 2, "crop": 0, "definition": "", "reason": None}
    return {
        "entry": entry,
        "seed": 0,
        "testset": testset,
        "image": "(set)",
        "protocol": protocol,
        "value": value,
        **about,
        **more,
    }


def paper_verdict(rows: list[dict[str, Any]], claim: str, entry: str, **changes: Any) -> pd.Series:
    table = judge(Plan.load("paper", changes), pd.DataFrame(rows))
    return table[(table.claim == f"tvqrap.{claim}") & (table.kind == f"value of {entry}")].iloc[0]


def test_a_value_that_the_sources_do_not_tell_is_called_unknown(workspace: Path) -> None:
    found = paper_verdict([values("tvqrap", "psnr_y", "imagenet_test", 23.5)], "main_psnr", "tvqrap")
    assert (found.verdict, found.reported, found.measured) == ("published value unknown", "unknown", "23.50")


@pytest.mark.parametrize(("photos", "verdict"), [(2999, "not run"), (3000, "reproduced")])
def test_a_value_on_part_of_a_test_set_is_not_compared(workspace: Path, photos: int, verdict: str) -> None:
    images = [{"name": str(number)} for number in range(photos)]
    write_json(Plan.load("paper").paths.manifest("imagenet_test"), {"images": images})
    found = paper_verdict([values("tvqrap_released", "fid", "imagenet_test", 26.5)], "main_fid", "tvqrap_released")
    assert found.verdict == verdict
    assert photos == 3000 or found.why == "imagenet_test has 2999 photos here, 3000 as published"


def test_a_time_is_judged_on_the_published_machine_only(workspace: Path) -> None:
    for device, expected in (("NVIDIA GeForce RTX 3090", "reproduced"), ("NVIDIA H200", "not run")):
        rows = [values("tvqrap", "milliseconds", "input_64", 40.0, device=device)]
        found = paper_verdict(rows, "efficiency_time", "tvqrap")
        assert found.verdict == expected
    assert "published on RTX 3090, measured on NVIDIA H200: 40.00" in found.why


def test_other_training_photos_leave_values_open_but_not_those_of_the_authors_weights(
    workspace: Path, photo: Path
) -> None:
    rows = [values(entry, "fid", "imagenet_test", 26.5) for entry in ("tvqrap", "tvqrap_released")]
    folder = photo.parent / "photos"
    folder.mkdir()
    photo.rename(folder / photo.name)
    mine = paper_verdict(rows, "main_fid", "tvqrap", train_photos=str(folder))
    assert (mine.verdict, "not on the paper's" in mine.why) == ("not run", True)
    theirs = paper_verdict(rows, "main_fid", "tvqrap_released", train_photos=str(folder))
    assert theirs.verdict == "reproduced"


FOREIGN = {"imagenet_val_128", "celeba_test", "ost300", "stablesr_div2k", "stablesr_realsr", "stablesr_drealsr"}
"""Sets that others reported on and that are none of ours: their values are judged nowhere."""


def test_every_claim_names_a_protocol_and_an_entry_that_exist(workspace: Path) -> None:
    plan = Plan.load("paper", {"entries": "all"})
    protocols = {*WEIGHTS, *MEASURES, "parameters_m", "milliseconds", "gmacs"}
    for method in plan.methods.values():
        for claim in claims_of(method):
            assert claim.protocol in protocols, claim.id
            assert {*claim.reported, *filter(None, (claim.better, claim.worse))} <= set(plan.entries), claim.id
            assert claim.dataset in {*plan.preset.test_on, "input_64"} | FOREIGN, claim.id
            if claim.dataset in plan.preset.test_on and claim.reported and claim.protocol in WEIGHTS:
                assert claim.protocol in plan.protocols_on(claim.dataset), claim.id


def test_claims_about_sets_that_an_entry_is_not_tested_on_are_not_run(
    preset: Callable[..., Path], workspace: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        content["datasets"]["blind"] = {"source": "skimage_test", "degradation": "bsrgan"}
        content["test_on"] = ["photos_test", "blind"]
        content["tracks"] = {"bicubic": ["photos_test"], "bsrgan": ["blind"]}
        content["entries"]["tvq_rec"]["track"] = "bsrgan"

    plan = Plan.load(str(preset(change)))
    apart = verdict(plan, scores_of(plan, {}), "tokenizer_psnr")
    assert (apart.verdict, apart.why) == ("not run", "tvq_rec and vq_rec have no test set in common")
    summary = summarise(scores_of(plan, {}))
    assert "; photos_test (track bicubic): 4 photos" in markdown(plan, plan.tables["main"], "photos_test", summary)
    tracks = moved_tracks()
    elsewhere = paper_verdict([values("vq", "psnr_y", "imagenet_test", 23.5)], "main_psnr", "tvqrap", tracks=tracks)
    assert (elsewhere.verdict, elsewhere.why) == ("not run", "tvqrap is not tested on imagenet_test")


@pytest.mark.parametrize(
    ("texture", "vanilla", "expected"),
    [(6.0, 12.0, "holds without interval"), (12.0, 6.0, "reversed without interval"), (6.0, 6.0, "undecided")],
)
def test_one_number_for_a_set_points_but_has_no_interval(
    workspace: Path, texture: float, vanilla: float, expected: str
) -> None:
    lower = {"higher_is_better": False}
    scores = [
        values(entry, "fid", "imagenet_test", value, **lower)
        for entry, value in (("tvq_rec", texture), ("vq_rec", vanilla))
    ]
    found = judge(Plan.load("paper"), pd.DataFrame(scores))
    row = found[(found.claim == "tvqrap.tokenizer_fid") & (found.kind == "ordering")].iloc[0]
    assert row.verdict == expected
    assert "no interval over images" in row.why
