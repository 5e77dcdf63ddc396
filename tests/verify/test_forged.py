"""Forgeries whose hashes, scores, tables and verdicts were mended after: only what they are made of gives them away."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFile
from safetensors.numpy import load_file, save_file

from tests.verify.breaking import EVERY, change, failures
from tvqsr.cli import main
from tvqsr.data.images import Pixels, read_image, write_png
from tvqsr.data.manifest import Pair
from tvqsr.errors import UserError
from tvqsr.files import read_json, sha256
from tvqsr.verify.copies import hit
from tvqsr.verify.near import distance, judged
from tvqsr.verify.outcome import Outcome
from tvqsr.verify.sample import Sample
from tvqsr.verify.verify import verify

MADE_AGAIN = Sample(0, 0, 99, 600.0)


def folder_of(bundle: Path, entry: str, seed: int = 0) -> Path:
    return bundle / f"images/{entry}/seed{seed}/photos_test"


def mend(bundle: Path, *places: tuple[str, int]) -> None:
    """Make hashes, scores, tables and verdicts fit the images that lie there."""

    def hashes(record: dict[str, Any]) -> None:
        for name, about in record["images"].items():
            about["sha256"] = sha256(folder / f"{name}.png")

    for entry, seed in places:
        folder = folder_of(bundle, entry, seed)
        change(folder / "run.json", hashes)
        assert main(["score-entry", str(bundle), entry, "photos_test", "--seed", str(seed)]) == 0
    assert main(["table", str(bundle), "main"]) == 0
    assert main(["claims", str(bundle)]) == 0


def lines(found: dict[str, list[Outcome]]) -> list[str]:
    return [f"{outcome.subject}: {outcome.why}" for outcomes in found.values() for outcome in outcomes]


def repaint(path: Path, by: int) -> None:
    pixels = read_image(path).astype(np.int16)
    write_png(path, np.where(pixels < 128, pixels + by, pixels - by).astype(np.uint8))


def other_pixel(source: Path, target: Path) -> None:
    pixels = read_image(source).copy()
    pixels[5, 5, 1] ^= 1
    write_png(target, pixels)


def test_copies_of_seeds_of_hr_and_of_controls_are_found(bundle: Path) -> None:
    """By pixels alone, not to the bit, and nothing else is wrong."""
    hr = read_image(bundle / "data/photos_test/HR/test1.png").copy()
    hr[:4] = 0
    for entry in ("vq", "vq_rec"):
        write_png(folder_of(bundle, entry) / "test1.png", hr)
    for source in folder_of(bundle, "vq", 0).glob("*.png"):
        target = folder_of(bundle, "vq", 1) / source.name
        Image.open(source).save(target, compress_level=1)
        assert sha256(source) != sha256(target)
    other_pixel(folder_of(bundle, "vq_rec", 0) / "test2.png", folder_of(bundle, "vq_rec", 1) / "test2.png")
    for entry in ("bicubic", "hr_copy"):
        other_pixel(folder_of(bundle, entry) / "test3.png", folder_of(bundle, entry) / "test3.png")
    mend(bundle, ("vq", 0), ("vq", 1), ("vq_rec", 0), ("vq_rec", 1), ("bicubic", 0), ("hr_copy", 0))
    found = failures(bundle)
    assert set(found) == {"seeds", "copies", "controls"}
    assert lines({"seeds": found["seeds"]}) == [
        f"{entry} on photos_test seeds 0 and 1 (images): {names} of both are one and the same image: "
        f"these are not two seeds"
        for entry, names in (("vq", "test0, test1, test2, test3"), ("vq_rec", "test2"))
    ]
    told = lines({"copies": found["copies"]})
    assert [line.split(":")[0] for line in told] == [
        f"{which} on photos_test (4 images)" for which in ("vq seed 0", "vq seed 1", "vq_rec seed 0")
    ]
    assert all("test1 is HR in 9" in line for line in told)
    assert [line.rsplit(" though it is ")[1] for line in told] == ["made from LR", "made from LR", "a reconstruction"]
    assert [outcome.why for outcome in found["controls"]] == [
        f"test3: other pixels than `{entry}` makes of the bundle's photos" for entry in ("bicubic", "hr_copy")
    ]


def test_a_flat_photo_is_no_copy(tmp_path: Path) -> None:
    hr = np.full((32, 32, 3), 7, np.uint8)
    write_png(tmp_path / "lr.png", hr[:8, :8])
    assert hit(hr, hr, Pair("flat", None, tmp_path / "lr.png")) == 0.0


def test_images_accuracy_and_codes_that_the_weights_do_not_make_are_found(bundle: Path) -> None:
    repaint(folder_of(bundle, "vq", 1) / "test0.png", by=2)

    def other_accuracy(record: dict[str, Any]) -> None:
        record["images"]["test1"]["index_accuracy"] += 0.25

    def other_codes(record: dict[str, Any]) -> None:
        counts = record["codes"]["codebooks"][0]["counts"]
        counts[0], counts[-1] = counts[-1] + 100, counts[0]

    change(folder_of(bundle, "vq", 0) / "run.json", other_accuracy)
    change(folder_of(bundle, "vq_rec", 0) / "run.json", other_codes)
    change(folder_of(bundle, "vq_rec", 1) / "run.json", lambda record: record.update(parameters=1))
    mend(bundle, ("vq", 1))
    assert failures(bundle) == {}
    outcomes = [outcome for outcome in verify(bundle, MADE_AGAIN) if outcome.status == "failed"]
    assert {outcome.check for outcome in outcomes} == {"remade"}
    told = {outcome.subject: outcome.why for outcome in outcomes}
    assert "is not what the bundle's weights make here" in told.pop("vq seed 1 on photos_test (test0)")
    assert "its index accuracy is " in told.pop("vq seed 0 on photos_test (test1)")
    assert "of its codes are others than recorded" in told.pop("vq_rec seed 0 on photos_test (codes)")
    assert "parameters, its record 1" in told.pop("vq_rec seed 1 on photos_test (parameters)")
    assert not told


def test_images_said_to_be_made_with_other_weights_are_found(bundle: Path) -> None:
    change(folder_of(bundle, "vq", 0) / "run.json", lambda record: record.update(weights_sha256={}))
    outcomes = [outcome for outcome in verify(bundle, Sample(0, 0, 1, 0.01)) if outcome.check == "remade"]
    assert ("vq seed 0 on photos_test", "was made with other weights than the bundle's") in [
        (outcome.subject, outcome.why) for outcome in outcomes if outcome.status == "failed"
    ]
    late = [outcome.why for outcome in outcomes if outcome.status == "not checked"]
    assert late.count("could not be made again here (not made again within 0.01 s (`--seconds S` gives more))") == 3


def test_what_is_left_to_be_believed_is_told_once_for_each_kind(bundle: Path) -> None:
    told = [outcome for outcome in verify(bundle, EVERY) if outcome.check in ("trust", "remade")]
    assert {outcome.status for outcome in told} == {"not checked"}
    assert [outcome.subject.rstrip(".") for outcome in told] == [
        "images and codes of 4 entries and seeds (vq seed 0 on photos_test, ...)",
        "weights of 4 trainings",
        "losses of 4 trainings",
        "seconds, speed and memory of 4 trainings",
        "seconds and memory in 6 records of images",
        "time, command, commit, packages, machine in 10 records",
    ]


@pytest.mark.parametrize(
    ("which", "side", "in_manifest", "why"),
    [
        ("images/vq/seed0/photos_test", 9000, False, "not 96 x 96 as recorded; it is not decoded"),
        ("images/vq/seed0/photos_test", 20_000, False, "decompression bomb"),
        ("data/photos_test/HR", 9000, True, "has more than 67108864 pixels; it is not decoded"),
    ],
)
def test_a_png_that_unfolds_is_refused_unread(
    bundle: Path, which: str, side: int, in_manifest: bool, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bundle / which / "test1.png"
    Image.new("1", (side, side)).save(path)
    size = {"width": side, "height": side}
    if in_manifest:
        manifest = bundle / "data/photos_test/manifest.json"
        change(manifest, lambda found: found["images"][1].update(size, hr_sha256=sha256(path)))
    else:
        change(path.with_name("run.json"), lambda record: record["images"]["test1"].update(size, sha256=sha256(path)))
    load = ImageFile.ImageFile.load

    def watched(image: ImageFile.ImageFile) -> Any:
        assert image.size[0] < side, "was decoded"
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", watched)
    told = [line for line in lines(failures(bundle)) if line.startswith(f"{which}/test1.png: ")]
    assert len(told) == 1
    assert why in told[0]


def test_an_archive_that_unfolds_is_refused(bundle: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as content:
        content.write(bundle / "plan.json", "theirs/plan.json")
        with content.open("theirs/data/zeros.bin", "w") as file:
            for _ in range(120):
                file.write(bytes(2**20))
    with pytest.raises(UserError, match=r"bomb\.zip: unpacks to more than"):
        verify(bomb, EVERY)


def test_photos_that_are_not_what_they_should_be_are_found(bundle: Path) -> None:
    """LR that is not made of its HR, and a test photo among those trained on, whatever the record says."""
    photo, folder = bundle / "data/photos_test/LR/test2.png", bundle / "data/photos_train"
    repaint(photo, by=1)
    manifest = bundle / "data/photos_test/manifest.json"
    change(manifest, lambda found: found["images"][2].update(lr_sha256=sha256(photo)))
    for kind in ("hr", "lr"):
        pixels = read_image(bundle / f"data/photos_test/{kind.upper()}/test0.png")
        stored = np.fromfile(folder / f"{kind}.u8", np.uint8)
        stored[: pixels.size] = pixels.ravel()
        stored.tofile(folder / f"{kind}.u8")
    told = lines({"originals": failures(bundle)["originals"]})
    assert len(told) == 2
    assert told[0].endswith(": LR of test2 is not made of its HR")
    assert "test0 of photos_test, which overlap.json does not tell" in told[1]


def test_entries_and_runs_that_the_preset_does_not_give_are_found(bundle: Path) -> None:
    run = next(bundle.glob("runs/vq.tokenizer-*")).name

    def longer(content: dict[str, Any]) -> None:
        content["training"]["iterations"] = 10**6

    def ours(plan: dict[str, Any]) -> None:
        plan["entries"]["bicubic"]["title"] = "Ours"
        plan["entries"]["vq"] |= {"method": "hr_copy", "run": None}
        longer(plan["runs"][run])

    change(bundle / "plan.json", ours)
    found = {outcome.subject: outcome.why for outcome in failures(bundle)["resolved"]}
    assert found["entry bicubic"] == "differs from the preset in title"
    assert "method" in found["entry vq"]
    assert found["entry vq_rec"] == "differs from the preset in vq.tokenizer.training"


def test_a_title_of_the_makers_own_is_told(bundle: Path) -> None:
    def ours(plan: dict[str, Any]) -> None:
        plan["entries"]["bicubic"]["title"] = plan["preset"]["entries"]["bicubic"]["title"] = "Ours"

    change(bundle / "plan.json", ours)
    told = [outcome.why for outcome in verify(bundle, EVERY) if outcome.subject == "titles"]
    assert told == ["are the preset's words: `Ours` is of `bicubic`"]


def test_weights_with_some_noise_and_losses_written_otherwise_are_one_seed(bundle: Path) -> None:
    run = next(bundle.glob("runs/vq.predictor-*"))
    files = [run / f"seed{seed}/weights.safetensors" for seed in (0, 1)]
    noisy = {
        name: (values + 1e-5 * np.abs(values).max(initial=0)).astype(values.dtype)
        for name, values in load_file(files[0]).items()
    }
    save_file(noisy, files[1], {"run": run.name})
    table = pd.read_csv(run / "seed0/curve.csv")
    table.to_csv(run / "seed1/curve.csv", index=False, float_format="%.7f")
    last = pd.read_csv(run / "seed1/curve.csv").iloc[-1].dropna().to_dict()
    change(run / "seed1/run.json", lambda record: record.update(final=last))
    assert sha256(run / "seed0/curve.csv") != sha256(run / "seed1/curve.csv")
    found = failures(bundle)
    assert set(found) == {"seeds", "weights"}
    told = [line.partition(" are ")[0] for line in lines({"seeds": found["seeds"]})]
    assert told == [f"{run.name} seeds 0 and 1 ({kind}): the {kind} of both" for kind in ("weights", "losses")]


def test_images_of_the_record_of_another_seed_are_no_images(bundle: Path) -> None:
    """With no image in the bundle, hashes alone tell two seeds apart, and that is said."""
    shutil.rmtree(bundle / "data")
    for path in bundle.rglob("*.png"):
        path.unlink()
    told = {
        outcome.why for outcome in verify(bundle, EVERY) if outcome.check == "seeds" and "images" in outcome.subject
    }
    assert told == {"no images in the bundle, and other hashes need not be other pixels"}
    same = read_json(folder_of(bundle, "vq", 0) / "run.json")["images"]
    change(folder_of(bundle, "vq", 1) / "run.json", lambda record: record.update(images=same))
    assert "seeds" in failures(bundle)


def test_how_near_is_near() -> None:
    """What other machines do to an image is let pass, what makes it better is not."""
    made, hr = np.full((100, 100, 3), 100, np.uint8), np.full((100, 100, 3), 110, np.uint8)
    rounded, flipped, helped, worse, other = (made.copy() for _ in range(5))
    rounded[0, ::2] += 1
    rounded[0, 1::2] -= 1
    flipped[:2] += 20  # As far from HR as before.
    helped += 1
    worse[:4] -= 1
    other[:50] -= 30

    def status(stored: Pixels, on_cpu: bool) -> str:
        return judged(distance(stored, made, hr), on_cpu)

    assert distance(made, made, hr).equal
    assert [status(rounded, on_cpu) for on_cpu in (True, False)] == ["ok", "ok"]
    assert [status(flipped, on_cpu) for on_cpu in (True, False)] == ["failed", "not checked"]
    assert [status(helped, on_cpu) for on_cpu in (True, False)] == ["failed", "failed"]
    assert [status(worse, on_cpu) for on_cpu in (True, False)] == ["failed", "not checked"]
    assert [status(other, on_cpu) for on_cpu in (True, False)] == ["failed", "failed"]
    assert judged(distance(made[:50], made, hr), on_cpu=False) == "failed"


def test_a_test_set_under_another_role_or_an_allowed_leak_is_told(bundle: Path) -> None:
    change(bundle / "data/photos_test/manifest.json", lambda manifest: manifest.update(role="training"))
    allowed = {"training": "train0", "test": "test0", "likeness": 1.0, "same_file": True}
    change(
        bundle / "data/photos_train/overlap.json",
        lambda record: record["test_sets"]["photos_test"]["shared"].append(allowed),
    )
    change(
        bundle / "plan.json", lambda plan: plan["preset"]["datasets"]["photos_train"].update(may_share=["photos_test"])
    )
    outcomes = verify(bundle, EVERY)
    told = {outcome.subject: outcome.why for outcome in outcomes if outcome.status != "ok"}
    assert told["photos_test (declared)"] == "was not prepared as plan.json declares it: role differ"
    assert told["photos_train: 1 pairs"] == "are test photos among those trained on, which the preset allows"


def test_a_text_that_fills_the_memory_is_refused(bundle: Path) -> None:
    with (bundle / "claims.csv").open("ab") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(UserError, match=r"claims\.csv: has more than 67"):
        verify(bundle, EVERY)
