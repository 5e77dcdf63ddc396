"""Photos of data sets that `datasets` opens: here folders of Parquet files, as the Hub has them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from tvqsr.data.hub import write_hub_photos
from tvqsr.data.images import read_image
from tvqsr.data.sources import obtain
from tvqsr.errors import UserError
from tvqsr.files import read_json
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.source import HubSet


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No network, and no cache outside the test."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def encoded(kind: str, size: tuple[int, int] = (24, 20), seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind)
    return buffer.getvalue()


def data_set(folder: Path, columns: dict[str, list[Any]], images: tuple[str, ...] = ("image",)) -> str:
    """A data set of one Parquet file; returns its folder."""
    kinds = {name: datasets.Image() if name in images else datasets.Value("string") for name in columns}
    rows = datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))
    folder.mkdir(parents=True)
    rows.to_parquet(folder / "train-00000-of-00001.parquet")
    return str(folder)


def test_bytes_are_written_as_they_are_under_their_own_names(tmp_path: Path) -> None:
    jpeg, png = encoded("JPEG"), encoded("PNG", seed=1)
    rows = [{"bytes": jpeg, "path": "deep/one.JPEG"}, {"bytes": png, "path": "two.png"}]
    hub = HubSet(name=data_set(tmp_path / "set", {"image": rows}))
    told = write_hub_photos(hub, tmp_path / "out", tmp_path / "root", False, print)
    assert (tmp_path / "out" / "HR" / "one.jpg").read_bytes() == jpeg
    assert (tmp_path / "out" / "HR" / "two.png").read_bytes() == png
    assert told["photos"] == 2
    again = write_hub_photos(hub, tmp_path / "again", tmp_path / "root", False, print)
    assert again == told


def test_pairs_of_a_preset_come_out_as_hr_and_lr(tmp_path: Path) -> None:
    hr, lr = encoded("PNG", (64, 48)), encoded("PNG", (16, 12))
    columns: dict[str, list[Any]] = {
        "hr": [{"bytes": hr, "path": None}],
        "lr": [{"bytes": lr, "path": None}],
        "id": ["street"],
    }
    name = data_set(tmp_path / "set", columns, ("hr", "lr"))
    spec = DatasetSpec.model_validate(
        {"hub": {"name": name, "column": "hr", "lr_column": "lr", "name_column": "id"}}, strict=True
    )
    places = Places(str(tmp_path / "data"))
    photos = obtain(spec, places, print)
    assert photos.hr["street"].read_bytes() == hr
    assert photos.lr["street"].read_bytes() == lr
    assert photos.origin["photos"] == 1
    before = photos.hr["street"].stat().st_mtime_ns
    assert obtain(spec, places, print).hr["street"].stat().st_mtime_ns == before, "a set that is there was made again"


def test_a_name_alone_is_the_photos_of_the_training_split(tmp_path: Path) -> None:
    content = encoded("PNG")
    name = data_set(tmp_path / "set", {"image": [{"bytes": content, "path": None}]})
    (file,) = obtain(DatasetSpec.model_validate({"hub": name}), Places(str(tmp_path / "data")), print).hr.values()
    assert file.name == "0000000.png"
    record = read_json(file.parent.parent / "set.json")
    assert record["hub"]["split"] == "train"
    assert record["title"] == f"{name}, split train"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"column": "imag"}, r"`imag` is no column of images; did you mean `image`\?"),
        ({"column": "label"}, r"`label` is no column of images"),
        ({"name_column": "nam"}, r"has no column `nam`"),
        ({"split": "validation"}, r"split validation cannot be opened"),
        ({"name_column": "label"}, r"two photos are named `same`"),
    ],
)
def test_what_is_not_in_a_set_is_named(tmp_path: Path, change: dict[str, str], message: str) -> None:
    rows = [{"bytes": encoded("PNG", seed=seed), "path": f"{seed}.png"} for seed in range(2)]
    name = data_set(tmp_path / "set", {"image": rows, "label": ["same", "same"]})
    with pytest.raises(UserError, match=message):
        write_hub_photos(HubSet(name=name, **change), tmp_path / "out", tmp_path / "root", False, print)


def test_a_damaged_photo_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    whole = encoded("PNG", (64, 64))
    rows = [{"bytes": whole, "path": "good.png"}, {"bytes": whole[:4000], "path": "cut.png"}]
    name = data_set(tmp_path / "set", {"image": rows})
    spec = DatasetSpec.model_validate({"hub": name})
    with pytest.raises(UserError, match=r"cut: image: damaged or truncated image"):
        obtain(spec, Places(str(tmp_path / "data")), print)
    assert not [path for path in (tmp_path / "data" / "hub").iterdir() if not path.name.endswith(".lock")]


def test_without_network_it_is_said_where_photos_can_be_put(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        obtain(DatasetSpec(source="imagenet_val"), Places(str(tmp_path / "data")), print)
    message = str(caught.value)
    assert "\n" not in message
    assert "ILSVRC/imagenet-1k: split validation cannot be opened" in message
    assert "terms must be accepted" in message
    assert f"put its photos by hand into {tmp_path / 'data' / 'imagenet_val' / 'HR'}" in message


def test_photos_put_there_by_hand_are_taken_instead(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "lsdir250" / "HR"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(encoded("PNG"))
    said: list[str] = []
    photos = obtain(DatasetSpec(source="lsdir250"), Places(str(tmp_path / "data")), said.append)
    assert read_image(photos.hr["a"]).shape == (20, 24, 3)
    assert photos.origin == {}
    assert "1 photos found, 250 expected" in said[0]
