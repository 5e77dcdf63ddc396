"""Verdicts on published claims, from scores that are known: each verdict, and each reason for none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.test_report import rows, scores_of, with_tracks
from tvqsr.plan import Plan
from tvqsr.report.claims import COLUMNS, judge
from tvqsr.report.paired import leads
from tvqsr.report.trainings import of_one

Preset = Callable[..., Path]


def verdict(plan: Plan, scores: pd.DataFrame, claim: str, kind: str = "ordering") -> pd.Series:
    table = judge(plan, scores)
    return table[(table.claim == claim) & (table.kind == kind)].iloc[0]


def ordering(plan: Plan, scores: pd.DataFrame, claim: str) -> pd.Series:
    return verdict(plan, scores, f"tvqrap.{claim}")


# --- Orderings ---

PHOTOS = [15.0, 20.0, 25.0, 30.0, 22.0]


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        ([5.0, 6.0, 7.0, 8.0, 5.0], "ordering holds"),
        ([-5.0, -4.0, -3.0, -2.0, -1.0], "ordering reversed"),
        ([-5.0, 5.0, -1.0, 1.5, 0.2], "undecided"),
        ([5.0, 6.0, 7.0, 8.0, -0.1], "undecided"),
    ],
)
def test_orderings_are_judged_by_paired_images(tiny_plan: Plan, ahead: list[float], expected: str) -> None:
    """The last one's interval lies above zero, and yet so large a mean comes by chance in 2 of 32 draws of signs."""
    better = [photo + lead for photo, lead in zip(PHOTOS, ahead, strict=True)]
    found = ordering(tiny_plan, scores_of(tiny_plan, {"vq_rec": PHOTOS, "tvq_rec": better}), "tokenizer_psnr")
    assert found.verdict == expected
    assert found.reported == "tvq_rec 26.2, vq_rec 23.29"
    assert found.scale == "any"
    assert "of 5 images in favour" in found.why
    assert "a bootstrap interval is too narrow" in found.why
    assert "no test can decide" not in found.why


def test_a_verdict_on_one_training_of_a_side_says_so(tiny_plan: Plan, preset: Preset) -> None:
    better = [photo + 5 for photo in PHOTOS]
    scores = scores_of(tiny_plan, {"vq_rec": PHOTOS, "tvq_rec": better})
    once = ordering(tiny_plan, scores, "tokenizer_psnr").why
    assert once.endswith("; one training each: how far another seed strays is not known")
    assert of_one(once) == " (one training each)"
    twice = Plan.load(str(preset(lambda p: p.update(seeds=[0, 1]))))
    assert of_one(ordering(twice, scores, "tokenizer_psnr").why) == ""


def test_four_images_decide_nothing(tiny_plan: Plan) -> None:
    scores = scores_of(tiny_plan, {"vq_rec": PHOTOS[:4], "tvq_rec": [photo + 9 for photo in PHOTOS[:4]]})
    found = ordering(tiny_plan, scores, "tokenizer_psnr")
    assert found.verdict == "undecided"
    assert "and of 4 no test can decide" in found.why


def test_equal_entries_are_hardly_ever_decided(tiny_plan: Plan) -> None:
    """At most 5% each way, of two seeds and five images."""
    random, decisions = np.random.default_rng(5), 0
    for _ in range(120):
        frame = pd.DataFrame(
            [
                row
                for entry in ("a", "b")
                for row in rows(entry, "psnr_y", {s: random.normal(25, 0.5, 5).tolist() for s in (0, 1)})
            ]
        )
        (lead,) = leads(frame, [("a", "b")])
        decisions += lead.decided != 0
    assert decisions <= 18


def test_pairing_decides_what_means_could_not(tiny_plan: Plan) -> None:
    """Images differ by 10 dB, the entries by a steady 0.1: unpaired intervals overlap, the paired one does not."""
    scores = scores_of(tiny_plan, {"vq_rec": PHOTOS, "tvq_rec": [photo + 0.1 for photo in PHOTOS]})
    assert ordering(tiny_plan, scores, "tokenizer_psnr").verdict == "ordering holds"


def test_an_ordering_on_which_seeds_disagree_is_undecided(preset: Preset) -> None:
    plan = Plan.load(str(preset(lambda p: p.update(seeds=[0, 1]))))
    table = [
        row
        for entry, by_seed in (("tvq_rec", (30.0, 19.0)), ("vq_rec", (20.0, 20.0)))
        for row in rows(entry, "psnr_y", {seed: [value] * 4 for seed, value in enumerate(by_seed)})
    ]
    found = ordering(plan, pd.DataFrame(table), "tokenizer_psnr")
    assert found.verdict == "undecided"
    assert "by seed +10.00, -1.00" in found.why


def test_lower_is_better_turns_the_sign(tiny_plan: Plan) -> None:
    scores = scores_of(tiny_plan, {}).query("protocol == 'psnr_y'")
    lpips = [
        row
        for entry, value in (("tvq_rec", 0.1), ("vq_rec", 0.2))
        for row in rows(entry, "lpips_alex", {0: [value + shift for shift in (0, 0.01, 0.02, 0.03, 0.04)]})
    ]
    found = ordering(tiny_plan, pd.concat([scores, pd.DataFrame(lpips)]), "tokenizer_lpips")
    assert found.verdict == "ordering holds"


@pytest.mark.parametrize(
    ("texture", "vanilla", "expected"),
    [(6.0, 12.0, "holds without interval"), (12.0, 6.0, "reversed without interval"), (6.0, 6.0, "undecided")],
)
def test_one_number_for_a_set_points_but_has_no_interval(
    workspace: Path, texture: float, vanilla: float, expected: str
) -> None:
    scores = [
        measured(entry, "fid", "imagenet_test", value, higher_is_better=False)
        for entry, value in (("tvq_rec", texture), ("vq_rec", vanilla))
    ]
    found = ordering(Plan.load("paper"), pd.DataFrame(scores), "tokenizer_fid")
    assert found.verdict == expected
    assert "no interval over images" in found.why


def test_orderings_that_are_not_run_say_why(tiny_plan: Plan, preset: Preset) -> None:
    scores = scores_of(tiny_plan, {})
    for claim, why in (
        ("tokenizer_lpips", "lpips_alex is n/a: weights absent: somewhere"),
        ("rap_dists", "protocol dists is not in the preset"),
        ("structure_8_sr", "entry tvq_s8 is not in preset tiny"),
        ("codebook_early", "is asked at the paper's scale only, which preset tiny does not have"),
    ):
        found = ordering(tiny_plan, scores, claim)
        assert (found.verdict, found.measured, found.why) == ("not run", "n/a", why)
    asked = verdict(tiny_plan, scores, "aesop.term_alone_psnr_y")
    assert asked.why == "entry aesop was not asked for; `--config entries=all` makes it"
    apart = ordering(plan := Plan.load(str(preset(with_tracks))), scores_of(plan, {}), "tokenizer_psnr")
    assert (apart.verdict, apart.why) == ("not run", "tvq_rec and vq_rec have no test set in common")


# --- Values ---


def measured(entry: str, protocol: str, testset: str, value: float, **more: Any) -> dict[str, Any]:
    """One score of a whole set."""
    about = {"title": protocol, "higher_is_better": True, "decimals": 2, "crop": 0, "definition": "", "reason": None}
    where = {"entry": entry, "seed": 0, "testset": testset, "image": "(set)", "protocol": protocol}
    return {**where, "value": value, **about, **more}


def paper_verdict(scores: list[dict[str, Any]], claim: str, entry: str, **changes: Any) -> pd.Series:
    return verdict(Plan.load("paper", changes), pd.DataFrame(scores), claim, f"value of {entry}")


VALUE = ("tvqrap.tokenizer_psnr", "tvq_rec_released")
"""Published: 26.20. The claim's tolerance of training again is 0.3, that of computing again 0.05."""


@pytest.mark.parametrize(
    ("value", "expected", "difference"),
    [
        (26.24, "reproduced", "+0.04"),
        (26.2549, "reproduced", "+0.05"),
        (26.1451, "reproduced", "-0.05"),
        (26.26, "differs", "+0.06"),
        (26.4, "differs", "+0.20"),
        (20, "differs", "-6.20"),
    ],
)
def test_a_value_of_released_weights_is_reproduced_inside_the_tolerance_of_computing_it_again(
    workspace: Path, value: float, expected: str, difference: str
) -> None:
    found = paper_verdict([measured(VALUE[1], "psnr_y", "imagenet_test", value)], *VALUE)
    assert (found.verdict, found.measured, found.reported) == (expected, f"{value:.2f}", "26.2")
    side = "inside" if expected == "reproduced" else "outside"
    assert found.why == f"measured minus published {difference}, {side} the tolerance of 0.05 for a re-computation"
    assert (found.method, found.entry, found.scale, found.tested_on) == ("tvqrap", VALUE[1], "paper", "imagenet_test")


@pytest.mark.parametrize(
    ("entry", "means", "expected", "words"),
    [
        ("tvq_rec", [26.9, 26.1], "reproduced", "+0.30, inside the tolerance of 0.3"),
        ("tvq_rec", [27.5, 26.7], "reproduced", "but inside twice the standard deviation of 2 seeds, 0.57"),
        ("tvq_rec", [27.4, 27.3], "differs", "and outside twice the standard deviation of 2 seeds, 0.07"),
        ("tvq_rec", [27.1], "differs", "+0.90, outside the tolerance of 0.3"),
        ("tvq_rec_released", [27.5, 26.7], "differs", "+0.90, outside the tolerance of 0.05 for a re-computation"),
    ],
)
def test_what_was_trained_here_is_excused_by_its_seeds_and_never_by_the_photos(
    workspace: Path, entry: str, means: list[float], expected: str, words: str
) -> None:
    """Published: 26.20, tolerance 0.3. The photos are the published ones, however much they differ."""
    by_seed = {seed: [mean - 3, mean - 1, mean + 1, mean + 2.999] for seed, mean in enumerate(means)}
    scores = [row | {"testset": "imagenet_test", "crop": 0} for row in rows(entry, "psnr_y", by_seed)]
    found = paper_verdict(scores, "tvqrap.tokenizer_psnr", entry)
    assert found.verdict == expected
    assert words in found.why


def test_a_value_that_the_sources_do_not_tell_is_called_unknown(workspace: Path) -> None:
    found = paper_verdict([measured("tvqrap", "psnr_y", "imagenet_test", 23.5)], "tvqrap.main_psnr", "tvqrap")
    assert (found.verdict, found.reported, found.measured) == ("published value unknown", "unknown", "23.50")


def test_small_scale_speaks_about_orderings_and_about_what_was_not_trained_in_it(preset: Preset) -> None:
    """Weights and outputs that somebody gives are what they are at any scale."""
    given = {"method": "images", "given": "outputs"}

    def change(content: dict[str, Any]) -> None:
        content["entries"] = {"bicubic": {"method": "bicubic"}, "tvq_rec": {"method": "tvqrap"}, "spsr": given}
        content["datasets"]["set14"] = {"source": "set14"}
        content["test_on"] = ["set14"]

    plan = Plan.load(str(preset(change)))
    scores = pd.DataFrame([measured(entry, "psnr_y", "set14", 26.85, crop=4) for entry in ("spsr", "tvq_rec")])
    ours = verdict(plan, scores, "tvqrap.tokenizer_psnr", "value of tvq_rec")
    assert ours.why == "values are judged at the paper's scale only; preset mine speaks about orderings"
    assert verdict(plan, scores, "aesop_readme.set14_psnr", "value of spsr").verdict == "reproduced"


def test_values_that_are_not_run_say_why(workspace: Path) -> None:
    score = measured("vq", "psnr_y", "imagenet_test", 23.5)
    tracks = {track: list(sets) for track, sets in Plan.load("paper").preset.tracks.items()}
    tracks["realesrgan"].remove("imagenet_test")
    tracks["bicubic"].append("imagenet_test")
    absent = score | {"value": None, "reason": "weights absent: somewhere"}
    for scores, claim, entry, changes, why in (
        ([score], "tvqrap.main_psnr", "tvqrap", {"tracks": tracks}, "tvqrap is not tested on imagenet_test"),
        ([score], "vq.simvq_ssim", "vq_rec", {}, "imagenet_val_128 is not a test set of preset paper"),
        ([score], "tvqrap.rap_fid", "tvqrap", {}, "fid is not among the protocols that this set is scored with"),
        ([absent], "tvqrap.sr_psnr", "vq", {}, "psnr_y is n/a: weights absent: somewhere"),
        ([score], "aesop.psnr_y_set14", "aesop", {}, "entry aesop was not asked for; `--config entries=all` makes it"),
        (
            [score],
            "tvqrap.efficiency_parameters",
            "tvqrap",
            {"efficiency": False},
            "preset paper does not measure costs",
        ),
    ):
        found = paper_verdict(scores, claim, entry, **changes)
        assert (found.verdict, found.measured) == ("not run", "n/a")
        assert found.why.startswith(why)


# --- Entries that nobody makes here ---


def with_entry(name: str, **more: Any) -> dict[str, Any]:
    """A change of a preset: outputs given under that name."""
    return {"entries": {name: {"method": "images", "given": "outputs", **more}}}


def test_outputs_given_under_the_name_that_claims_use_are_judged(workspace: Path) -> None:
    claim = "rsd_paper.lpips_imagenet_test"
    absent = paper_verdict([measured("bicubic", "psnr_y", "imagenet_test", 1.0)], claim, "resshift")
    assert absent.verdict == "not run"
    assert absent.why == "no entry; give its outputs with the method `images` under the name `resshift`"
    for value, expected in ((0.2330, "reproduced"), (0.2336, "differs")):
        score = measured("resshift", "lpips_alex", "imagenet_test", value, decimals=4)
        found = paper_verdict([score], claim, "resshift", **with_entry("resshift"))
        assert (found.verdict, found.method, found.reported) == (expected, "resshift", "0.231")


def test_contradicting_sources_have_a_row_each(workspace: Path) -> None:
    """Of neither it is told how it came about, so neither is judged."""
    score = [measured("resshift", "fid", "imagenet_test", 19.9)]
    theirs = paper_verdict(score, "tvqrap_paper.main_fid", "resshift", **with_entry("resshift"))
    others = paper_verdict(score, "rsd_paper.fid_imagenet_test", "resshift", **with_entry("resshift"))
    assert (theirs.verdict, theirs.reported) == ("protocol differs", "19.53")
    assert (others.verdict, others.reported) == ("protocol differs", "30.34")


def test_every_claim_has_its_rows_in_every_preset(tiny_plan: Plan) -> None:
    """Whatever a preset has, each published number has a row: with its source, scale and border."""
    table = judge(tiny_plan, scores_of(tiny_plan, {}))
    assert list(table.columns) == COLUMNS
    assert len(table) > 1100
    assert not table.duplicated(["claim", "kind", "tested_on"]).any()
    values = table[table.kind != "ordering"]
    assert set(values.verdict) == {"not run"} and values.why.ne("").all()
    assert set(values.scale) == {"paper"}
    waiting = values[(values.entry == "resshift") & (values.why.str.startswith("no entry; give its outputs"))]
    assert len(waiting) == (values.entry == "resshift").sum() > 50
    paper = judge(Plan.load("paper"), scores_of(tiny_plan, {}))
    assert set(map(tuple, paper[paper.kind != "ordering"][["claim", "kind"]].values)) == set(
        map(tuple, values[["claim", "kind"]].values)
    )
