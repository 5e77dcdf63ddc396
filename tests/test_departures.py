"""What keeps a measured number from being compared with the published one: each cause, seen by itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.test_claims import VALUE, measured, paper_verdict, with_entry
from tvqsr.files import write_json
from tvqsr.plan import Plan


def differing(found: pd.Series, *words: str) -> None:
    """The verdict, our number beside the published one, and what differs."""
    assert found.verdict == "protocol differs"
    assert found.measured != "n/a"
    assert "measured minus published" in found.why
    for part in words:
        assert part in found.why


def test_a_claim_that_states_another_protocol_is_never_judged(workspace: Path) -> None:
    score = [measured("esrgan_released", "lr_psnr", "set14", 43.892)]
    found = paper_verdict(score, "esrgan.lr_psnr_set14", "esrgan_released", entries="all")
    differing(found, "colour space and border of the published LR-PSNR are not told", "published +0.00")


@pytest.mark.parametrize(("crop", "expected"), [(4, "reproduced"), (0, "protocol differs")])
def test_another_border_is_another_protocol(workspace: Path, crop: int, expected: str) -> None:
    score = [measured("esrgan_released", "psnr_y", "set14", 26.6, crop=crop)]
    found = paper_verdict(score, "esrgan.psnr_y_set14", "esrgan_released", entries="all")
    assert (found.verdict, int(found.crop)) == (expected, 4)
    assert crop == 4 or "published with a border of 4 left out, measured with 0" in found.why


@pytest.mark.parametrize(("multiple", "expected"), [(12, "reproduced"), (4, "protocol differs")])
def test_sides_cut_otherwise_are_other_photos(workspace: Path, multiple: int, expected: str) -> None:
    sets = {"bsds100": {"multiple": multiple}}
    score = [measured("esrgan_released", "psnr_y", "bsds100", 25.3, crop=4)]
    found = paper_verdict(score, "esrgan.psnr_y_bsd100", "esrgan_released", entries="all", datasets=sets)
    assert found.verdict == expected
    assert multiple == 12 or "multiples of 12, measured with 4" in found.why


def test_where_the_published_luma_was_not_scored_its_kin_is_shown(workspace: Path) -> None:
    """A reconstruction reads HR: that LR is another draw does not matter to it."""
    score = measured("femasr_rec_published", "psnr_yiq", "div2k_valid_bsrgan", 23.2, crop=4, definition="of YIQ")
    claim = ("femasr.rec_psnr", "femasr_rec_published")
    words = "published as psnr_y, measured as psnr_yiq (of YIQ)"
    differing(paper_verdict([score], *claim, entries="all"), words, "1.32 dB below", "published -1.30")
    told = score | {"colours": "luma of YIQ", "rounding": "nothing"}
    differing(paper_verdict([told], *claim, entries="all"), "measured as psnr_yiq (luma of YIQ; nothing)")
    both = [score, score | {"protocol": "psnr_y", "value": 24.6}]
    found = paper_verdict(both, *claim, entries="all")
    assert (found.verdict, found.measured) == ("reproduced", "24.60")


def test_another_draw_of_a_random_degradation_is_other_data(workspace: Path) -> None:
    score = [measured("femasr_released", "lpips_alex", "set5_bsrgan", 0.15)]
    found = paper_verdict(score, "femasr.set5_lpips", "femasr_released", entries="all")
    differing(found, "LR is drawn here (degradation bsrgan_plus)")
    given = with_entry("kx_net", track="bsrgan")
    score = [measured("kx_net", "lpips_alex", "set5_bsrgan", 0.2080)]
    assert paper_verdict(score, "adacode_paper.set5_lpips", "kx_net", **given).verdict == "reproduced"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"source": "imagenet_test_anew", "degradation": "resshift_test"},
            "are those of imagenet_test_anew here; LR is",
        ),
        ({"source": None, "folder": "mine", "lr_folder": "mine"}, "is a set of this preset's own"),
    ],
)
def test_photos_from_elsewhere_under_a_published_name_are_other_data(
    workspace: Path, photo: Path, spec: dict[str, Any], words: str
) -> None:
    (workspace / "mine").mkdir()
    shutil.copy(photo, workspace / "mine")
    score = [measured("tvqrap_released", "lpips_alex", "imagenet_test", 0.21)]
    differing(paper_verdict(score, "tvqrap.rap_lpips", "tvqrap_released", datasets={"imagenet_test": spec}), words)


@pytest.mark.parametrize(("photos", "expected"), [(2999, "protocol differs"), (3000, "reproduced")])
def test_part_of_a_test_set_is_other_data(workspace: Path, photos: int, expected: str) -> None:
    images = [{"name": str(number)} for number in range(photos)]
    write_json(Plan.load("paper").paths.manifest("imagenet_test"), {"images": images})
    found = paper_verdict([measured("tvq_rec_released", "psnr_y", "imagenet_test", 26.23)], *VALUE)
    assert found.verdict == expected
    assert photos == 3000 or "imagenet_test has 2999 photos here, 3000 as published" in found.why


def test_a_time_is_judged_on_the_published_machine_only(workspace: Path) -> None:
    for device, expected in (("NVIDIA GeForce RTX 3090", "reproduced"), ("NVIDIA H200", "protocol differs")):
        score = [measured("tvqrap", "milliseconds", "input_64", 40.0, device=device)]
        found = paper_verdict(score, "tvqrap.efficiency_time", "tvqrap")
        assert found.verdict == expected
    differing(found, "published on RTX 3090, measured on NVIDIA H200")


def test_other_training_photos_are_other_data_but_not_for_the_authors_weights(workspace: Path, photo: Path) -> None:
    scores = [measured(entry, "psnr_y", "imagenet_test", 26.23) for entry in ("tvq_rec", "tvq_rec_released")]
    folder = photo.parent / "photos"
    folder.mkdir()
    photo.rename(folder / photo.name)
    mine = paper_verdict(scores, "tvqrap.tokenizer_psnr", "tvq_rec", train_photos=str(folder))
    differing(mine, "not on the paper's")
    assert paper_verdict(scores, *VALUE, train_photos=str(folder)).verdict == "reproduced"
