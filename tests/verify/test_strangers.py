"""Bundles of somebody who means no good: nothing leads out of them, and what is damaged is told in a line."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from tests.verify.breaking import EVERY, change, failures
from tvqsr.errors import UserError
from tvqsr.verify.verify import verify


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../b"])
def test_names_that_lead_outside_are_refused(bundle: Path, name: str) -> None:
    def rename(plan: dict[str, Any]) -> None:
        plan["entries"][name] = plan["entries"].pop("vq")

    change(bundle / "plan.json", rename)
    found = failures(bundle)
    assert set(found) == {"plan"}
    assert f"`{name}` is no plain name" in found["plan"][0].why


def test_an_image_name_that_leads_outside_is_not_followed(bundle: Path) -> None:
    (bundle.parent / "secret.png").write_bytes((bundle / "images/vq/seed0/photos_test/test0.png").read_bytes())

    def add(record: dict[str, Any]) -> None:
        record["images"]["../../../../../secret"] = record["images"]["test0"]

    change(bundle / "images/vq/seed0/photos_test/run.json", add)
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


def test_a_pipe_that_waits_for_good_is_refused(bundle: Path) -> None:
    path = bundle / "images/vq/seed0/photos_test/run.json"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match=r"run\.json: is neither a file nor a folder"):
        verify(bundle, EVERY)


def test_a_plan_that_contradicts_itself_is_a_failure(bundle: Path) -> None:
    change(bundle / "plan.json", lambda plan: plan["preset"].update(test_on=["elsewhere"]))
    found = failures(bundle)
    assert "provenance" in found
    assert "is not as this version of tvqsr writes it" in found["provenance"][0].why


def test_a_strangers_words_do_not_steer_the_terminal(bundle: Path) -> None:
    change(
        bundle / "images/vq/seed0/photos_test/run.json",
        lambda record: record["images"].update({"\x1b[2Jall fine": record["images"]["test0"]}),
    )
    assert not [outcome for outcome in verify(bundle, EVERY) if "\x1b" in f"{outcome.subject}{outcome.why}"]


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
