"""The whole graph of jobs at its smallest, through Snakemake, as a user runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, TINY
from tests.page.visit import PLOTS, Visit, drawn, opened_browser
from tvqsr.plan import Plan
from tvqsr.plan.stored import stored_plan
from tvqsr.report.check import failed, read_verdicts

pytestmark = pytest.mark.slow

FIGURES = Plan.load(str(TINY)).figures
SNAKEMAKE = Path(sys.executable).with_name("snakemake")


def snakemake(
    folder: Path, *words: object, preset: object = TINY, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the Snakefile of this checkout with results below `folder`."""
    options = ["--snakefile", ROOT / "Snakefile", "--directory", folder, "--cores", "all"]
    changes = [word for word in words if "=" in str(word)]
    command = [
        SNAKEMAKE,
        *options,
        *(word for word in words if word not in changes),
        "--config",
        f"preset={preset}",
        *changes,
    ]
    # The jobs call `tvqsr` by name, as under `uv run`.
    path = os.pathsep.join([str(SNAKEMAKE.parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path} | environment
    return subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished run of the tiny preset: its working directory, and what was printed."""
    folder = tmp_path_factory.mktemp("workflow")
    result = snakemake(folder)
    assert result.returncode == 0, result.stderr[-4000:]
    return folder, result.stdout + result.stderr


def test_claims_that_fail_fail_the_workflow_that_asks(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    wrong = failed(read_verdicts(folder / "results" / "tiny"))
    result = snakemake(folder, "check")
    assert (result.returncode != 0) == (wrong > 0)
    assert " not run" in result.stdout + result.stderr


def test_rows_are_compared_in_pairs(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    names = ("bicubic", "vq")
    command = [sys.executable, "-m", "tvqsr", "compare", "results/tiny", *names, "--protocol", "psnr_y"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("| psnr_y")]
    assert [cell.strip() for cell in line.split("|")[2:4]] == list(names)
    scores = [
        pd.concat(
            pd.read_parquet(file) for file in (folder / f"results/tiny/scores/{name}").rglob("photos_test.parquet")
        )
        for name in names
    ]
    means = [score[score.protocol == "psnr_y"].value.mean() for score in scores]
    assert f"{means[0] - means[1]:+.4g}" in line


def test_everything_is_made(finished: tuple[Path, str]) -> None:
    folder, printed = finished
    root = folder / "results" / "tiny"
    names = [
        "tables/main.photos_test.csv",
        "tables/main.photos_test.md",
        "tables/main.photos_test.tex",
        "tables/main.photos_test.intervals.tex",
        "tables/methods.bib",
        "claims.csv",
        "plan.json",
        "report.html",
    ]
    names += [f"figures/{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")]
    for name in names:
        assert (root / name).stat().st_size > 100, name
    assert re.search(r"\d+ of \d+ steps \(100%\) done", printed)
    assert re.search(r"\[tvqrap\.rap seed 0\] 4/4  pixel [\d.]+ .* images/s  left 0:00", printed)
    assert "| TVQ&RAP" in printed
    assert "report: results/tiny/report.html" in printed
    scores = pd.read_parquet(root / "scores" / "tvqrap" / "seed0" / "photos_test.parquet")
    assert set(scores.protocol) == {"psnr_y", "ssim_y", "lpips_alex"}
    assert len(scores[scores.protocol == "psnr_y"]) == 5
    copies = pd.read_parquet(root / "scores" / "hr_copy" / "seed0" / "photos_test.parquet")
    assert copies[copies.protocol == "psnr_y"].value.round(6).eq(80.0).all()


def test_no_part_of_a_file_is_left_over(finished: tuple[Path, str]) -> None:
    assert not list((finished[0] / "results").rglob("*.part"))


def test_the_page_of_a_real_run_opens_without_a_complaint(finished: tuple[Path, str]) -> None:
    root = finished[0] / "results" / "tiny"
    plan = stored_plan(root)
    with opened_browser() as browser:
        visit = Visit(browser, plan)
        drawn(visit.page, *PLOTS)
        assert visit.complaints == []
        assert visit.page.locator("#grid figure").count() == len(plan.entries) + 1
        assert "orderings, not quality" in visit.page.locator("#answer").inner_text()
        assert "TVQ&RAP" in visit.page.locator("#scores").inner_text()
        assert visit.page.locator("#curves-canvas path.js-line").count() > 0
        assert visit.page.locator("#codes-canvas path.js-line").count() > 0


def plan_again(folder: Path, *words: object, preset: object = TINY) -> str:
    result = snakemake(folder, "-n", *words, preset=preset)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def test_run_again_there_is_nothing_to_do(finished: tuple[Path, str]) -> None:
    assert "Nothing to be done" in plan_again(finished[0])


def jobs(planned: str) -> dict[str, int]:
    """Rule -> number of jobs, from Snakemake's job stats."""
    stats = planned.split("Job stats:")[1].split("total", maxsplit=1)[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", stats, re.MULTILINE)}


def changed_preset(folder: Path, old: str, new: str) -> Path:
    """The tiny preset with one change, under the same name, so that it speaks of the same results."""
    path = folder / "changed" / "tiny.yaml"
    path.parent.mkdir(exist_ok=True)
    text = TINY.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_a_changed_training_remakes_its_stage_and_what_follows(finished: tuple[Path, str]) -> None:
    folder = finished[0]
    changed = changed_preset(folder, "rap: {settings: {", "rap: {settings: {pixel_weight: 2.0")
    planned = jobs(plan_again(folder, preset=changed))
    assert planned["train"] == 1
    assert planned["upscale"] == 1
    assert planned["score"] == 1
    assert "prepare" not in planned


def test_a_changed_protocol_trains_and_upscales_nothing(finished: tuple[Path, str]) -> None:
    planned = jobs(plan_again(finished[0], preset=changed_preset(finished[0], "ssim_y, ", "ssim_rgb, ")))
    assert planned["score"] == 7
    assert not {"train", "upscale", "prepare"} & set(planned)


def test_an_added_test_set_is_compared_and_trains_nothing(finished: tuple[Path, str], photo: Path) -> None:
    more = f"photos_test: {{source: skimage_test}}\n  more: {{folder: {photo.parent}}}\ntest_on: [photos_test, more]"
    changed = changed_preset(finished[0], "photos_test: {source: skimage_test}", more)
    changed.write_text(changed.read_text().replace("\ntest_on: [photos_test]\n", "\n"))
    planned = jobs(plan_again(finished[0], preset=changed))
    assert (planned["prepare"], planned["check_overlap"], planned["upscale"]) == (1, 1, 7)
    assert "train" not in planned


def test_a_changed_title_remakes_the_presentation_only(finished: tuple[Path, str]) -> None:
    changed = changed_preset(finished[0], "tvqrap: {method: tvqrap}", "tvqrap: {method: tvqrap, title: Ours}")
    assert not {"train", "upscale", "score", "prepare"} & set(jobs(plan_again(finished[0], preset=changed)))


def test_an_image_changed_behind_our_back_is_not_scored(finished: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    images = folder / "results" / "tiny" / "images"
    shutil.copy(
        images / "bicubic" / "seed0" / "photos_test" / "coins.png",
        images / "tvqrap" / "seed0" / "photos_test" / "coins.png",
    )
    result = snakemake(folder, "--forcerun", "score")
    assert result.returncode != 0
    printed = result.stdout + result.stderr
    assert re.search(r"tvqrap/seed0/photos_test/coins\.png: changed since it was written", printed)


def test_snakemakes_own_report(finished: tuple[Path, str], tmp_path: Path) -> None:
    result = snakemake(finished[0], "--report", tmp_path / "report.zip")
    assert result.returncode == 0, result.stderr[-2000:]
    with zipfile.ZipFile(tmp_path / "report.zip") as content:
        assert any(name.endswith("report.html") for name in content.namelist())


def test_a_wrong_preset_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    wrong = changed_preset(tmp_path, "seeds:", "sedes: 1\nseeds:")
    for preset, message in ((wrong, "unknown key `sedes`"), ("minni", "unknown preset `minni`; did you mean `mini`?")):
        result = snakemake(tmp_path, "-n", preset=preset)
        assert result.returncode == 2
        assert message in result.stderr
        assert "Traceback" not in result.stderr
    result = snakemake(tmp_path, "-n", "entires=all", preset="mini")
    assert result.returncode == 2
    assert "unknown key `entires`; did you mean `entries`?" in result.stderr


def test_config_changes_a_top_level_key(tmp_path: Path) -> None:
    one, two = (jobs(plan_again(tmp_path, *words)) for words in ((), ("seeds=[0,1]",)))
    assert two["train"] == 2 * one["train"]


def test_the_full_reproduction_is_planned_without_torch(tmp_path: Path) -> None:
    poison = tmp_path / "poison" / "torch"
    poison.mkdir(parents=True)
    (poison / "__init__.py").write_text("raise SystemExit('torch was imported')")
    result = snakemake(tmp_path, "-n", preset="paper", PYTHONPATH=str(poison.parent))
    assert result.returncode == 0, result.stderr
    assert jobs(result.stdout + result.stderr)["train"] == len(Plan.load("paper").runs)


def test_published_files_are_those_of_the_run(finished: tuple[Path, str], tmp_path: Path) -> None:
    from tvqsr.errors import UserError
    from tvqsr.report.publish import publish

    root = finished[0] / "results" / "tiny"
    assert publish(root, tmp_path / "published") >= 20
    assert publish(root, tmp_path / "published") >= 20
    for target in (root, root / "inside", root.parent, ROOT / "tests"):
        with pytest.raises(UserError, match="choose another folder"):
            publish(root, target)
    assert (root / "report.html").is_file()
    published = {
        path.relative_to(tmp_path / "published") for path in (tmp_path / "published").rglob("*") if path.is_file()
    }
    assert not [path for path in published if path.suffix in (".safetensors", ".pt", ".u8") or path.parts[0] == "data"]
    assert json.loads((tmp_path / "published" / "plan.json").read_text())["name"] == "tiny"
