"""Photos of data sets that `datasets` opens: here folders of Parquet files, as the Hub has them."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from tvqsr.data.hub import write_hub_photos
from tvqsr.data.images import read_image
from tvqsr.data.prepare import prepare
from tvqsr.data.sources import obtain
from tvqsr.errors import UserError
from tvqsr.files import HOST, read_json
from tvqsr.plan.catalogue import set_folder
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.source import HubSet


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No network, and no cache outside the test."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
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
    assert (tmp_path / "out" / "HR" / "deep__one.jpg").read_bytes() == jpeg
    assert (tmp_path / "out" / "HR" / "two.png").read_bytes() == png
    assert told["photos"] == 2
    again = write_hub_photos(hub, tmp_path / "again", tmp_path / "root", False, print)
    assert again == told
    swapped = [{"bytes": png, "path": "deep/one.JPEG"}, {"bytes": jpeg, "path": "two.png"}]
    other = HubSet(name=data_set(tmp_path / "other", {"image": swapped[::-1]}))
    exchanged = write_hub_photos(other, tmp_path / "exchanged", tmp_path / "root", False, print)
    assert exchanged["sha256_of_all"] != told["sha256_of_all"], "the same contents under each other's names"


def test_a_folder_of_plain_photos_is_a_data_set_too(tmp_path: Path) -> None:
    """Rows then hold whole paths, and no bytes."""
    (tmp_path / "set" / "train").mkdir(parents=True)
    for seed in range(2):
        (tmp_path / "set" / "train" / f"photo{seed}.png").write_bytes(encoded("PNG", seed=seed))
    write_hub_photos(HubSet(name=str(tmp_path / "set")), tmp_path / "out", tmp_path / "root", False, print)
    assert sorted(file.name for file in (tmp_path / "out" / "HR").iterdir()) == ["photo0.png", "photo1.png"]
    assert (tmp_path / "out" / "HR" / "photo1.png").read_bytes() == encoded("PNG", seed=1)


def test_an_empty_row_is_named(tmp_path: Path) -> None:
    rows = [{"bytes": encoded("PNG"), "path": None}, None]
    hub = HubSet(name=data_set(tmp_path / "set", {"image": rows, "id": ["one", "two"]}), name_column="id")
    with pytest.raises(UserError, match="two: image: is empty"):
        write_hub_photos(hub, tmp_path / "out", tmp_path / "root", False, print)


def test_the_commit_that_a_revision_stands_for_is_what_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what is recorded is what was read, even if the branch moves in between."""
    folder = data_set(tmp_path / "set", {"image": [{"bytes": encoded("PNG"), "path": "a.png"}]})
    opened: list[Any] = []
    load = datasets.load_dataset

    def instead(name: str, config: str | None, *, split: str, revision: str | None) -> Any:
        opened.append((name, split, revision))
        return load(folder, config, split=split)

    monkeypatch.setattr(datasets, "load_dataset", instead)
    monkeypatch.setattr("tvqsr.data.hub._commit", lambda *_: "c0ffee")
    hub = HubSet(name="owner/name", revision="main")
    assert write_hub_photos(hub, tmp_path / "out", tmp_path / "root", False, print)["commit"] == "c0ffee"
    assert opened == [("owner/name", "train", "c0ffee")]


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


def test_a_damaged_photo_is_named_and_no_set_is_made(tmp_path: Path) -> None:
    whole = encoded("PNG", (64, 64))
    rows = [{"bytes": whole, "path": "good.png"}, {"bytes": whole[:4000], "path": "cut.png"}]
    name = data_set(tmp_path / "set", {"image": rows})
    spec = DatasetSpec.model_validate({"hub": name})
    with pytest.raises(UserError, match=r"cut: image: is damaged"):
        obtain(spec, Places(str(tmp_path / "data")), print)
    assert not [path for path in (tmp_path / "data" / "hub").iterdir() if not path.name.startswith(".")]


def test_without_network_it_is_said_where_photos_can_be_put(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        obtain(DatasetSpec(source="imagenet_val"), Places(str(tmp_path / "data")), print)
    message = str(caught.value)
    assert "\n" not in message
    assert "ILSVRC/imagenet-1k: split validation cannot be opened" in message
    assert "terms must be accepted" in message
    assert f"put its photos by hand into {tmp_path / 'data' / 'imagenet_val' / 'HR'}" in message


def test_photos_that_training_leaves_out_are_no_reason_to_stop(tmp_path: Path) -> None:
    """ImageNet holds some CMYK photos: whoever reads them refuses or leaves them out, one by one."""
    buffer = io.BytesIO()
    Image.new("CMYK", (24, 20)).save(buffer, format="JPEG")
    rows = [{"bytes": buffer.getvalue(), "path": "cmyk.jpg"}, {"bytes": encoded("PNG"), "path": "good.png"}]
    spec = DatasetSpec(hub=HubSet(name=data_set(tmp_path / "set", {"image": rows})), store="files")
    said: list[str] = []
    prepare(spec, tmp_path / "out", True, said.append, Places(str(tmp_path / "data")))
    assert any(line.startswith("1 photos left out") and "CMYK" in line for line in said)
    assert [image["name"] for image in read_json(tmp_path / "out" / "manifest.json")["images"]] == ["good"]


def test_photos_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    rows = [{"bytes": encoded("PNG", seed=seed), "path": f"{kind}/1.png"} for seed, kind in enumerate(("cat", "dog"))]
    hub = HubSet(name=data_set(tmp_path / "set", {"image": rows}))
    write_hub_photos(hub, tmp_path / "out", tmp_path / "root", False, print)
    assert sorted(path.name for path in (tmp_path / "out" / "HR").iterdir()) == ["cat__1.png", "dog__1.png"]


@pytest.mark.parametrize("name", [".hidden.png", "..", "a/..", "/"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    rows = [{"bytes": encoded("PNG"), "path": name}]
    hub = HubSet(name=data_set(tmp_path / "set", {"image": rows}))
    with pytest.raises(UserError, match=r"photo 0 is named .* which is no file name"):
        write_hub_photos(hub, tmp_path / "out", tmp_path / "root", False, print)


def test_other_photos_than_those_first_seen_are_refused(tmp_path: Path) -> None:
    places, folder = Places(str(tmp_path / "data")), tmp_path / "set"
    spec = DatasetSpec.model_validate(
        {"hub": data_set(folder, {"image": [{"bytes": encoded("PNG"), "path": "a.png"}]})}
    )
    made = obtain(spec, places, print).hr["a"].parent
    shutil.rmtree(folder)
    shutil.rmtree(made)
    data_set(folder, {"image": [{"bytes": encoded("PNG", seed=9), "path": "a.png"}]})
    with pytest.raises(UserError, match=r"set\.json: tells of other photos than are there now; delete it to trust"):
        obtain(spec, places, print)
    (made.parent / "set.json").unlink()
    assert obtain(spec, places, print).hr["a"].read_bytes() == encoded("PNG", seed=9)


def test_what_a_killed_process_wrote_is_gone_on_with(tmp_path: Path) -> None:
    rows = [{"bytes": encoded("PNG", seed=seed), "path": f"{seed}.png"} for seed in range(3)]
    spec = DatasetSpec.model_validate({"hub": data_set(tmp_path / "set", {"image": rows})})
    root = set_folder(spec, str(tmp_path / "data"))
    assert root is not None
    half = root.with_name(f".{root.name}.part") / "HR"
    half.mkdir(parents=True)
    (half / "0.png").write_bytes(encoded("PNG"))
    (half / "1.png").write_bytes(b"half")
    killed = subprocess.Popen(["true"])
    killed.wait()
    (half / f".2.png.{killed.pid}@{HOST}.part").write_bytes(b"half")
    before = (half / "0.png").stat().st_mtime_ns
    found = obtain(spec, Places(str(tmp_path / "data")), print)
    assert {name: file.read_bytes() for name, file in found.hr.items()} == {
        str(seed): encoded("PNG", seed=seed) for seed in range(3)
    }
    assert found.hr["0"].stat().st_mtime_ns == before
    assert not half.exists()
    assert sorted(file.name for file in (root / "HR").iterdir()) == ["0.png", "1.png", "2.png"]


def test_photos_put_there_by_hand_are_taken_instead(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "lsdir250" / "HR"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(encoded("PNG"))
    said: list[str] = []
    photos = obtain(DatasetSpec(source="lsdir250"), Places(str(tmp_path / "data")), said.append)
    assert read_image(photos.hr["a"]).shape == (20, 24, 3)
    assert photos.origin == {}
    assert "1 photos found, 250 expected" in said[0]
