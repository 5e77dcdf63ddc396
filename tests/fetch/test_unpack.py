"""Photos out of whole archives."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fetch.archives import FILES, HR, PAIRS, Into, below, picture, tarred, zipped
from tvqsr.errors import UserError
from tvqsr.fetch.pattern import Pattern


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_pairs_are_written_flat_by_kind_with_the_bytes_of_the_archive(tmp_path: Path, into: Into, kind: str) -> None:
    archive = zipped(tmp_path / "a", PAIRS) if kind == "zip" else tarred(tmp_path / "a", PAIRS, kind)
    names = into(archive, HR | {"LR": "DIV2K_valid_LR_bicubic/X4/{name}x4.png"})
    assert names == {"HR": ["0801", "0802"], "LR": ["0801", "0802"]}
    assert below(tmp_path / "sets" / "valid") == {
        "HR/0801.png": picture(1),
        "HR/0802.png": picture(2),
        "LR/0801.png": picture(3, side=3),
        "LR/0802.png": picture(4, side=3),
    }
    assert {path.name for path in (tmp_path / "sets").iterdir()} == {"valid", ".valid.lock"}


@pytest.mark.parametrize(
    ("pattern", "member", "name"),
    [
        ("HR/{name}.png", "HR/a.png", "a"),
        ("HR/{name}.png", "HR/a.b.PNG", "a.b"),
        ("HR/{name}.png", "hr/a.png", None),
        ("HR/{name}.png", "HR/b/a.png", None),
        ("HR/{name}.png", "x/HR/a.png", None),
        ("HR/{name}.png", "HR/a.jpg", None),
        ("HR/{name}.png", "HR/a.pngx", None),
        ("HR/{name}.png", "HRX/a.png", None),
        ("**/Test/4/{name}_HR.png", "RealSR(V3)/Canon/Test/4/Canon_001_HR.png", "Canon_001"),
        ("**/Test/4/{name}_HR.png", "Test/4/Canon_001_HR.png", "Canon_001"),
        ("**/Test/4/{name}_HR.png", "xTest/4/Canon_001_HR.png", None),
        ("**/Test/4/{name}_HR.png", "Test/4/Canon_001_LR4.png", None),
        ("*/{name}.png", "a/b.png", "b"),
        ("*/{name}.png", "b.png", None),
        ("*/{name}.png", "a/c/b.png", None),
        ("a*/img_*_{name}.png", "a1/img_7_x.png", "x"),
        ("**/{name}.*", "val/ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000001"),
        ("**/{name}.*", "a.bmp", "a"),
        ("**/{name}.*", "a.txt", None),
        ("**/{name}.*", "__MACOSX/._a.png", None),
        ("**/{name}.*", "a/.hidden.png", None),
        ("**/{name}.*", "a/b\\c.png", None),
        ("**/{name}.*", "a/b\n.png", None),
        ("**/{name}.*", "a/b\0.png", None),
        ("**/{name}.*", f"{'x' * 300}.png", None),
        ("{name}.+", "a.+", UserError),
        ("(a)/{name}.png", "(a)/b.png", "b"),
        ("(a)/{name}.png", "a/b.png", None),
        ("HR/*.png", "", UserError),
        ("{name}/{name}.png", "", UserError),
        ("HR/{name}", "", UserError),
        ("HR/{name}.txt", "", UserError),
    ],
)
def test_patterns(pattern: str, member: str, name: str | type[Exception] | None) -> None:
    if name is UserError:
        with pytest.raises(UserError, match="expected a pattern with one"):
            Pattern(pattern)
    else:
        assert Pattern(pattern).name(member) == name


def test_windows_separators_are_separators(tmp_path: Path, into: Into) -> None:
    assert into(zipped(tmp_path / "a.zip", {"DIV2K_valid_HR\\0801.png": picture(1)})) == {"HR": ["0801"]}


def test_two_members_of_one_name_are_both_named(tmp_path: Path, into: Into) -> None:
    archive = zipped(tmp_path / "a.zip", {"a/1.png": picture(1), "b/1.jpg": picture(2, "JPEG")})
    with pytest.raises(UserError, match=r"a\.zip: a/1\.png and b/1\.jpg are both `1` of HR"):
        into(archive, {"HR": "**/{name}.*"})
    with pytest.raises(UserError, match=r"a/1\.png is of two kinds, HR and LR"):
        into(archive, {"HR": "a/{name}.png", "LR": "**/{name}.png"})


def test_a_pattern_that_matches_nothing_is_named_with_what_there_is(tmp_path: Path, into: Into) -> None:
    archive = zipped(tmp_path / "a.zip", {f"x/{i}.png": picture(i) for i in range(5)})
    with pytest.raises(
        UserError,
        match=r"a\.zip: no member matches `DIV2K_valid_HR/\{name\}\.png` \(HR\); it has x/0\.png, x/1\.png, x/2\.png$",
    ):
        into(archive)


def test_a_second_archive_adds_a_kind_and_what_is_there_stays(tmp_path: Path, into: Into) -> None:
    """DIV2K's HR and LR are two zips; what a stopped run had finished is not unpacked again."""
    into(zipped(tmp_path / "hr.zip", FILES))
    other = zipped(tmp_path / "lr.zip", FILES | {"DIV2K_valid_HR/0801.png": picture(99)})
    names = into(other, HR | {"LR": "DIV2K_valid_LR_bicubic/X4/{name}x4.png"})
    assert names == {"HR": ["0801", "0802"], "LR": ["0801", "0802"]}
    assert (tmp_path / "sets/valid/HR/0801.png").read_bytes() == picture(1)
    shutil.rmtree(tmp_path / "sets/valid/HR")
    (tmp_path / "sets/valid/HR").mkdir()
    into(other)
    assert (tmp_path / "sets/valid/HR/0801.png").read_bytes() == picture(99)
