"""A finished bundle, broken in every way: exactly what is broken is found, and nothing leads out of it."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skimage
import yaml
from PIL import Image
from safetensors.numpy import load_file, save_file

from tests.conftest import TINY, Command
from tvqsr.cli import main
from tvqsr.data.images import read_image
from tvqsr.errors import UserError
from tvqsr.files import read_json, sha256, write_json
from tvqsr.plan import Plan
from tvqsr.plan.stored import record
from tvqsr.report.publish import publish
from tvqsr.verify.outcome import Outcome
from tvqsr.verify.report import same_table
from tvqsr.verify.scores import Sample
from tvqsr.verify.verify import verify

EVERY = Sample(99, 0)
Break = Callable[[Path], object]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Results of two seeds of a tokenizer and its predictor on four crops, by the steps that the workflow calls."""
    folder = tmp_path_factory.mktemp("bundle")
    content = yaml.safe_load(TINY.read_text())
    cat = read_image(Path(skimage.__file__).parent / "data" / "chelsea.png")
    for name, start, count in (("train", 0, 3), ("test", 150, 4)):
        (folder / name).mkdir()
        for number in range(count):
            crop = cat[start : start + 96, 96 * number : 96 * number + 96]
            Image.fromarray(crop).save(folder / name / f"{name}{number}.png")
        content["datasets"][f"photos_{name}"] = {"folder": name}
    content |= {"seeds": [0, 1], "protocols": ["psnr_y", "ssim_y"], "more_entries": {}}
    content["entries"] = {name: content["entries"][name] for name in ("bicubic", "hr_copy", "vq", "vq_rec")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("tested.yaml").write_text(yaml.safe_dump(content))
        plan = Plan.load("tested.yaml")
        root = plan.paths.root
        write_json(plan.paths.record, record(plan))
        for dataset in ("photos_train", "photos_test"):
            _run("prepare", root, dataset)
        _run("check-overlap", root, "photos_train")
        for name, seed in plan.made():
            _run("train", root, name, "--seed", seed)
        for entry in plan.entries.values():
            for seed in entry.seeds:
                _run("upscale-entry", root, entry.name, "photos_test", "--seed", seed)
                _run("score-entry", root, entry.name, "photos_test", "--seed", seed)
        _run("table", root, "main")
        _run("claims", root)
    for path in (folder / root).rglob("run.json"):
        _change(path, lambda content: content["made_by"].update(git={"commit": "0" * 40, "dirty": False}))
    yield folder / root


def _run(*words: object) -> None:
    assert main([str(word) for word in words]) == 0, words


def _change(path: Path, change: Callable[[Any], object]) -> None:
    content = read_json(path)
    change(content)
    write_json(path, content)


@pytest.fixture
def bundle(finished: Path, tmp_path: Path) -> Path:
    """A copy to be broken, somewhere else than where it was made."""
    copy = tmp_path / "theirs"
    shutil.copytree(finished, copy)
    return copy


def failures(bundle: Path) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for outcome in verify(bundle, EVERY):
        if outcome.status == "failed":
            found.setdefault(outcome.check, []).append(outcome)
    return found


def test_a_whole_bundle_is_in_order(bundle: Path, tvqsr: Command) -> None:
    result = tvqsr("verify", bundle, "--json", "found.json")
    assert result.returncode == 0, result.stdout
    assert "FAILED " not in result.stdout
    found = json.loads(Path("found.json").read_text())
    fine = {outcome["check"] for outcome in found["outcomes"] if outcome["status"] == "ok"}
    assert fine >= {"plan", "provenance", "weights", "seeds", "overlaps", "photos", "images", "scores", "rescored"}
    assert fine >= {"tables", "verdicts"}
    assert "; 0 FAILED; could not check " in result.stdout.splitlines()[-1]
    open_checks = {outcome["check"] for outcome in found["outcomes"] if outcome["status"] == "not checked"}
    assert open_checks == {"page"}


def _score(bundle: Path) -> None:
    path = bundle / "scores/vq/seed1/photos_test.parquet"
    table = pd.read_parquet(path)
    table["value"] += 0.01 * (table.index == 0)
    table.to_parquet(path, index=False)


def _score_twice(bundle: Path) -> None:
    path = bundle / "scores/vq/seed1/photos_test.parquet"
    table = pd.read_parquet(path)
    pd.concat([table, table[:1]]).to_parquet(path, index=False)


def _score_left_out(bundle: Path) -> None:
    path = bundle / "scores/vq/seed1/photos_test.parquet"
    pd.read_parquet(path)[1:].to_parquet(path, index=False)


def _swapped_image(bundle: Path) -> None:
    images = bundle / "images/vq/seed0/photos_test"
    shutil.copy(images / "test0.png", images / "test1.png")


def _swapped_photo(bundle: Path) -> None:
    photos = bundle / "data/photos_test/HR"
    shutil.copy(photos / "test0.png", photos / "test1.png")


def _added_image(bundle: Path) -> None:
    images = bundle / "images/vq/seed0/photos_test"
    shutil.copy(images / "test0.png", images / "best.png")


def _other_pixels(bundle: Path) -> None:
    path = bundle / "data/photos_train/hr.u8"
    pixels = np.fromfile(path, np.uint8)
    pixels[7] ^= 1
    pixels.tofile(path)


def _text(name: str, old: str, new: str) -> Break:
    def edit(bundle: Path) -> None:
        path = bundle / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit


def _record(pattern: str, change: Callable[[Any], object]) -> Break:
    return lambda bundle: _change(next(bundle.glob(pattern)), change)


def _without(pattern: str) -> Break:
    return lambda bundle: next(bundle.glob(pattern)).unlink()


def _edited_mean(bundle: Path) -> None:
    path = bundle / "tables/main.photos_test.csv"
    table = pd.read_csv(path)
    table["mean"] += 1.0 * (table.entry == "vq")
    table.to_csv(path, index=False)


def _edited_cell(kind: str) -> Break:
    def edit(bundle: Path) -> None:
        path = bundle / f"tables/main.photos_test.{kind}"
        table = pd.read_csv(bundle / "tables/main.photos_test.csv")
        mean = f"{table[(table.entry == 'hr_copy') & (table.protocol == 'psnr_y')]['mean'].iloc[0]:.2f}"
        path.write_text(path.read_text().replace(mean, "81.00", 1))

    return edit


def _other_weights(bundle: Path) -> None:
    path = next(bundle.glob("runs/vq.predictor-*/seed0/weights.safetensors"))
    tensors = load_file(path)
    save_file({name: values + 1 for name, values in tensors.items()}, path, {"run": path.parent.parent.name})


def _one_seed_for_two(bundle: Path) -> None:
    """As somebody would who trained once: weights, losses and images copied, and the hashes in the records mended."""
    for run in bundle.glob("runs/*"):
        for name in ("weights.safetensors", "curve.csv"):
            shutil.copy(run / "seed0" / name, run / "seed1" / name)
    records = [*bundle.glob("runs/*/seed1/run.json"), *bundle.glob("images/*/seed1/*/run.json")]
    for path in records:
        before = read_json(Path(str(path).replace("seed1", "seed0")))
        write_json(path, before | {"seed": 1})
    for folder in bundle.glob("images/*/seed1/photos_test"):
        for image in Path(str(folder).replace("seed1", "seed0")).glob("*.png"):
            shutil.copy(image, folder)


def _image_not_recorded(record: dict[str, Any]) -> None:
    del record["images"]["test1"]


def _shared_photo(record: dict[str, Any]) -> None:
    record["test_sets"]["photos_test"]["shared"].append({"training": "train0", "test": "test0"})


def _no_hash_of_data(record: dict[str, Any]) -> None:
    del record["inputs_sha256"]["data"]


BROKEN: dict[str, tuple[Break, set[str], str]] = {
    "a score": (_score, {"rescored", "tables"}, "the table has"),
    "a score twice": (_score_twice, {"scores", "tables"}, "under psnr_y twice"),
    "a score left out": (_score_left_out, {"scores", "rescored", "tables"}, "lacks 1 rows: test0 under psnr_y"),
    "scores of an entry missing": (
        _without("scores/vq/seed1/photos_test.parquet"),
        {"scores", "tables", "verdicts"},
        "missing, though other scores are there",
    ),
    "an image swapped": (_swapped_image, {"images"}, "SHA-256 is not the recorded one"),
    "an image missing": (
        _without("images/vq/seed0/photos_test/test1.png"),
        {"images"},
        "missing",
    ),
    "an image added": (_added_image, {"images"}, "images that no record lists: best"),
    "an image not recorded": (
        _record("images/vq/seed0/photos_test/run.json", _image_not_recorded),
        {"images", "scores", "tables"},
        "record and test set differ in test1",
    ),
    "a photo swapped": (_swapped_photo, {"photos"}, "SHA-256 is not the recorded one"),
    "pixels of a training photo": (_other_pixels, {"photos"}, "pixels of train0"),
    "other weights": (_other_weights, {"weights"}, "SHA-256 is not the one that records name"),
    "one seed for two": (_one_seed_for_two, {"seeds", "rescored", "tables"}, "these are not two seeds"),
    "a mean": (_edited_mean, {"tables"}, "mean:"),
    "a cell in Markdown": (_edited_cell("md"), {"tables"}, "81.00"),
    "a cell in LaTeX": (_edited_cell("tex"), {"tables"}, "81.00"),
    "a table missing": (
        _without("tables/main.photos_test.md"),
        {"tables"},
        "tables/main.photos_test.md: missing",
    ),
    "a verdict": (_text("claims.csv", ",not run,", ",ordering holds,"), {"verdicts"}, "but the scores give `not run`"),
    "a record missing": (
        _without("runs/*/seed0/run.json"),
        {"provenance"},
        "run.json: missing",
    ),
    "who made it": (
        _record("runs/*/seed0/run.json", lambda record: record["made_by"].pop("machine")),
        {"provenance"},
        "`made_by` lacks machine",
    ),
    "what it was made of": (_record("runs/*/seed0/run.json", _no_hash_of_data), {"provenance"}, "its inputs data"),
    "other settings": (
        _record("runs/vq.tokenizer-*/seed0/run.json", lambda record: record["settings"].update(codebook_size=9)),
        {"provenance"},
        "it differs in settings",
    ),
    "no comparison with the test sets": (
        _without("data/photos_train/overlap.json"),
        {"overlaps"},
        "not compared with the test sets",
    ),
    "a test photo in the training photos": (
        _record("data/photos_train/overlap.json", _shared_photo),
        {"overlaps"},
        "`train0` is `test0` of photos_test",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_found_and_nothing_else(bundle: Path, what: str) -> None:
    break_it, checks, message = BROKEN[what]
    break_it(bundle)
    found = failures(bundle)
    assert set(found) == checks
    told = [f"{outcome.subject}: {outcome.why}" for outcomes in found.values() for outcome in outcomes]
    assert any(message in line for line in told), told


def test_exit_code_1_and_the_failure_are_told(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _swapped_image(bundle)
    with pytest.raises(SystemExit, match="1"):
        main(["verify", str(bundle), "--sample", "0"])
    printed = capsys.readouterr().out
    assert "FAILED       images      images/vq/seed0/photos_test/test1.png: SHA-256" in printed
    assert "; 1 FAILED;" in printed.splitlines()[-1]


def test_a_dirty_checkout_is_told(bundle: Path) -> None:
    _change(
        next(bundle.glob("runs/*/seed0/run.json")),
        lambda record: record["made_by"].update(git={"commit": "f" * 40, "dirty": True}),
    )
    whys = [outcome.why for outcome in verify(bundle, EVERY) if outcome.check == "provenance"]
    assert "made by commit fffffffff with uncommitted changes, which are not known" in whys
    assert any(why.startswith("the records are of 2 commits, not of one: 000000000, fffffffff") for why in whys)


def test_a_small_bundle_says_what_it_could_not_check(bundle: Path) -> None:
    for name in ("data", "scores"):
        shutil.rmtree(bundle / name)
    for path in [*bundle.rglob("*.png"), *bundle.rglob("*.safetensors")]:
        path.unlink()
    outcomes = verify(bundle, EVERY)
    assert not [outcome for outcome in outcomes if outcome.status == "failed"]
    open_checks = {outcome.check for outcome in outcomes if outcome.status == "not checked"}
    assert open_checks == {
        "weights",
        "overlaps",
        "photos",
        "images",
        "scores",
        "rescored",
        "tables",
        "verdicts",
        "page",
    }
    assert {outcome.check for outcome in outcomes if outcome.status == "ok"} == {"plan", "provenance", "seeds"}


def test_a_method_that_is_not_installed_is_left_out(bundle: Path) -> None:
    def rename(plan: dict[str, Any]) -> None:
        for part in (*plan["runs"].values(), *plan["entries"].values()):
            part["method"] = part["method"].replace("vq", "theirs")

    _change(bundle / "plan.json", rename)
    outcomes = verify(bundle, EVERY)
    left_out = {outcome.subject for outcome in outcomes if outcome.why == "method `theirs` is not installed here"}
    assert left_out >= {"vq", "vq_rec"}
    assert any(outcome.check == "rescored" and outcome.status == "ok" for outcome in outcomes)


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../b"])
def test_names_that_lead_outside_are_refused(bundle: Path, name: str) -> None:
    def rename(plan: dict[str, Any]) -> None:
        plan["entries"][name] = plan["entries"].pop("vq")

    _change(bundle / "plan.json", rename)
    found = failures(bundle)
    assert set(found) == {"plan"}
    assert f"`{name}` is no plain name" in found["plan"][0].why


def test_an_image_name_that_leads_outside_is_not_followed(bundle: Path) -> None:
    (bundle.parent / "secret.png").write_bytes((bundle / "images/vq/seed0/photos_test/test0.png").read_bytes())

    def add(record: dict[str, Any]) -> None:
        record["images"]["../../../../../secret"] = record["images"]["test0"]

    _change(bundle / "images/vq/seed0/photos_test/run.json", add)
    assert "is no plain name of an image" in failures(bundle)["images"][-1].why


def test_a_link_that_leads_outside_is_refused(bundle: Path) -> None:
    path = bundle / "images/vq/seed0/photos_test/test0.png"
    path.rename(bundle.parent / "elsewhere.png")
    path.symlink_to(bundle.parent / "elsewhere.png")
    with pytest.raises(UserError, match=r"test0\.png: is a link that leads out of the bundle"):
        verify(bundle, EVERY)


def test_links_in_a_circle_are_refused(bundle: Path) -> None:
    (bundle / "one").symlink_to("two")
    (bundle / "two").symlink_to("one")
    with pytest.raises(UserError, match="is a link that leads"):
        verify(bundle, EVERY)


def test_a_plan_that_contradicts_itself_is_a_failure(bundle: Path) -> None:
    _change(bundle / "plan.json", lambda plan: plan["preset"].update(test_on=["elsewhere"]))
    found = failures(bundle)
    assert "provenance" in found
    assert "is not as this version of tvqsr writes it" in found["provenance"][0].why


def test_a_strangers_words_do_not_steer_the_terminal(bundle: Path) -> None:
    _change(
        bundle / "images/vq/seed0/photos_test/run.json",
        lambda record: record["images"].update({"\x1b[2Jall fine": record["images"]["test0"]}),
    )
    assert not [outcome for outcome in verify(bundle, EVERY) if "\x1b" in f"{outcome.subject}{outcome.why}"]


def test_a_publication_brings_what_tables_and_verdicts_are_made_of(finished: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "published"
    shutil.copytree(finished, source)
    (source / "report.html").write_text("<html></html>")
    publish(source, target)
    outcomes = verify(target, EVERY)
    assert not [outcome for outcome in outcomes if outcome.status == "failed"]
    assert {outcome.check for outcome in outcomes if outcome.status == "ok"} >= {"scores", "tables", "verdicts"}


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"runs": 3}', '{"entries": {}, "preset": {}, "runs": {}}', "[" * 100_000]
)
def test_a_damaged_plan_is_a_failure(bundle: Path, content: str) -> None:
    (bundle / "plan.json").write_text(content)
    assert set(failures(bundle)) == {"plan"}


def zipped(bundle: Path, target: Path) -> Path:
    return Path(shutil.make_archive(str(target), "zip", bundle.parent, bundle.name))


def test_a_zip_is_checked_like_its_folder(bundle: Path, tmp_path: Path) -> None:
    assert verify(zipped(bundle, tmp_path / "packed"), EVERY) == verify(bundle, EVERY)


def test_bad_archives_are_one_line_and_exit_code_2(bundle: Path, tmp_path: Path, tvqsr: Command) -> None:
    packed = zipped(bundle, tmp_path / "packed")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(packed.read_bytes()[:-5000])
    slipped = tmp_path / "slipped.zip"
    with zipfile.ZipFile(slipped, "w") as content:
        content.writestr("theirs/plan.json", "{}")
        content.writestr("../../escaped.txt", "here")
    empty = tmp_path / "empty.zip"
    with zipfile.ZipFile(empty, "w") as content:
        content.writestr("readme.txt", "nothing")
    expected = {cut: "is damaged, cut short", slipped: "a path that leads outside", empty: "no plan.json in it"}
    for archive, message in (expected | {tmp_path / "absent.zip": "no such file or folder"}).items():
        result = tvqsr("verify", archive)
        assert result.returncode == 2
        assert message in result.stderr
        assert "Traceback" not in result.stderr
    assert not list(tmp_path.parent.rglob("escaped.txt"))


def test_other_layouts_are_told_and_their_numbers_compared() -> None:
    stored, made = "entry,mean\na,1.0\n", "entry,mean,mark\na,1.0000000001,\n"
    assert same_table("t", "csv", stored, made).status == "ok"
    assert same_table("t", "csv", stored, made.replace("1.0000000001", "1.1")).status == "failed"
    assert same_table("t", "md", "| A |\n| 1 |\n", "| B |\n| 1 |\n").status == "not checked"
    assert same_table("t", "md", "Old words\n| A |\n| 1 |\n", "New words\n| A |\n| 1 |\n").status == "ok"


def test_the_sample_is_drawn_by_the_seed(bundle: Path) -> None:
    def drawn(seed: int) -> list[str]:
        return [outcome.subject for outcome in verify(bundle, Sample(1, seed)) if outcome.check == "rescored"]

    first = drawn(0)
    assert first == drawn(0)
    assert first != drawn(1)


def test_hashes_are_those_of_the_weights_that_made_the_images(finished: Path) -> None:
    record = read_json(finished / "images/vq/seed1/photos_test/run.json")
    assert record["weights_sha256"] == {
        path.parent.parent.name: sha256(path) for path in finished.glob("runs/*/seed1/weights.safetensors")
    }
