"""`tvqsr degrade`: LR of a folder, its log, what is made again, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import torch
from PIL import Image

from tests.conftest import ROOT, Command, shared
from tvqsr.data.bicubic import downscale, mod_crop
from tvqsr.data.degrade import RECIPES, apply
from tvqsr.data.degrade.log import as_json, from_json
from tvqsr.data.images import read_image, write_png
from tvqsr.data.manifest import read_pairs
from tvqsr.data.prepare import prepare
from tvqsr.files import HOST, sha256
from tvqsr.plan.degradation import Degradation
from tvqsr.plan.digest import source_digest, sources
from tvqsr.plan.preset import DatasetSpec

RANDOM: tuple[Degradation, ...] = ("realesrgan", "aesop", "tvqrap", "resshift_test", "bsrgan", "bsrgan_plus")


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    """Three real crops of odd sizes; one in a folder inside, one grey."""
    folder = tmp_path / "hr"
    write_png(folder / "cat.png", skimage.data.chelsea()[60:167, 120:250])
    write_png(folder / "inside" / "cup.png", skimage.data.coffee()[100:196, 100:200])
    Image.fromarray(skimage.data.camera()[100:193, 200:301]).save(folder / "man.png")
    return folder


def lines(lr: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (lr / "degradation.jsonl").read_text().splitlines()]


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_public_lr_comes_out_to_the_last_bit(tvqsr: Command, tmp_path: Path) -> None:
    """Set14 has a grey image, too, whose LR file is grey: its samples are compared as RGB."""
    for testset, count in (("Set5", 5), ("Set14", 14)):
        folder, out = shared("testsets", testset), tmp_path / testset
        done = tvqsr("degrade", "bicubic", "--scale", 4, folder / "HR", out)
        assert done.returncode == 0, done.stderr
        assert f"{count} made" in done.stderr
        for path in (folder / "HR").iterdir():
            expected = read_image(folder / "LR_bicubic_X4" / f"{path.stem}x4.png")
            assert np.array_equal(read_image(out / path.name), expected), path.name
    assert {Image.open(path).mode for path in (shared("testsets", "Set14") / "HR").iterdir()} == {"RGB", "L"}


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_bicubic_at_every_scale(tvqsr: Command, hr: Path, tmp_path: Path, scale: int) -> None:
    done = tvqsr("degrade", "bicubic", hr, tmp_path / "lr", "--scale", scale)
    assert done.returncode == 0, done.stderr
    assert f"cut right and below to multiples of {scale} first" in done.stderr
    photo = read_image(hr / "cat.png")
    assert np.array_equal(read_image(tmp_path / "lr" / "cat.png"), downscale(mod_crop(photo, scale), scale))
    cat, cup, man = lines(tmp_path / "lr")
    assert (cat["name"], cup["name"], man["name"]) == ("cat", "inside__cup", "man")
    assert cat["size"] == [107, 130]
    assert cat["cut"] == [107 % scale, 130 % scale]
    assert cat["lr_size"] == [107 // scale, 130 // scale]
    assert "drawn" not in cat
    assert cat["source_sha256"] == sha256(hr / "cat.png")


def test_hr_is_cut_to_the_multiple_asked_for(tvqsr: Command, hr: Path, tmp_path: Path) -> None:
    assert tvqsr("degrade", "bicubic", hr, tmp_path / "lr", "--multiple", 12).returncode == 0
    assert lines(tmp_path / "lr")[0]["cut"] == [107 % 12, 130 % 12]
    assert read_image(tmp_path / "lr" / "cat.png").shape == (96 // 4, 120 // 4, 3)


@pytest.mark.parametrize("name", RANDOM)
def test_lr_is_that_of_prepare_and_is_made_again_from_its_line(
    tvqsr: Command, hr: Path, tmp_path: Path, name: Degradation
) -> None:
    lr = tmp_path / "lr"
    done = tvqsr("degrade", name, hr, lr, "--seed", 0)
    assert done.returncode == 0, done.stderr
    prepare(DatasetSpec(folder=str(hr), degradation=name), tmp_path / "set", False, lambda _: None)
    pairs = {pair.name: pair.lr() for pair in read_pairs(tmp_path / "set")}
    assert sorted(pairs) == ["cat", "inside__cup", "man"]
    for line, file in zip(lines(lr), (hr / "cat.png", hr / "inside" / "cup.png", hr / "man.png"), strict=True):
        made = read_image(lr / f"{line['name']}.png")
        assert np.array_equal(made, pairs[line["name"]])
        photo = read_image(file)
        kept = photo[: photo.shape[0] - line["cut"][0], : photo.shape[1] - line["cut"][1]]
        unit = torch.from_numpy(kept.copy()).permute(2, 0, 1)[None] / 255
        again = apply(unit, [from_json(line["drawn"])], line["sharpened"], line["scale"])
        assert np.array_equal(again[0].permute(1, 2, 0).mul(255).round().byte().numpy(), made)


@pytest.mark.parametrize("name", RANDOM)
def test_every_draw_survives_its_log(name: str) -> None:
    from tvqsr.data.degrade import draw_for

    for number in range(300):
        drawn = draw_for(RECIPES[name], [number])
        assert from_json(json.loads(json.dumps(as_json(drawn)))) == drawn


def test_a_photo_s_lr_is_its_own(tvqsr: Command, hr: Path, tmp_path: Path) -> None:
    """It depends on its name and the seed, not on its neighbours."""
    assert tvqsr("degrade", "realesrgan", hr, tmp_path / "all").returncode == 0
    (tmp_path / "alone").mkdir()
    shutil.copy(hr / "man.png", tmp_path / "alone" / "man.png")
    shutil.copy(hr / "man.png", tmp_path / "alone" / "nam.png")
    assert tvqsr("degrade", "realesrgan", tmp_path / "alone", tmp_path / "one").returncode == 0
    assert (tmp_path / "one" / "man.png").read_bytes() == (tmp_path / "all" / "man.png").read_bytes()
    assert (tmp_path / "one" / "nam.png").read_bytes() != (tmp_path / "all" / "man.png").read_bytes()
    assert [line["seed"] for line in lines(tmp_path / "one")] == [[0, 1772263384], [0, 4075649083]], (
        "CRC-32 of the names"
    )
    assert tvqsr("degrade", "realesrgan", hr, tmp_path / "seed1", "--seed", 1).returncode == 0
    assert (tmp_path / "seed1" / "man.png").read_bytes() != (tmp_path / "all" / "man.png").read_bytes()


def test_recipes_of_scale_2_halve(tvqsr: Command, hr: Path, tmp_path: Path) -> None:
    for name in ("realesrgan", "bsrgan", "bsrgan_plus"):
        assert tvqsr("degrade", name, hr, tmp_path / name, "--scale", 2).returncode == 0
        assert read_image(tmp_path / name / "cat.png").shape == (53, 65, 3)


def test_what_is_proven_to_be_there_is_left_alone(tvqsr: Command, hr: Path, tmp_path: Path) -> None:
    """By source, parameters, code and LR itself; whatever differs is made again."""
    lr = tmp_path / "lr"

    def made(*words: object) -> int:
        done = tvqsr("degrade", "resshift_test", hr, lr, *words)
        assert done.returncode == 0, done.stderr
        return int(done.stderr.split(" made, ")[0].split()[-1])

    assert made() == 3
    first = everything(lr)
    assert made() == 0
    assert everything(lr) == first
    assert made("--seed", 1) == 3
    assert made("--seed", 1, "--multiple", 8) == 3
    assert made() == 3
    (lr / "man.png").write_bytes(first["cat.png"])
    assert made() == 1
    (lr / "cat.png").unlink()
    assert made() == 1
    assert everything(lr) == first
    write_png(hr / "cat.png", read_image(hr / "cat.png")[::-1])
    assert made() == 1
    changed = lines(lr)
    changed[0]["made_by"]["code"] = "another"
    (lr / "degradation.jsonl").write_text("".join(json.dumps(line) + "\n" for line in changed))
    assert made() == 1
    assert tvqsr("degrade", "bsrgan", hr, lr).stderr.count("3 made") == 1


def test_the_log_names_the_code_of_every_operator(tvqsr: Command, hr: Path, tmp_path: Path) -> None:
    """LR made by other code is made again: what the digest stands for holds recipes and operators."""
    lr_code = ROOT / "tvqsr" / "data" / "lr.py"
    operators = {
        "bicubic",
        "kernels",
        "filters",
        "noise",
        "jpeg",
        "resize",
        "recipes",
        "bsrgan",
        "parameters",
        "pipeline",
    }
    assert operators <= {file.stem for file in sources(lr_code)}
    assert tvqsr("degrade", "bicubic", hr, tmp_path / "lr").returncode == 0
    assert {line["made_by"]["code"] for line in lines(tmp_path / "lr")} == {source_digest(lr_code)}


def test_a_kill_at_any_moment_leaves_nothing_that_a_rerun_does_not_mend(hr: Path, tmp_path: Path) -> None:
    """SIGKILL after varied delays, each on what the last one left; then a plain rerun equals an undisturbed run."""
    for number in range(12):
        write_png(hr / f"face{number}.png", skimage.data.astronaut()[number:])
    command = [sys.executable, "-m", "tvqsr", "degrade", "bicubic", str(hr)]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    cut = tmp_path / "cut"
    killed = 0
    for number in range(6):
        with subprocess.Popen([*command, str(cut)], stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and len(list(cut.glob("*.png"))) <= number * 2:
                time.sleep(0.01)
            time.sleep(0.013 * number)
            killed += process.poll() is None
            os.kill(process.pid, signal.SIGKILL)
    assert killed >= 1
    subprocess.run([*command, str(cut)], check=True, capture_output=True)
    assert everything(cut) == everything(tmp_path / "whole")


def test_what_a_killed_process_leaves_is_mended(tvqsr: Command, hr: Path, tmp_path: Path) -> None:
    """Half a PNG, half a line, and a line whose PNG never got its name."""
    lr = tmp_path / "lr"
    assert tvqsr("degrade", "bicubic", hr, lr).returncode == 0
    whole = everything(lr)
    (lr / f".cat.png.123@{HOST}.part").write_bytes(whole["cat.png"][:100])
    (lr / "man.png").unlink()
    log = lr / "degradation.jsonl"
    log.write_bytes(whole["degradation.jsonl"][:-40])
    assert tvqsr("degrade", "bicubic", hr, lr).returncode == 0
    assert everything(lr) == whole


def test_folders_that_do_not_do_are_refused(tvqsr: Command, hr: Path, tmp_path: Path) -> None:
    def refused(*words: object) -> str:
        done = tvqsr("degrade", *words)
        assert done.returncode == 2
        error = done.stderr.strip().splitlines()[-1]
        assert error.startswith("tvqsr: error: ")
        return error

    before = sorted(hr.rglob("*"))
    assert "is the folder of HR or in it" in refused("bicubic", hr, hr)
    assert "is the folder of HR or in it" in refused("bicubic", hr, hr / "lr" / "x4")
    (tmp_path / "link").symlink_to(hr)
    assert "is the folder of HR or in it" in refused("bicubic", hr, tmp_path / "link")
    assert "hr: is no LR that this command made" in refused("bicubic", hr, tmp_path)
    assert sorted(hr.rglob("*")) == before
    theirs = tmp_path / "theirs"
    write_png(theirs / "cat.png", read_image(hr / "cat.png"))
    kept = everything(theirs)
    assert "cat.png: is no LR that this command made" in refused("bicubic", hr, theirs)
    assert everything(theirs) == kept
    (tmp_path / "file").touch()
    assert "is no folder" in refused("bicubic", hr, tmp_path / "file")
    assert "no such folder" in refused("bicubic", tmp_path / "none", tmp_path / "lr")
    (tmp_path / "empty").mkdir()
    assert "holds no image" in refused("bicubic", tmp_path / "empty", tmp_path / "lr")
    assert not (tmp_path / "lr").exists()


def test_lr_of_a_photo_that_is_gone_is_told(tvqsr: Command, hr: Path, tmp_path: Path) -> None:
    assert tvqsr("degrade", "bicubic", hr, tmp_path / "lr").returncode == 0
    (hr / "cat.png").unlink()
    done = tvqsr("degrade", "bicubic", hr, tmp_path / "lr")
    assert done.returncode == 2
    assert "cat.png: is LR of a photo that is no longer in HR's folder; remove it" in done.stderr
    assert (tmp_path / "lr" / "cat.png").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("realesrgn",), "unknown degradation `realesrgn`; did you mean `realesrgan`?"),
        (("bicubic", "--scale", 5), "--scale 5: `bicubic` is defined for 2, 3, 4, 8 only"),
        (("bsrgan", "--scale", 3), "--scale 3: `bsrgan` is defined for 2, 4 only"),
        (("aesop", "--scale", 2), "--scale 2: `aesop` is defined for 4 only"),
        (("bicubic", "--multiple", 6), "--multiple 6: expected a multiple of the scale, 4"),
        (("bicubic", "--multiple", 0), "--multiple 0: expected a multiple of the scale, 4"),
        (("aesop", "--seed", -1), "--seed -1: expected 0 or more"),
        (("aesop", "--device", "gpu"), "--device gpu: expected `cpu` or `cuda`"),
        (("aesop", "--device", "cuda:1"), "--device cuda:1: expected `cpu` or `cuda`"),
        (("bicubic", "--multiple", 100), "cup.png: is smaller than 100 x 100 pixels"),
    ],
)
def test_bad_options_are_told_in_one_line(
    tvqsr: Command, hr: Path, tmp_path: Path, words: tuple[object, ...], message: str
) -> None:
    done = tvqsr("degrade", words[0], hr, tmp_path / "lr", *words[1:])
    assert done.returncode == 2
    assert message in done.stderr.strip().splitlines()[-1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPU")
def test_a_gpu_that_is_not_there_is_told(tvqsr: Command, hr: Path, tmp_path: Path) -> None:
    done = tvqsr("degrade", "aesop", hr, tmp_path / "lr", "--device", "cuda")
    assert "torch sees no GPU here" in done.stderr


def test_an_odd_image_stops_in_one_line_and_keeps_what_was_made(tvqsr: Command, hr: Path, tmp_path: Path) -> None:
    (hr / "dog.png").write_bytes((hr / "cat.png").read_bytes()[:2000])
    done = tvqsr("degrade", "bicubic", hr, tmp_path / "lr")
    assert done.returncode == 2
    assert "dog.png: damaged or truncated image" in done.stderr.strip().splitlines()[-1]
    assert [line["name"] for line in lines(tmp_path / "lr")] == ["cat"]
    (hr / "dog.png").unlink()
    done = tvqsr("degrade", "bicubic", hr, tmp_path / "lr")
    assert "2 made, 1 there already" in done.stderr
