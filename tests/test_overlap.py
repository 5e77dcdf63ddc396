"""Photos that a training set and a test set share: known again in any disguise, and nothing else taken for them."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from tests.conftest import Command, shared
from tests.test_workflow import jobs, snakemake
from tvqsr.data import apart, overlap
from tvqsr.data.apart import check_overlap, refuse_shared, told
from tvqsr.data.bicubic import downscale, mod_crop
from tvqsr.data.images import read_image
from tvqsr.data.overlap import ALIKE, Photo, Shared, find_shared, prepared_photos, sign
from tvqsr.data.signature import Thumbnail, coarse, coarse_turned, likeness, thumbnail
from tvqsr.errors import UserError
from tvqsr.files import read_json, write_json
from tvqsr.plan import Plan
from tvqsr.plan.catalogue import source_of
from tvqsr.plan.folders import named_images
from tvqsr.plan.source import SkimageSource
from tvqsr.plan.stored import record

Preset = Callable[..., Path]
Disguise = Callable[[Image.Image], Image.Image]
EMBEDDED = Path(skimage.__file__).parent / "data"


def embedded(source: str) -> list[Photo]:
    """Photos of scikit-image, of one of the two sources of the catalogue."""
    found = source_of(source, "test")
    assert isinstance(found, SkimageSource)
    return [Photo(Path(name).stem, EMBEDDED / name) for name in sorted(found.files)]


def folder_photos(folder: Path) -> list[Photo]:
    return [Photo(name, path) for name, path in named_images(folder).items()]


def compared(training: list[Photo], tests: list[Photo]) -> list[Shared]:
    found, unreadable = find_shared(training, sign(training, 2, print), tests, 2)
    assert not unreadable
    return found


def pixels(change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Disguise:
    return lambda image: Image.fromarray(np.ascontiguousarray(change(np.asarray(image))))


def by_four(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return downscale(mod_crop(image, 4), 4)


DISGUISES: dict[str, tuple[Disguise, dict[str, Any]]] = {
    "half": (lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC), {}),
    "LR by MATLAB's bicubic": (pixels(by_four), {}),
    "JPEG 75": (lambda image: image, {"format": "JPEG", "quality": 75}),
    "JPEG 30": (lambda image: image, {"format": "JPEG", "quality": 30}),
    "cut to multiples of 12": (pixels(lambda image: mod_crop(image, 12)), {}),
    "11 pixels cut": (lambda image: image.crop((0, 0, image.width - 11, image.height - 11)), {}),
    "grey": (lambda image: image.convert("L"), {}),
    "mirrored": (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), {}),
    "upside down": (lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), {}),
    "turned": (lambda image: image.transpose(Image.Transpose.ROTATE_90), {}),
    "cut, transposed, LR, JPEG": (
        pixels(lambda image: by_four(mod_crop(image, 12)).swapaxes(0, 1)),
        {"format": "JPEG", "quality": 50},
    ),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_copy_is_known_again_and_nothing_else_is(
    tmp_path: Path, disguise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 17 photos in several goes, as a thousand times as many are.
    monkeypatch.setattr(overlap, "AT_ONCE", 5)
    change, options = DISGUISES[disguise]
    photos = embedded("skimage_train") + embedded("skimage_test")
    for photo in photos:
        assert photo.path is not None
        with Image.open(photo.path) as image:
            path = tmp_path / f"{photo.name}.{'jpg' if options else 'png'}"
            change(image.convert("RGB")).save(path, **options)
    found = compared(photos, folder_photos(tmp_path))
    assert [(pair.training, pair.test) for pair in found] == [(photo.name, photo.name) for photo in photos]
    assert all(ALIKE <= pair.likeness <= 1 for pair in found)


def test_the_same_file_under_another_name_is_said_to_be_it(tmp_path: Path) -> None:
    shutil.copy(EMBEDDED / "coffee.png", tmp_path / "other.png")
    (pair,) = compared(embedded("skimage_train"), folder_photos(tmp_path))
    assert pair == Shared("coffee", "other", 1.0, same_file=True)


def test_sets_of_the_presets_share_nothing() -> None:
    assert compared(embedded("skimage_train"), embedded("skimage_test")) == []


def test_another_shot_of_a_scene_is_not_the_same_photo() -> None:
    """The stated rule: a stereo pair is more alike than any two different photos, and is two photos."""
    left, right = ([Photo(name, EMBEDDED / f"{name}.png")] for name in ("motorcycle_left", "motorcycle_right"))
    assert compared(left, right) == []
    looks = [thumbnail(Image.open(photo.path)) for (photo,) in (left, right) if photo.path]
    assert 0.6 < likeness(looks[0], looks[1]) < ALIKE - 0.05


def test_a_small_crop_is_not_found(tmp_path: Path) -> None:
    """The stated blind spot; should this fail, the docstrings and the record say too little of what is found."""
    with Image.open(EMBEDDED / "coffee.png") as image:
        image.crop((100, 100, 356, 356)).save(tmp_path / "crop.png")
    assert compared(embedded("skimage_train"), folder_photos(tmp_path)) == []


def test_one_photo_of_set5_is_among_the_shared_training_photos() -> None:
    """BSDS500's 302003 is `woman`, three quarters as large: seen by eye. 595 x 78 others are different photos."""
    photos = folder_photos(shared("training_photos"))
    signatures = sign(photos, 2, print)
    found = {
        f"{folder.parent.name}/{folder.name}": find_shared(photos, signatures, folder_photos(folder), 2)[0]
        for folder in sorted(shared("testsets").glob("*/*"))
    }
    assert len(found) == 6
    woman = [found.pop(f"Set5/{folder}") for folder in ("HR", "LR_bicubic_X4")]
    assert [[pair.training for pair in pairs] for pairs in woman] == [["bsds500_train_test__302003"]] * 2
    assert [pair.test for pairs in woman for pair in pairs] == ["woman", "womanx4"]
    assert not any(found.values())


def test_set5_and_set14_share_a_face() -> None:
    sets = [folder_photos(shared("testsets", name, "HR")) for name in ("Set5", "Set14")]
    (pair,) = compared(*sets)
    assert (pair.training, pair.test, pair.same_file) == ("head", "face", False)


def test_photos_that_show_nothing_are_the_same_only_as_files(tmp_path: Path) -> None:
    for name, level in (("black", 0), ("grey", 128)):
        (tmp_path / name).mkdir()
        samples = np.full((90, 120, 3), level, np.uint8)
        samples[40, 60] = 255
        Image.fromarray(samples).save(tmp_path / name / f"{name}.png")
    black, grey = (folder_photos(tmp_path / name) for name in ("black", "grey"))
    assert compared(black, grey) == []
    shutil.copy(tmp_path / "black" / "black.png", tmp_path / "grey" / "again.png")
    assert [pair.test for pair in compared(black, folder_photos(tmp_path / "grey"))] == ["again"]


def test_what_cannot_be_read_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    content = (EMBEDDED / "rocket.jpg").read_bytes()
    for name, data in (("cut", content[:20000]), ("text", b"no image"), ("whole", content)):
        (tmp_path / f"{name}.jpg").write_bytes(data)
    photos = folder_photos(tmp_path)
    signatures = sign(photos, 2, print)
    assert [photo.name for photo, known in zip(photos, signatures["readable"], strict=True) if known] == ["whole"]
    found, unreadable = find_shared(photos, signatures, photos, 2)
    assert found == [Shared("whole", "whole", 1.0, same_file=True)]
    assert unreadable == ["cut", "text"]


def looks() -> list[Thumbnail]:
    return [thumbnail(Image.open(EMBEDDED / name)) for name in ("chelsea.png", "coffee.png")]


def described(samples: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Cosine coefficients by scipy in float64, weighted by frequency, of length 1."""
    spectrum = dctn(samples.astype(np.float64), norm="ortho")[:count, :count]
    weighted = [spectrum[u, v] * np.hypot(u, v) for u in range(count) for v in range(count)]
    return np.array(weighted) / np.linalg.norm(weighted)


def orientations(samples: NDArray[Any]) -> list[NDArray[Any]]:
    return [np.rot90(side, turns) for side in (samples, samples[:, ::-1]) for turns in range(4)]


def test_descriptions_are_weighted_cosine_coefficients_in_all_orientations() -> None:
    one = np.stack(looks())
    expected = np.stack([described(samples, 12) for samples in one])
    np.testing.assert_allclose(coarse(one), expected, atol=1e-5)
    turned = coarse_turned(one)
    assert turned.shape == (2, 8, 144)
    for samples, found in zip(one, turned, strict=True):
        wanted = [described(side, 12) for side in orientations(samples)]
        # Each orientation is there once, whatever their order.
        match = np.abs(np.array(wanted)[:, None] - found[None]).max(axis=2) < 1e-5
        assert match.sum(axis=0).tolist() == match.sum(axis=1).tolist() == [1] * 8


def test_likeness_is_the_best_correlation_over_cuts_and_orientations() -> None:
    cat, cup = looks()
    cuts = [(0, 0), *((n, 0) for n in (1, 2, 3)), *((0, n) for n in (1, 2, 3))]

    def best(cut: Thumbnail, whole: Thumbnail) -> float:
        views = [
            described(cut[top : 64 - bottom, left : 64 - right], 16)
            for (top, bottom), (left, right) in itertools.product(cuts, cuts)
        ]
        return max(float(view @ described(side, 16)) for view in views for side in orientations(whole))

    tilted = np.rot90(np.asarray(Image.fromarray(cat[:62, 3:]).resize((64, 64))))
    for one, other in ((cat, cup), (cat, tilted), (tilted, cat)):
        assert likeness(one, other) == pytest.approx(max(best(one, other), best(other, one)), abs=1e-5)
    assert likeness(cat, tilted) > 0.99
    assert likeness(cat, cup) < 0.5


def sharing(content: dict[str, Any], folder: Path, **spec: Any) -> None:
    """Folders of photos to train on and to test on; one of the first is in the second, too, smaller and as JPEG."""
    training, testing = folder / "train", folder / "test"
    if not training.is_dir():
        for place, names in ((training, ("coffee.png", "clock_motion.png", "ihc.png")), (testing, ("coins.png",))):
            place.mkdir()
            for name in names:
                shutil.copy(EMBEDDED / name, place / name)
        with Image.open(EMBEDDED / "coffee.png") as image:
            image.resize((300, 200)).save(testing / "cup.jpg", quality=60)
    content["datasets"] = {
        "photos_train": {"folder": str(training)} | spec,
        "photos_test": {"folder": str(testing)},
    }


def planned(preset: Preset, workspace: Path, **spec: Any) -> Plan:
    plan = Plan.load(str(preset(lambda content: sharing(content, workspace, **spec))))
    write_json(plan.paths.record, record(plan))
    return plan


REFUSED = (
    r"overlap\.json: 1 photo of `photos_train` in test sets: `coffee` is `cup` of photos_test; remove .*"
    r"`datasets: \{photos_train: \{may_share: \[photos_test\]\}\}`"
)


@pytest.mark.parametrize("store", ["pixels", "files"])
def test_a_shared_photo_stops_what_is_trained_and_what_is_made_with_it(
    preset: Preset, workspace: Path, tvqsr: Command, store: str
) -> None:
    plan = planned(preset, workspace, store=store)
    root, run = plan.paths.root, next(iter(plan.runs))
    for dataset in ("photos_train", "photos_test"):
        assert tvqsr("prepare", root, dataset).returncode == 0
    assert "not compared with the test sets" in tvqsr("upscale-entry", root, "vq_rec", "photos_test").stderr
    result = tvqsr("check-overlap", root, "photos_train", "--threads", 1)
    assert result.returncode == 0, result.stderr
    assert "1 of 3 photos are in photos_test (2)" in result.stderr
    steps = (("train", root, run), ("upscale-entry", root, "vq_rec", "photos_test"), ("report", root))
    for step in steps:
        result = tvqsr(*step)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
        with pytest.raises(UserError, match=REFUSED):
            raise UserError(result.stderr)
    assert not plan.paths.run(run, 0).exists()
    # Nothing was trained for a control.
    assert tvqsr("upscale-entry", root, "bicubic", "photos_test").returncode == 0


def test_a_photo_may_be_shared_by_name(preset: Preset, workspace: Path, tvqsr: Command) -> None:
    plan = planned(preset, workspace, may_share=["photos_test"])
    for dataset in ("photos_train", "photos_test"):
        tvqsr("prepare", plan.paths.root, dataset)
    check_overlap(plan, "photos_train", 1, print)
    refuse_shared(plan, "photos_train")
    assert told(plan) == ["1 photo of photos_train in photos_test: allowed by the preset."]
    found = read_json(plan.paths.overlap("photos_train"))
    assert "crops" in found["blind_to"]
    (pair,) = found["test_sets"]["photos_test"]["shared"]
    assert (pair["training"], pair["test"], pair["same_file"]) == ("coffee", "cup", False)


def test_another_test_photo_is_compared_without_reading_training_photos_again(
    preset: Preset, workspace: Path, tvqsr: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(preset, workspace, store="files")
    (workspace / "test" / "cup.jpg").unlink()
    for dataset in ("photos_train", "photos_test"):
        tvqsr("prepare", plan.paths.root, dataset)
    check_overlap(plan, "photos_train", 1, print)
    refuse_shared(plan, "photos_train")
    assert told(plan)[0].startswith("None of the 3 photos of photos_train is in photos_test, by its file or by its")

    def sign_no_more(*_: object) -> None:
        raise AssertionError("training photos are read again")

    monkeypatch.setattr(apart, "sign", sign_no_more)
    shutil.copy(EMBEDDED / "ihc.png", workspace / "test" / "cells.png")
    tvqsr("prepare", plan.paths.root, "photos_test")
    check_overlap(plan, "photos_train", 1, print)
    with pytest.raises(UserError, match="`ihc` is `cells` of photos_test"):
        refuse_shared(plan, "photos_train")

    # A training photo that changes is looked at again, though the list of files is as it was.
    monkeypatch.setattr(apart, "sign", sign)
    shutil.copy(EMBEDDED / "coins.png", workspace / "train" / "ihc.png")
    check_overlap(plan, "photos_train", 1, print)
    with pytest.raises(UserError, match="`ihc` is `coins` of photos_test"):
        refuse_shared(plan, "photos_train")
    assert len(list(plan.paths.dataset("photos_train").glob("signatures.*.npy"))) == 1


def test_a_test_set_without_hr_is_compared_by_its_lr(preset: Preset, workspace: Path, tvqsr: Command) -> None:
    lr = workspace / "lr"
    lr.mkdir()
    Image.fromarray(by_four(read_image(EMBEDDED / "coffee.png"))).save(lr / "small.png")

    def change(content: dict[str, Any]) -> None:
        sharing(content, workspace)
        content["datasets"]["real"] = {"lr_folder": str(lr), "protocols": ["niqe"]}
        content["test_on"] = ["photos_test", "real"]

    plan = Plan.load(str(preset(change)))
    write_json(plan.paths.record, record(plan))
    for dataset in ("photos_train", "real"):
        assert tvqsr("prepare", plan.paths.root, dataset).returncode == 0
    training, real = (prepared_photos(plan.paths.dataset(name)) for name in ("photos_train", "real"))
    assert [(pair.training, pair.test) for pair in compared(training, real)] == [("coffee", "small")]


def test_the_workflow_stops_before_training(preset: Preset, workspace: Path) -> None:
    path = preset(lambda content: sharing(content, workspace))
    results = workspace / "results" / "mine"
    result = snakemake(workspace, "main_table", "entries=[vq_rec]", preset=path)
    assert result.returncode != 0
    with pytest.raises(UserError, match=REFUSED):
        raise UserError(result.stdout + result.stderr)
    assert read_json(results / "data" / "photos_train" / "overlap.json")["photos"] == 3
    assert not list(results.glob("runs/*/seed0/state"))
    allowed = preset(lambda content: sharing(content, workspace, may_share=["photos_test"]))
    again = jobs(snakemake(workspace, "-n", "main_table", "entries=[vq_rec]", preset=allowed).stdout)
    assert again["train"] == 1
    assert not {"prepare", "check_overlap"} & set(again)


def test_nothing_trained_is_nothing_compared(workspace: Path) -> None:
    result = snakemake(workspace, "-n", "entries=[bicubic]")
    assert "check_overlap" not in jobs(result.stdout + result.stderr)


def test_a_set_is_kept_apart_from_those_that_it_is_tested_on() -> None:
    plan = Plan.load("paper", {"entries": "all"})
    tracks = {track: set(sets) for track, sets in plan.preset.tracks.items()}
    assert set(plan.kept_apart("imagenet_train")) == tracks["realesrgan"]
    assert set(plan.kept_apart("df2k")) == tracks["bicubic"] | tracks["bsrgan"]
    assert plan.training_sets_of("bicubic") == []


@pytest.mark.parametrize(
    ("dataset", "allowed", "message"),
    [
        (
            "photos_train",
            "photo_test",
            r"photos_train\.may_share: `photo_test` is not in `test_on`; did you mean `photos_t",
        ),
        ("photos_train", "photos_train", r"photos_train\.may_share: `photos_train` is not in `test_on`"),
        ("photos_test", "photos_test", r"photos_test\.may_share: is for training sets, and nothing is trained on"),
    ],
)
def test_what_may_not_be_shared_is_named(preset: Preset, dataset: str, allowed: str, message: str) -> None:
    path = preset(lambda content: content["datasets"][dataset].update(may_share=[allowed]))
    with pytest.raises(UserError, match=message):
        Plan.load(str(path))


def test_places_may_be_shared_by_name_and_nothing_is_made_anew_for_it(preset: Preset, workspace: Path) -> None:
    def nested(content: dict[str, Any], **spec: Any) -> None:
        sharing(content, workspace)
        content["datasets"]["photos_train"] = {"folder": str(workspace / "train")} | spec
        content["datasets"]["photos_test"] = {"folder": str(workspace / "train" / "part")}
        (workspace / "train" / "part").mkdir(exist_ok=True)
        shutil.copy(EMBEDDED / "coins.png", workspace / "train" / "part" / "coins.png")

    with pytest.raises(UserError, match=r"`photos_test` .* lies in .*may_share: \[photos_test\]` allows it"):
        Plan.load(str(preset(nested)))
    inside = Plan.load(str(preset(lambda content: nested(content, may_share=["photos_test"]))))
    apart_from = Plan.load(str(preset(lambda content: sharing(content, workspace))))
    together = Plan.load(str(preset(lambda content: sharing(content, workspace, may_share=["photos_test"]))))
    assert inside.kept_apart("photos_train") == ["photos_test"]
    assert list(together.runs) == list(apart_from.runs)
    assert together.prepare_key("photos_train") == apart_from.prepare_key("photos_train")
    assert together.page_key() != apart_from.page_key()


def test_folders_are_compared_by_hand(workspace: Path, tvqsr: Command, tvqsr_alone: Command) -> None:
    sharing({}, workspace)
    result = tvqsr_alone("overlap", "train", "test")
    assert result.returncode == 1
    assert [word for word in ("coffee", "cup", "0.99") if word not in result.stdout] == []
    assert "1 of 3 photos of train are in test (2); not seen are crops" in result.stderr
    (workspace / "test" / "cup.jpg").unlink()
    result = tvqsr("overlap", "train", "test")
    assert (result.returncode, result.stdout) == (0, "")
    result = tvqsr("overlap", "train", "nowhere")
    assert (result.returncode, result.stderr) == (2, "tvqsr: error: nowhere: no such folder\n")
