"""`photos.parquet` of prepared sets, opened as a user does."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tvqsr.data import parquet
from tvqsr.data.images import Pixels, read_image
from tvqsr.data.manifest import read_pairs
from tvqsr.data.prepare import prepare
from tvqsr.data.store import open_store
from tvqsr.files import read_json
from tvqsr.plan.preset import DatasetSpec


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    """Photos of several kinds: RGB and grey, PNG and JPEG, upright and turned by EXIF, sides of no multiple of 4."""
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (50, 71, 3), dtype=np.uint8)).save(folder / "colour.png")
    Image.fromarray(random.integers(0, 256, (40, 44), dtype=np.uint8)).save(folder / "grey.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(random.integers(0, 256, (48, 65, 3), dtype=np.uint8)).save(folder / "turned.jpg", exif=turned)
    return folder


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Open a file as the module's docstring says, with a cache of its own and no network."""

    def refused(*_: object) -> None:
        raise AssertionError("a prepared set is opened without a network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    return lambda path: datasets.load_dataset(
        "parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )


def made(tmp_path: Path, name: str = "out", for_training: bool = False, **spec: Any) -> Path:
    prepare(DatasetSpec(**spec), tmp_path / name, for_training, print)
    return tmp_path / name


def rgb(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))


def test_a_test_set_is_in_it_byte_for_byte(tmp_path: Path, hr: Path, load: Any) -> None:
    out = made(tmp_path, folder=str(hr))
    table = load(out / "photos.parquet")
    assert table.column_names[:3] == ["name", "hr", "lr"]
    assert {"height", "width", "source", "source_sha256", "hr_sha256", "lr_sha256", "cut"} <= set(table.column_names)
    pairs = list(read_pairs(out))
    assert table["name"] == [pair.name for pair in pairs] == ["colour", "grey", "turned"]
    raw = table.cast_column("hr", datasets.Image(decode=False)).cast_column("lr", datasets.Image(decode=False))
    for pair, row, stored in zip(pairs, table, raw, strict=True):
        found = pair.hr()
        assert found is not None
        assert np.array_equal(rgb(row["hr"]), found)
        assert np.array_equal(rgb(row["lr"]), pair.lr())
        assert (row["height"], row["width"]) == found.shape[:2]
        assert pair.hr_path is not None
        assert stored["hr"] == {"bytes": pair.hr_path.read_bytes(), "path": f"HR/{pair.name}.png"}
        assert stored["lr"]["bytes"] == pair.lr_path.read_bytes()
        assert hashlib.sha256(stored["hr"]["bytes"]).hexdigest() == row["hr_sha256"]
        assert hashlib.sha256(stored["lr"]["bytes"]).hexdigest() == row["lr_sha256"]


def test_what_the_manifest_says_of_a_photo_is_in_its_row(tmp_path: Path, hr: Path, load: Any) -> None:
    out = made(tmp_path, folder=str(hr))
    columns = load(out / "photos.parquet").remove_columns(["hr", "lr"])
    manifest = read_json(out / "manifest.json")
    assert list(columns) == manifest["images"]
    assert manifest["images"][0]["cut"] == {"bottom": 2, "right": 3}
    assert manifest["parquet_sha256"] == hashlib.sha256((out / "photos.parquet").read_bytes()).hexdigest()


@pytest.mark.parametrize("store", ["pixels", "files"])
def test_a_training_set_refers_to_its_photos(tmp_path: Path, hr: Path, load: Any, store: str) -> None:
    out = made(tmp_path, for_training=True, folder=str(hr), store=store)
    rows = load(out / "photos.parquet")
    assert "lr" not in rows.column_names
    photos, _ = open_store(out)
    assert [photo.name for photo in photos] == rows["name"]
    for row, photo in zip(rows, photos, strict=True):
        pixels = photo.hr()
        assert np.array_equal(rgb(row["hr"])[: pixels.shape[0], : pixels.shape[1]], pixels)
    column = pq.read_table(out / "photos.parquet")["hr"].to_pylist()
    assert [cell["bytes"] for cell in column] == [None] * 3
    assert [Path(cell["path"]) for cell in column] == sorted(hr.iterdir())


def test_a_set_without_hr_has_no_such_column(tmp_path: Path, hr: Path, load: Any) -> None:
    rows = load(made(tmp_path, lr_folder=str(hr)) / "photos.parquet")
    assert "hr" not in rows.column_names
    assert "cut" not in rows.column_names
    assert np.array_equal(rgb(rows[2]["lr"]), read_image(hr / "turned.jpg"))


def test_the_same_photos_give_the_same_bytes(tmp_path: Path, hr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever and in however many pieces they are read; nothing but the photos and the library's version is in it."""
    for for_training in (False, True):
        first, again = (made(tmp_path, f"{n}{for_training}", for_training, folder=str(hr)) for n in range(2))
        assert (first / "photos.parquet").read_bytes() == (again / "photos.parquet").read_bytes()
        assert (first / "manifest.json").read_bytes() == (again / "manifest.json").read_bytes()
    metadata = pq.read_metadata(first / "photos.parquet").metadata
    assert set(metadata) == {b"huggingface", b"ARROW:schema"}
    assert b"pandas" not in metadata[b"huggingface"]


def test_photos_are_written_in_groups(tmp_path: Path, hr: Path, load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1)
    by_size = made(tmp_path, "by_size", folder=str(hr)) / "photos.parquet"
    assert pq.read_metadata(by_size).num_row_groups == 3
    monkeypatch.setattr(parquet, "GROUP_ROWS", 2)
    by_rows = made(tmp_path, "by_rows", for_training=True, folder=str(hr)) / "photos.parquet"
    assert pq.read_metadata(by_rows).num_row_groups == 2
    assert load(by_size)["name"] == load(by_rows)["name"] == ["colour", "grey", "turned"]


def test_it_can_be_handed_on(tmp_path: Path, hr: Path, load: Any) -> None:
    """What `push_to_hub` does but for the network: saved, written anew, opened elsewhere, with the photos gone."""
    out = made(tmp_path, folder=str(hr))
    table = load(out / "photos.parquet")
    expected = [pair.lr() for pair in read_pairs(out)]
    table.save_to_disk(str(tmp_path / "saved"))
    table.to_parquet(str(tmp_path / "anew.parquet"))
    for folder in (hr, out / "HR", out / "LR"):
        for file in folder.iterdir():
            file.unlink()
    for opened in (datasets.load_from_disk(str(tmp_path / "saved")), load(tmp_path / "anew.parquet")):
        assert isinstance(opened.features["hr"], datasets.Image)
        assert all(np.array_equal(rgb(row["lr"]), lr) for row, lr in zip(opened, expected, strict=True))
        raw = opened.cast_column("hr", datasets.Image(decode=False))
        assert [hashlib.sha256(cell["bytes"]).hexdigest() for cell in raw["hr"]] == list(opened["hr_sha256"])


def test_preparing_leaves_nothing_in_the_home_folder(tmp_path: Path, hr: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "from pathlib import Path; from tvqsr.data.prepare import prepare; "
        "from tvqsr.plan.preset import DatasetSpec as S; "
        f"prepare(S(folder={str(hr)!r}), Path({str(tmp_path / 'out')!r}), False, print)"
    )
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_"))}
    subprocess.run([sys.executable, "-c", code], env=kept | {"HOME": str(home)}, check=True)
    assert (tmp_path / "out" / "photos.parquet").is_file()
    assert list(home.rglob("*")) == []
