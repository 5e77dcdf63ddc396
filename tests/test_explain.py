"""Which convention gives a reported score."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import Command
from tests.scoring import score_of
from tvqsr.data.images import Pixels, read_image
from tvqsr.score.explain import CHANNELS, Reported, explain
from tvqsr.score.picture import cropped
from tvqsr.score.protocols import BY_FORMULA


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three photos of real texture and odd sizes, and noisy copies of them."""
    import skimage

    random = np.random.default_rng(0)
    sources = ("chelsea.png", "astronaut.png", "coffee.png")
    for number, name in enumerate(sources):
        photo = read_image(Path(skimage.__file__).parent / "data" / name)[60 : 161 + number, 90 : 203 + 2 * number]
        noisy = np.clip(photo + random.normal(0, 6 + 4 * number, photo.shape), 0, 255).round().astype(np.uint8)
        for folder, pixels in (("hr", photo), ("sr", noisy)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"p{number}.png")
    return tmp_path / "sr", tmp_path / "hr"


def images(folders: tuple[Path, Path]) -> list[tuple[Pixels, Pixels]]:
    sr, hr = folders
    return [(read_image(sr / file.name), read_image(file)) for file in sorted(hr.iterdir())]


def row(folders: tuple[Path, Path], samples: str, crop: int) -> dict[str, float]:
    sr, hr = folders
    pairs = [(file.stem, sr / file.name, file) for file in sorted(hr.iterdir())]
    table = explain(pairs, [Reported("26.85"), Reported("0.75")], [0, 4])
    found = table[(table.samples == samples) & (table.crop == crop)]
    return {name: float(found[name].iloc[0]) for name in ("psnr", "ssim", "ssim_pyiqa")}


@pytest.mark.parametrize("crop", [0, 4])
def test_rgb_and_studio_luma_are_the_suites_own_protocols(folders: tuple[Path, Path], crop: int) -> None:
    cut = [(cropped(sr, crop), cropped(hr, crop)) for sr, hr in images(folders)]
    found = row(folders, "Y of BT.601", crop)
    assert found["psnr"] == pytest.approx(np.mean([score_of("psnr_y", *pair) for pair in cut]), abs=1e-9)
    assert found["ssim"] == pytest.approx(np.mean([score_of("ssim_y", *pair) for pair in cut]), abs=1e-9)
    found = row(folders, "RGB", crop)
    assert found["psnr"] == pytest.approx(np.mean([score_of("psnr_rgb", *pair) for pair in cut]), abs=1e-9)
    assert found["ssim"] == pytest.approx(np.mean([score_of("ssim_rgb", *pair) for pair in cut]), abs=1e-9)


@pytest.mark.parametrize(("space", "luma"), [("ycbcr", "Y of BT.601"), ("yiq", "Y of YIQ")])
@pytest.mark.parametrize("crop", [0, 4])
def test_luma_against_pyiqa(folders: tuple[Path, Path], space: str, luma: str, crop: int) -> None:
    """Of luma, pyiqa rounds that of SSIM and not that of PSNR."""
    import pyiqa

    options = {"test_y_channel": True, "color_space": space, "crop_border": crop, "device": "cpu"}
    psnr, ssim = (pyiqa.create_metric(name, **options) for name in ("psnr", "ssim"))
    pairs = [
        [torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0) / 255 for pixels in pair]
        for pair in images(folders)
    ]
    assert row(folders, luma, crop)["psnr"] == pytest.approx(np.mean([float(psnr(*pair)) for pair in pairs]), abs=1e-4)
    rounded = row(folders, f"{luma}, rounded", crop)["ssim_pyiqa"]
    assert rounded == pytest.approx(np.mean([float(ssim(*pair)) for pair in pairs]), abs=1e-4)


def test_rounded_luma_is_matlabs() -> None:
    """`rgb2ycbcr` of 8-bit primaries and white: known values of BT.601."""
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]]], np.uint8)
    assert CHANNELS["Y of BT.601, rounded"](colours).tolist() == [[81, 145, 41, 235, 16]]
    assert CHANNELS["Y of YIQ, rounded"](colours).tolist() == [[76, 150, 29, 255, 0]]


def test_grey_files_count_as_they_are_where_there_are_any(folders: tuple[Path, Path], tvqsr: Command) -> None:
    """As MATLAB's scripts do; 219 / 255 of the range of shades is what luma of YCbCr has."""
    sr, hr = folders
    before = row(folders, "Y of BT.601", 4)["psnr"]
    noisy = np.array(Image.open(sr / "p0.png").convert("L"))
    Image.fromarray(np.stack([noisy] * 3, axis=-1)).save(sr / "p0.png")
    Image.open(hr / "p0.png").convert("L").save(hr / "p0.png")
    usual, kept = (row(folders, name, 4) for name in ("Y of BT.601", "Y of BT.601, grey photos as they are"))
    assert usual["psnr"] - kept["psnr"] == pytest.approx(20 * np.log10(255 / 219) / 3, abs=1e-3)
    assert kept["psnr"] != pytest.approx(before)
    grey = cropped(np.array(Image.open(hr / "p0.png"), dtype=float), 4), cropped(noisy.astype(float), 4)
    wanted = [10 * np.log10(255**2 / np.mean((grey[0] - grey[1]) ** 2))]
    wanted += [score_of("psnr_y", cropped(x, 4), cropped(y, 4)) for x, y in images(folders)[1:]]
    assert kept["psnr"] == pytest.approx(np.mean(wanted), abs=1e-3)
    shown = tvqsr("explain-score", "--sr", sr, "--hr", hr, "--reported", f"{kept['psnr']:.3f}").stdout
    assert "is given by: Y of BT.601, grey photos as they are, crop 4" in shown


def test_the_convention_behind_a_number_is_named(folders: tuple[Path, Path], tvqsr: Command) -> None:
    sr, hr = folders
    number = f"{row(folders, 'Y of YIQ', 4)['psnr']:.3f}"
    result = tvqsr("explain-score", "--sr", sr, "--hr", hr, "--reported", number)
    assert result.returncode == 0
    assert f"{number} is given by: Y of YIQ, crop 4" in result.stdout
    assert "ssim" not in result.stdout
    table = json.loads(tvqsr("explain-score", "--sr", sr, "--hr", hr, "--reported", number, "--json").stdout)
    assert len(table) == len(CHANNELS) * 2
    assert [line["samples"] for line in table if line["gives"]] == ["Y of YIQ"]


def test_two_numbers_of_one_paper_are_looked_for_together(folders: tuple[Path, Path], tvqsr: Command) -> None:
    sr, hr = folders
    wanted = row(folders, "RGB", 0)
    psnr, ssim = f"{wanted['psnr']:.2f}", f"{wanted['ssim']:.4f}"
    shown = tvqsr("explain-score", "--sr", sr, "--hr", hr, "--reported", psnr, "--reported", ssim).stdout
    (line,) = [line for line in shown.splitlines() if f"{psnr}, {ssim}" in line]
    assert line.startswith("| RGB")


BY_PROTOCOL = {
    "psnr_y": "Y of BT.601",
    "ssim_y": "Y of BT.601",
    "psnr_rgb": "RGB",
    "ssim_rgb": "RGB",
    "psnr_y_pyiqa": "Y of BT.601",
    "ssim_y_pyiqa": "Y of BT.601, rounded",
    "psnr_yiq": "Y of YIQ",
    "ssim_yiq": "Y of YIQ, rounded",
}


@pytest.fixture
def negatives(tmp_path: Path) -> tuple[Path, Path]:
    """Noise of another seed instead of texture: half the structure terms are negative."""
    import skimage

    photo = read_image(Path(skimage.__file__).parent / "data" / "chelsea.png")[60:161, 90:203]
    sr = np.random.default_rng(0).integers(0, 256, photo.shape, dtype=np.uint8)
    for folder, pixels in (("hr", photo), ("sr", sr)):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "p.png")
    return tmp_path / "sr", tmp_path / "hr"


def test_every_protocol_of_psnr_and_ssim_is_listed() -> None:
    told = {protocol.name for protocol in BY_FORMULA if protocol.title.startswith(("PSNR", "SSIM"))}
    assert told == set(BY_PROTOCOL)


@pytest.mark.parametrize("protocol", BY_PROTOCOL)
def test_each_protocol_is_named_for_its_own_value(negatives: tuple[Path, Path], tvqsr: Command, protocol: str) -> None:
    """To six digits, where each is another number: it alone is named."""
    number = f"{score_of(protocol, *images(negatives)[0]):.6f}"
    shown = tvqsr("explain-score", "--sr", negatives[0], "--hr", negatives[1], "--reported", number).stdout
    way = " (pyiqa: negative structure 0)" if protocol in ("ssim_y_pyiqa", "ssim_yiq") else ""
    assert f"{number} is given by: {BY_PROTOCOL[protocol]}, crop 0{way}" in shown.splitlines()


def test_zeros_at_the_end_are_kept(negatives: tuple[Path, Path], tvqsr: Command) -> None:
    """Of the numbers reported and of those computed, which have four digits."""
    table = tvqsr("explain-score", "--sr", negatives[1], "--hr", negatives[1], "--reported", "1.000").stdout
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    assert rows[0] == ["samples", "crop", "ssim", "ssim (pyiqa: negative structure 0)", "gives"]
    assert all(cells[2:] == ["1.0000", "1.0000", "1.000"] for cells in rows[1:])


def test_a_number_that_nothing_gives_is_told_with_the_nearest(folders: tuple[Path, Path], tvqsr: Command) -> None:
    sr, hr = folders
    shown = tvqsr("explain-score", "--sr", sr, "--hr", hr, "--reported", "5.00").stdout
    assert "5.00 is given by none of these; nearest is " in shown
    lowest = min((row(folders, name, crop)["psnr"], name, crop) for name in CHANNELS for crop in (0, 4))
    assert f"nearest is {lowest[1]}, crop {lowest[2]} ({lowest[0] - 5:+.4f})" in shown


def test_as_many_digits_as_are_printed_must_agree() -> None:
    assert Reported("26.85").is_given_by(26.8549)
    assert not Reported("26.85").is_given_by(26.8551)
    assert Reported("26.850").is_given_by(26.8504)
    assert not Reported("26.850").is_given_by(26.8549)
    assert Reported("27").is_given_by(26.6)
    assert (Reported("0.757").measure, Reported(".757").measure, Reported("26.85").measure) == ("ssim", "ssim", "psnr")


@pytest.mark.parametrize("wrong", ["x", "-3", "0", "1e1", "120", "nan", "2_6"])
def test_what_is_no_printed_score_is_refused(folders: tuple[Path, Path], tvqsr: Command, wrong: str) -> None:
    result = tvqsr("explain-score", "--sr", folders[0], "--hr", folders[1], f"--reported={wrong}")
    assert result.returncode == 2
    assert f"--reported {wrong}: expected a number as printed" in result.stderr


def test_images_that_do_not_fit_are_named(folders: tuple[Path, Path], tvqsr: Command) -> None:
    sr, hr = folders
    big = tvqsr("explain-score", "--sr", sr, "--hr", hr, "--reported", "26.85", "--crop", "50")
    assert big.returncode == 2
    assert "less than 11 pixels a side are left" in big.stderr
    Image.fromarray(np.zeros((50, 50, 3), np.uint8)).save(sr / "p1.png")
    other = tvqsr("explain-score", "--sr", sr, "--hr", hr, "--reported", "26.85")
    assert other.returncode == 2
    assert "p1.png: is 50 x 50, but" in other.stderr
