"""A finished bundle, broken in every way: exactly what is broken is found, and what cannot be checked is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import ROOT, Command, shared
from tests.verify.breaking import BROKEN, EVERY, change, failures, swapped_image, told_as
from tvqsr.cli import main
from tvqsr.files import read_json, sha256
from tvqsr.report.publish import publish
from tvqsr.verify.cells import Cell
from tvqsr.verify.outcome import Outcome
from tvqsr.verify.report import same_table
from tvqsr.verify.sample import Sample
from tvqsr.verify.verdicts import same_verdict
from tvqsr.verify.verify import verify


def test_a_whole_bundle_is_in_order(bundle: Path, tvqsr: Command) -> None:
    result = tvqsr("verify", bundle, "--json", "found.json", "--remake", "99", "--seconds", "600")
    assert result.returncode == 0, result.stdout
    assert "FAILED " not in result.stdout
    found = json.loads(Path("found.json").read_text())
    fine = {outcome["check"] for outcome in found["outcomes"] if outcome["status"] == "ok"}
    assert fine >= {"plan", "provenance", "weights", "seeds", "overlaps", "photos", "images", "scores", "rescored"}
    assert fine >= {"resolved", "copies", "controls", "originals", "remade", "tables", "verdicts"}
    assert "; 0 FAILED; could not check " in result.stdout.splitlines()[-1]
    open_checks = {outcome["check"] for outcome in found["outcomes"] if outcome["status"] == "not checked"}
    assert open_checks == {"preset", "resolved", "counts", "originals", "page", "trust"}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_found_and_nothing_else(bundle: Path, what: str) -> None:
    break_it, checks, message = BROKEN[what]
    break_it(bundle)
    found = failures(bundle)
    assert set(found) == checks
    told = [f"{outcome.subject}: {outcome.why}" for outcomes in found.values() for outcome in outcomes]
    assert any(message in line for line in told), told


def test_exit_code_1_and_the_failure_are_told(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swapped_image(bundle)
    with pytest.raises(SystemExit, match="1"):
        main(["verify", str(bundle), "--sample", "0", "--remake", "0"])
    printed = capsys.readouterr().out
    assert "FAILED       images      images/vq/seed0/photos_test/test1.png: SHA-256" in printed
    assert "; 1 FAILED;" in printed.splitlines()[-1]


def test_a_dirty_checkout_is_told(bundle: Path) -> None:
    change(
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
        "preset",
        "resolved",
        "weights",
        "seeds",
        "overlaps",
        "photos",
        "images",
        "copies",
        "controls",
        "scores",
        "rescored",
        "remade",
        "tables",
        "verdicts",
        "page",
        "trust",
    }
    fine = {outcome.check for outcome in outcomes if outcome.status == "ok"}
    assert fine == {"plan", "resolved", "provenance", "seeds"}


def test_a_method_that_is_not_installed_is_left_out(bundle: Path) -> None:
    def rename(plan: dict[str, Any]) -> None:
        for part in (*plan["runs"].values(), *plan["entries"].values()):
            part["method"] = part["method"].replace("vq", "theirs")

    change(bundle / "plan.json", rename)
    outcomes = verify(bundle, EVERY)
    left_out = {outcome.subject for outcome in outcomes if outcome.why == "method `theirs` is not installed here"}
    assert left_out >= {"vq", "vq_rec"}
    assert any(outcome.check == "rescored" and outcome.status == "ok" for outcome in outcomes)


def test_other_layouts_are_told_and_their_numbers_compared() -> None:
    def compare(kind: str, stored: str, made: str, same_version: bool = False) -> str:
        return same_table("t", kind, stored, made, same_version).status

    stored, made = "entry,mean\na,1.0\n", "entry,mean,mark\na,1.0000000001,\n"
    assert compare("csv", stored, "entry,mean\na,1.0000000001\n") == "ok"
    assert compare("csv", stored, made) == "not checked"
    assert compare("csv", stored, made, same_version=True) == "failed"
    assert compare("csv", stored, made.replace("1.0000000001", "1.1")) == "failed"
    assert compare("md", "| A |\n| 1 |\n", "| B |\n| 1 |\n") == "not checked"
    assert compare("md", "| A |\n| 1 |\n", "| B |\n| 1 |\n", same_version=True) == "failed"
    assert compare("md", "Old words\n| A |\n| 1 |\n", "New words\n| A |\n| 1 |\n") == "not checked"
    assert compare("md", "Old words\n| A |\n| 1 |\n", "New words\n| A |\n| 1 |\n", same_version=True) == "failed"
    assert compare("md", "Old words\n| A |\n| 2 |\n", "New words\n| A |\n| 1 |\n") == "failed"


def test_other_words_of_another_version_are_no_failure(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvqsr.verify.records.own_commit", lambda: "1" * 40)
    for what in ("a caption", "a verdict's reason"):
        BROKEN[what][0](bundle)
    outcomes = verify(bundle, EVERY)
    assert not [outcome for outcome in outcomes if outcome.status == "failed"]
    told = {outcome.check for outcome in outcomes if "worded otherwise" in outcome.why}
    assert told == {"tables", "verdicts"}


@pytest.mark.parametrize("kind", ["md", "tex", "intervals.tex"])
def test_means_are_looked_for_in_another_layout(kind: str) -> None:
    cells = [Cell("a", "A & B", "psnr_y", 24.654, 2), Cell("c", "C", "psnr_y", -0.001, 2)]
    rows = [r"A \& B~\cite{one} & 1 & \textbf{24.65} [20.00, 30.00] \\", r"C & 2 & 0.00 \\"]
    text = "\\toprule\nEntry & K & PSNR \\\\\n" + "\n".join(rows)
    if kind == "md":
        text = "| Entry | K | PSNR |\n| A & B | 1 | **24.65** [20.00, 30.00] |\n| C | 2 | 0.00 |\n"
    header = text.replace("PSNR", "PSNR-Y")

    def status(stored: str) -> str:
        return same_table("t", kind, stored, header, False, cells).status

    assert status(text) == "not checked"
    assert status(text.replace("24.65", "24.7")) == "not checked"
    assert status(text.replace("24.65", "24.66")) == "failed"
    assert status(text.replace("24.65", "25")) == "failed"
    swapped = text.replace("24.65", "none").replace("0.00 ", "24.65 ").replace("none", "0.00")
    assert status(swapped) == "failed"


def published() -> list[Path]:
    return sorted(path.parent for path in (ROOT / "results/published").rglob("plan.json"))


@pytest.mark.parametrize("place", published(), ids=lambda place: place.name)
def test_what_we_published_is_in_order(place: Path) -> None:
    outcomes = verify(place, Sample(0, 0))
    assert [outcome for outcome in outcomes if outcome.status == "failed"] == []
    fine = {outcome.check for outcome in outcomes if outcome.status == "ok"}
    assert "plan" in fine
    if (place / "scores").is_dir():
        assert fine >= {"scores", "provenance", "verdicts"}


def test_something_with_scores_is_published() -> None:
    assert any((place / "scores").is_dir() for place in published())


def _as_of_another_version(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvqsr.verify.records.own_commit", lambda: "1" * 40)
    for command in ("table", "claims"):
        assert main([command, str(bundle), *(["main"] if command == "table" else [])]) == 0


def test_what_another_version_called_its_protocols_is_no_failure(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"title": "PSNR of old", "colours": "grey", "rounding": "as it was", "network": "of old"}
    told_as(**words, decimals=1)(bundle)
    _as_of_another_version(bundle, monkeypatch)
    outcomes = verify(bundle, EVERY)
    assert [outcome for outcome in outcomes if outcome.status == "failed"] == []
    whys = " ".join(outcome.why for outcome in outcomes if outcome.check == "scores")
    assert all(f"has {key} `{value}`, where this version writes" in whys for key, value in words.items())


@pytest.mark.parametrize("turned", [{"higher_is_better": False}, {"crop": 7}])
def test_what_no_version_may_change_is_a_failure(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, turned: dict[str, Any]
) -> None:
    told_as(**turned)(bundle)
    monkeypatch.setattr("tvqsr.verify.records.own_commit", lambda: "1" * 40)
    assert "scores" in failures(bundle)


def _row(verdict: str, measured: str = "a 2.0, b 1.0") -> pd.Series:
    return pd.Series({"verdict": verdict, "measured": measured, "reported": "", "why": "", "instead": ""})


@pytest.mark.parametrize(
    ("stored", "made", "status"),
    [
        (_row("ordering holds"), _row("undecided"), "not checked"),
        (_row("reproduced"), _row("differs"), "not checked"),
        (_row("ordering holds"), _row("ordering reversed"), "failed"),
        (_row("reversed without interval"), _row("ordering holds"), "failed"),
        (_row("ordering holds", "n/a"), _row("not run", "n/a"), "failed"),
        (_row("published value unknown", "n/a"), _row("not run", "n/a"), "not checked"),
        (_row("undecided", "a 3.0, b 1.0"), _row("undecided"), "failed"),
    ],
)
def test_rules_of_another_version_may_decide_otherwise_by_the_same_numbers(
    stored: pd.Series, made: pd.Series, status: str
) -> None:
    found = same_verdict("c", stored, made, same_version=False)
    assert found.status == status
    assert same_verdict("c", stored, made, same_version=True).status == "failed"
    if stored.verdict != made.verdict:
        assert stored.verdict in found.why
        assert made.verdict in found.why


def _rescored(bundle: Path, sample: Sample) -> list[Outcome]:
    return [outcome for outcome in verify(bundle, sample) if outcome.check == "rescored"]


def test_formulas_score_every_image_whatever_is_drawn(bundle: Path) -> None:
    """Whoever knows the draw alters the others."""
    path = bundle / "scores/vq/seed0/photos_test.parquet"
    table = pd.read_parquet(path)
    for image in ("test0", "test1", "test2", "test3"):
        better = table.assign(value=table.value + 6.0 * ((table.image == image) & (table.protocol == "psnr_y")))
        better.to_parquet(path, index=False)
        wrong = [outcome.why for outcome in _rescored(bundle, Sample(1, 0)) if outcome.status == "failed"]
        assert len(wrong) == 1
        assert wrong[0].startswith(f"{image} under psnr_y is ")


@pytest.fixture
def by_network(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle that is scored by a network, too, on a machine that has its weights."""
    monkeypatch.setenv("TORCH_HOME", str(shared("weights", "torch_home")))
    change(bundle / "plan.json", lambda plan: plan["preset"]["protocols"].append("lpips_squeeze"))
    main(["score-entry", str(bundle), "bicubic", "photos_test", "--seed", "0"])
    return bundle


def _of_network(bundle: Path, sample: Sample) -> list[Outcome]:
    mine = [outcome for outcome in _rescored(bundle, sample) if outcome.subject.startswith("bicubic")]
    return [outcome for outcome in mine if "lpips_squeeze" in outcome.subject]


def test_the_sample_for_networks_is_drawn_by_the_seed(by_network: Path) -> None:
    drawn = [_of_network(by_network, Sample(1, seed))[0] for seed in (0, 0, 1, 2, 3)]
    assert {outcome.status for outcome in drawn} == {"ok"}
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1


def test_a_score_of_the_whole_set_is_computed_again(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(shared("weights", "torch_home")))
    change(bundle / "plan.json", lambda plan: plan["preset"]["protocols"].append("kd_alexnet"))
    main(["score-entry", str(bundle), "bicubic", "photos_test", "--seed", "0"])

    def found() -> Outcome:
        mine = [outcome for outcome in _rescored(bundle, Sample(1, 0)) if "kd_alexnet" in outcome.subject]
        return next(outcome for outcome in mine if outcome.subject.startswith("bicubic"))

    assert found().status == "ok"
    path = bundle / "scores/bicubic/seed0/photos_test.parquet"
    table = pd.read_parquet(path)
    for column, message in (("value", "(set) under kd_alexnet is "), ("error", "the error of kd_alexnet is ")):
        table.assign(**{column: table[column] + 0.5 * (table.protocol == "kd_alexnet")}).to_parquet(path, index=False)
        if table[column][table.protocol == "kd_alexnet"].notna().all():
            assert found().status == "failed"
            assert message in found().why


def test_no_sample_is_told_as_such(by_network: Path) -> None:
    assert [outcome.why for outcome in _of_network(by_network, Sample(0, 0))] == [
        "no sample was asked for (`--sample 0`)"
    ]


def test_what_had_no_weights_is_told_here_with_or_without_them(
    by_network: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TORCH_HOME", str(tmp_path))
        main(["score-entry", str(by_network), "bicubic", "photos_test", "--seed", "0"])
        without = _of_network(by_network, EVERY)
    assert [outcome.why for outcome in without] == ["weights of this metric are not on this machine"]
    found = _of_network(by_network, EVERY)
    assert [outcome.status for outcome in found] == ["not checked"]
    assert found[0].why.startswith("was not scored, for want of weights there")


def test_hashes_are_those_of_the_weights_that_made_the_images(finished: Path) -> None:
    record = read_json(finished / "images/vq/seed1/photos_test/run.json")
    assert record["weights_sha256"] == {
        path.parent.parent.name: sha256(path) for path in finished.glob("runs/*/seed1/weights.safetensors")
    }


def test_a_publication_brings_what_tables_and_verdicts_are_made_of(finished: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "published"
    shutil.copytree(finished, source)
    (source / "report.html").write_text("<html></html>")
    publish(source, target)
    outcomes = verify(target, EVERY)
    assert not [outcome for outcome in outcomes if outcome.status == "failed"]
    assert {outcome.check for outcome in outcomes if outcome.status == "ok"} >= {"scores", "tables", "verdicts"}


def test_an_entry_left_out_of_the_plan_is_told(bundle: Path) -> None:
    change(bundle / "plan.json", lambda plan: plan["entries"].pop("bicubic"))
    told = [outcome.subject for outcome in verify(bundle, EVERY) if outcome.check == "extent"]
    assert told == ["images/bicubic/seed0/photos_test", "scores/bicubic/seed0/photos_test.parquet"]


def test_what_differs_from_our_preset_of_that_name_is_told(bundle: Path) -> None:
    change(bundle / "plan.json", lambda plan: plan.update(name="mini"))
    told = [outcome.why for outcome in verify(bundle, EVERY) if outcome.check == "preset"]
    assert len(told) == 1
    assert told[0].startswith("differs from this installation's preset mini: ")
    assert "protocols" in told[0]
    assert "tvqrap" in told[0]


def test_a_photo_dropped_from_a_set_of_the_catalogue_is_a_failure(bundle: Path) -> None:
    change(
        bundle / "plan.json",
        lambda plan: plan["preset"]["datasets"]["photos_test"].update(source="skimage_test", folder=None),
    )
    found = failures(bundle)
    assert set(found) == {"counts", "originals"}
    assert found["counts"][0].why == "has 4 photos, where skimage_test has 5"
