"""Several methods in one pass, workers, what is kept of references, and the definition beside each number."""

from __future__ import annotations

import errno
import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import Command, shared
from tests.noise import photos as noise_photos
from tvqsr.data.images import read_image, write_png
from tvqsr.plan import Plan
from tvqsr.plan.protocols import WEIGHTS
from tvqsr.score import kept
from tvqsr.score.kept import Kept
from tvqsr.score.pairs import score_pairs, score_photos
from tvqsr.score.perceptual import Lpips
from tvqsr.score.photos import Conditions, Photo, paired_by_name
from tvqsr.score.picture import Picture
from tvqsr.score.protocol import Protocol
from tvqsr.score.protocols import PROTOCOLS, protocols

NAMES = ("psnr_y", "ssim_y", "lpips_alex", "ssim_rgb", "lr_psnr", "fd_alexnet")


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(shared("weights", "torch_home")))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """(one method, another, HR)."""
    hr = noise_photos(tmp_path / "hr", *((48 + 4 * number, 60) for number in range(5)))
    for file in hr.iterdir():
        write_png(tmp_path / "darker" / file.name, read_image(file) // 2)
        write_png(tmp_path / "negative" / file.name, 255 - read_image(file))
    return tmp_path / "darker", tmp_path / "negative", hr


def test_scores_and_their_order_do_not_depend_on_the_workers(folders: tuple[Path, Path, Path]) -> None:
    pairs = paired_by_name(folders[0], folders[2])
    one, two, seven = (
        score_pairs(pairs, protocols(NAMES, "here"), Conditions(4, workers=workers)) for workers in (1, 2, 7)
    )
    assert one == two == seven
    of_photos = [(name, protocol) for name, _, _ in pairs for protocol in NAMES[:-1]]
    assert [(score.image, score.protocol) for score in one] == [*of_photos, ("(set)", "fd_alexnet")]


def test_methods_in_one_pass_score_as_each_alone(folders: tuple[Path, Path, Path]) -> None:
    darker, negative, hr = folders
    alone = [score_pairs(paired_by_name(sr, hr), protocols(NAMES, "here"), Conditions(4)) for sr in (darker, negative)]
    files = sorted(file.name for file in hr.iterdir())
    together = [Photo(Path(name).stem, (darker / name, negative / name), hr / name) for name in files]
    assert score_photos(together, protocols(NAMES, "here"), Conditions(4)) == alone
    assert alone[0] != alone[1]


def test_the_score_command_takes_several_folders(tvqsr: Command, folders: tuple[Path, Path, Path]) -> None:
    darker, negative, hr = folders
    words = ["score", "--hr", hr, "--protocol", "psnr_y", "--threads", 2]
    both = json.loads(tvqsr(*words, "--sr", darker, "--sr", negative).stdout)
    assert both == {str(sr): json.loads(tvqsr(*words, "--sr", sr).stdout) for sr in (darker, negative)}
    (negative / "p0.png").unlink()
    odd = tvqsr(*words, "--sr", darker, "--sr", negative)
    assert odd.returncode == 2
    assert "p0.png: has no partner of that name in" in odd.stderr


def test_folders_without_hr_must_hold_the_same_images(tvqsr: Command, folders: tuple[Path, Path, Path]) -> None:
    darker, negative, _ = folders
    words = ["score", "--protocol", "pyiqa:entropy", "--sr", darker, "--sr", negative]
    assert set(json.loads(tvqsr(*words).stdout)) == {str(darker), str(negative)}
    (negative / "p3.png").unlink()
    assert f"{negative}: does not hold the same images as {darker}: `p3`" in tvqsr(*words).stderr


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Picture]:
    """Pictures that AlexNet looked at."""
    seen: list[Picture] = []
    compute = Lpips._features

    def counted(self: Lpips, picture: Picture, device: str) -> Any:
        seen.append(picture)
        return compute(self, picture, device)

    monkeypatch.setattr(Lpips, "_features", counted)
    return seen


def test_features_of_hr_are_computed_once_for_all_methods(
    folders: tuple[Path, Path, Path], looked: list[Picture], tmp_path: Path
) -> None:
    """In one pass, and by what is on disk in another."""
    darker, negative, hr = folders
    files = [file.name for file in hr.iterdir()]
    together = [Photo(name, (darker / name, negative / name), hr / name) for name in files]
    expected = score_photos(together, protocols(["lpips_alex"], "here"), Conditions(0))
    assert len(looked) == 3 * len(files)
    looked.clear()
    conditions = Conditions(0, kept=tmp_path / "kept", workers=2)
    found = [
        score_photos(
            [Photo(name, (sr / name,), hr / name) for name in files], protocols(["lpips_alex"], "here"), conditions
        )[0]
        for sr in (darker, negative)
    ]
    assert found == expected
    assert len(looked) == 3 * len(files)
    write_png(hr / files[0], 255 - read_image(hr / files[0]))
    score_photos([Photo(files[0], (darker / files[0],), hr / files[0])], protocols(["lpips_alex"], "here"), conditions)
    assert len(looked) == 3 * len(files) + 2, "a changed photo is another photo"


def test_what_is_kept_is_bounded_and_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    made: list[str] = []
    place = Kept(tmp_path / "kept", limit=20_000)

    def arrays(name: str) -> Callable[[], list[Any]]:
        def make() -> list[Any]:
            made.append(name)
            return [np.full(1000, len(name), np.float64)]

        return make

    for _ in range(2):
        for name in ("a", "bb", "ccc"):
            (found,) = place.once(name, arrays(name))
            assert (found == len(name)).all()
    assert made == ["a", "bb", "ccc", "ccc"], "two fit"
    damaged = min(place.folder.iterdir())
    damaged.write_bytes(damaged.read_bytes()[:4000] + b"x" + damaged.read_bytes()[4001:])
    for name in ("a", "bb"):
        (found,) = place.once(name, arrays(name))
        assert (found == len(name)).all()
    assert len(made) == 5
    assert sum(file.stat().st_size for file in place.folder.iterdir()) <= 20_000
    assert kept.LIMIT == 2 * 1024**3


def test_no_bit_of_what_is_kept_can_change_unseen(tmp_path: Path) -> None:
    """Of shapes least of all: with fewer rows, a file would be read to its end no more."""
    place, whole = Kept(tmp_path / "kept"), np.arange(288.0).reshape(36, 8)
    place.once("a", lambda: [whole])
    (file,) = place.folder.iterdir()
    content = file.read_bytes()
    for bit in range(8 * 400):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        file.write_bytes(changed)
        (found,) = place.once("a", lambda: [-whole])
        assert np.array_equal(found, -whole), f"bit {bit}: taken as whole"


def test_files_that_another_job_renames_meanwhile_fail_no_score(tmp_path: Path) -> None:
    """A link to nothing is, as they are, listed and gone when asked for its size."""
    place = Kept(tmp_path / "kept")
    place.folder.mkdir()
    (place.folder / "gone.features").symlink_to(tmp_path / "nowhere")
    place.once("a", lambda: [np.zeros(3)])
    (found,) = place.once("a", lambda: pytest.fail("it is kept"))
    assert (found == 0).all()


def test_a_place_that_cannot_be_written_to_fails_no_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "file").touch()
    for _ in range(2):
        assert Kept(tmp_path / "file" / "kept").once("a", lambda: [np.ones(3)])[0].all()
    assert capsys.readouterr().err.count("features of references are not kept there") == 1
    monkeypatch.setattr(np, "savez", full)
    assert Kept(tmp_path / "full").once("a", lambda: [np.ones(3)])[0].all()
    assert "No space left on device" in capsys.readouterr().err


def test_every_protocol_is_told_whole() -> None:
    """By name: crop, colours, rounding, network with its files, and library with its version."""
    for name, protocol in PROTOCOLS.items():
        about = protocol.about(4)
        assert about["crop"] == (4 if protocol.crops else 0)
        assert all(about[key] for key in ("colours", "rounding", "network", "library", "definition")), name
        assert all(Path(file.path).name in str(about["network"]) for file in WEIGHTS[name])
        assert "numpy 2." in str(about["library"]) or "torch 2." in str(about["library"])
    alike = [(tuple(p.about(4).items()), p.title) for p in PROTOCOLS.values()]
    assert len(set(alike)) == len(PROTOCOLS)


def test_stored_and_printed_scores_tell_their_definition(
    preset: Callable[..., Path], tvqsr: Command, folders: tuple[Path, Path, Path]
) -> None:
    def change(content: dict[str, Any]) -> None:
        content["datasets"]["photos_test"] = {"folder": str(folders[2])}
        content |= {"entries": {"bicubic": {"method": "bicubic"}}, "methods": {}, "protocols": ["ssim_y", "lpips_alex"]}

    plan = Plan.load(str(preset(change)))
    assert tvqsr("record", "--preset", "mine.yaml").returncode == 0
    for words in (
        ("prepare", "photos_test"),
        *(("upscale-entry", "bicubic", "photos_test"), ("score-entry", "bicubic", "photos_test")),
    ):
        result = tvqsr(words[0], plan.paths.root, *words[1:])
        assert result.returncode == 0, result.stderr
    rows = pd.read_parquet(plan.paths.scores("bicubic", 0, "photos_test"))
    printed = json.loads(
        tvqsr(
            *("score", "--sr", plan.paths.images("bicubic", 0, "photos_test"), "--crop", plan.crop_on("photos_test")),
            *("--hr", plan.paths.dataset("photos_test") / "HR", "--protocol", "ssim_y", "--protocol", "lpips_alex"),
        ).stdout
    )["protocols"]
    for name in ("ssim_y", "lpips_alex"):
        row = rows[rows.protocol == name].iloc[0]
        assert printed[name]["about"] == {key: row[key] for key in printed[name]["about"]}
        assert printed[name]["mean"] == pytest.approx(rows[rows.protocol == name].value.mean(), abs=1e-12)
    assert printed["ssim_y"]["about"]["colours"] == "Y of YCbCr, BT.601 studio range"
    assert "alexnet-owt-7be5be79.pth" in printed["lpips_alex"]["about"]["network"]
    assert "lpips 0.1" in printed["lpips_alex"]["about"]["library"]


def test_no_more_photos_are_in_memory_than_workers(
    folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not grow with their number."""
    alive: weakref.WeakSet[Picture] = weakref.WeakSet()
    most = 0
    begin = Picture.__init__

    def counted(self: Picture, *arguments: Any) -> None:
        nonlocal most
        begin(self, *arguments)
        alive.add(self)
        most = max(most, len(alive))

    monkeypatch.setattr(Picture, "__init__", counted)
    pairs = paired_by_name(folders[0], folders[2])
    wanted: list[Protocol] = protocols(["psnr_y", "ssim_y"], "here")
    score_pairs(pairs * 4, wanted, Conditions(0, workers=1))
    assert most <= 4, "two of the photo that is scored, two of the one before"
