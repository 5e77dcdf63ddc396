"""Sets of the catalogue: listed, fetched from a server, unpacked, and used where they lie."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import Command
from tvqsr.data import fetched
from tvqsr.data.prepare import prepare
from tvqsr.data.sources import obtain
from tvqsr.errors import UserError
from tvqsr.files import read_json
from tvqsr.plan import Plan, catalogue
from tvqsr.plan.catalogue import dataset_identity, overlap
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.source import ArchiveSource


def png(size: tuple[int, int], seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        for name, data in members.items():
            content.writestr(name, data)
    return buffer.getvalue()


PAIRS = {
    "set/gt/a.png": png((64, 48)),
    "set/gt/b.png": png((40, 40), 1),
    "set/lq/a.png": png((16, 12), 2),
    "set/lq/b.png": png((10, 10), 3),
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, directory=str(folder), **more)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (its name there)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


Declare = Callable[[dict[str, Any]], None]


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Declare]:
    """Put a catalogue of one's own in place of the shipped one."""

    def write(sources: dict[str, Any]) -> None:
        path = tmp_path / "sources.yaml"
        path.write_text(yaml.safe_dump(sources))
        monkeypatch.setattr(catalogue, "CATALOGUE", path)
        catalogue.catalogue.cache_clear()

    yield write
    monkeypatch.undo()
    catalogue.catalogue.cache_clear()


def pairs_source(address: str, content: bytes | None, **more: Any) -> dict[str, Any]:
    known = {} if content is None else {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return {
        "kind": "archive",
        "title": "Pairs",
        "licence": "none",
        "archives": {"pairs.zip": {"addresses": [f"{address}/pairs.zip"], **known}},
        "hr": {"pairs.zip": "**/gt/{name}.png"},
        "lr": {"pairs.zip": "**/lq/{name}.png"},
        "photos": 2,
        **more,
    }


def test_a_set_is_fetched_unpacked_and_prepared(served: tuple[Path, str], declare: Declare, tmp_path: Path) -> None:
    folder, address = served
    content = archive(PAIRS)
    (folder / "pairs.zip").write_bytes(content)
    declare({"pairs": pairs_source(address, content)})
    places = Places(str(tmp_path / "data"))
    prepare(DatasetSpec(source="pairs"), tmp_path / "out", False, print, places)
    assert (tmp_path / "data" / "pairs" / "HR" / "b.png").read_bytes() == PAIRS["set/gt/b.png"]
    assert (tmp_path / "data" / "pairs" / "LR" / "a.png").read_bytes() == PAIRS["set/lq/a.png"]
    told = read_json(tmp_path / "out" / "manifest.json")["origin"]["archives"]["pairs.zip"]
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert told["trust"] == "published"
    assert not [path for path in (tmp_path / "data").iterdir() if path.name.endswith(".part")]
    assert sorted(path.name for path in (tmp_path / "data" / "pairs").iterdir()) == ["HR", "LR", "set.json"]


def test_an_archive_that_is_here_needs_no_network(declare: Declare, tmp_path: Path) -> None:
    """The address leads nowhere; the archive lies in a folder of the user's, and has no published hash."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "pairs.zip").write_bytes(archive(PAIRS))
    declare({"pairs": pairs_source("http://127.0.0.1:9", None)})
    photos = obtain(DatasetSpec(source="pairs"), Places(str(tmp_path / "data"), str(mine)), print)
    assert sorted(photos.hr) == sorted(photos.lr) == ["a", "b"]
    assert photos.origin["archives"]["pairs.zip"]["trust"] == "first use"


def test_without_network_one_line_says_what_is_missing_and_where_it_goes(declare: Declare, tmp_path: Path) -> None:
    content = archive(PAIRS)
    declare({"pairs": pairs_source("http://127.0.0.1:9", content)})
    with pytest.raises(UserError) as caught:
        obtain(DatasetSpec(source="pairs"), Places(str(tmp_path / "data")), lambda _: None)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("http://127.0.0.1:9/pairs.zip", str(tmp_path / "data" / "archives" / "pairs.zip"), str(len(content))):
        assert part in message
    assert hashlib.sha256(content).hexdigest() in message
    assert not (tmp_path / "data" / "pairs").exists()


def test_of_several_archives_the_first_that_can_be_had_will_do(
    served: tuple[Path, str], declare: Declare, tmp_path: Path
) -> None:
    folder, address = served
    (folder / "pairs.zip").write_bytes(archive(PAIRS))
    source = pairs_source(address, None, lr={})
    source["archives"] = {"gone.tar": {"addresses": ["http://127.0.0.1:9/gone.tar"]}} | source["archives"]
    source["hr"] = {"gone.tar": "**/HR/{name}.png"} | source["hr"]
    declare({"pairs": source})
    photos = obtain(DatasetSpec(source="pairs"), Places(str(tmp_path / "data")), lambda _: None)
    assert sorted(photos.hr) == ["a", "b"]
    assert list(photos.origin["archives"]) == ["pairs.zip"]
    (folder / "pairs.zip").unlink()
    with pytest.raises(UserError) as caught:
        obtain(DatasetSpec(source="pairs"), Places(str(tmp_path / "other")), lambda _: None)
    for part in ("gone.tar", "pairs.zip", f"or put the photos themselves into {tmp_path / 'other' / 'pairs' / 'HR'}"):
        assert part in str(caught.value)


def test_an_archive_that_cannot_be_unpacked_is_not_trusted(declare: Declare, tmp_path: Path) -> None:
    """Else the right one, put in its place, would be refused; and photos put there by hand would pass as its own."""
    places = Places(str(tmp_path / "data"))
    places.archives.mkdir(parents=True)
    (places.archives / "pairs.zip").write_bytes(archive(PAIRS | {"set/gt/b.png": PAIRS["set/gt/b.png"][:100]}))
    declare({"pairs": pairs_source("http://127.0.0.1:9", None)})
    with pytest.raises(UserError, match=r"pairs\.zip: set/gt/b\.png: is damaged"):
        obtain(DatasetSpec(source="pairs"), places, lambda _: None)
    assert not (tmp_path / "data" / "pairs").exists()
    (places.archives / "pairs.zip").write_bytes(archive(PAIRS))
    assert sorted(obtain(DatasetSpec(source="pairs"), places, lambda _: None).hr) == ["a", "b"]


def test_photos_of_ones_own_are_never_mixed_with_fetched_ones(declare: Declare, tmp_path: Path) -> None:
    declare({"pairs": pairs_source("http://127.0.0.1:9", None)})
    folder = tmp_path / "data" / "pairs" / "HR"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(PAIRS["set/gt/a.png"])
    with pytest.raises(UserError, match=r"pairs: holds HR and no LR; put that there, or move all of it away to fetch"):
        obtain(DatasetSpec(source="pairs"), Places(str(tmp_path / "data")), print)


def test_a_set_that_is_here_is_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared disk may be read-only: no lock is taken."""
    folder = tmp_path / "data" / "set5" / "HR"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(png((16, 16)))
    monkeypatch.setattr(fetched, "locked", None)
    assert list(obtain(DatasetSpec(source="set5"), Places(str(tmp_path / "data")), lambda _: None).hr) == ["a"]


def test_two_archives_make_one_set(declare: Declare, tmp_path: Path) -> None:
    archives = tmp_path / "data" / "archives"
    archives.mkdir(parents=True)
    for file, side in (("hr.zip", "gt"), ("lr.zip", "lq")):
        (archives / file).write_bytes(archive({name: data for name, data in PAIRS.items() if side in name}))
    two = {"hr.zip": {"addresses": ["http://127.0.0.1:9/hr"]}, "lr.zip": {"addresses": ["http://127.0.0.1:9/lr"]}}
    members = {"hr": {"hr.zip": "**/{name}.png"}, "lr": {"lr.zip": "**/{name}.png"}}
    declare({"pairs": pairs_source("", None, archives=two, **members)})
    photos = obtain(DatasetSpec(source="pairs"), Places(str(tmp_path / "data")), print)
    assert sorted(photos.hr) == sorted(photos.lr) == ["a", "b"]
    assert photos.lr["a"].read_bytes() == PAIRS["set/lq/a.png"]


def test_a_union_keeps_photos_of_one_name_apart(declare: Declare, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        folder = tmp_path / "data" / name / "HR"
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(png((16, 16), seed))
    by_hand = {"kind": "by hand", "title": "T", "licence": "L", "holds": ["HR"], "photos": 1}
    union = {"kind": "union", "title": "Both", "licence": "L", "of": ["one", "two"], "photos": 2}
    declare({"one": by_hand, "two": by_hand, "both": union})
    photos = obtain(DatasetSpec(source="both"), Places(str(tmp_path / "data")), print)
    assert {name: file.read_bytes() for name, file in photos.hr.items()} == {
        "one__a": png((16, 16), 1),
        "two__a": png((16, 16), 2),
    }
    both, one = DatasetSpec(source="both"), DatasetSpec(source="one")
    assert overlap(both, one, "data")
    assert not overlap(DatasetSpec(source="two"), one, "data")


def test_a_union_tells_where_each_of_its_parts_came_from(
    served: tuple[Path, str], declare: Declare, tmp_path: Path
) -> None:
    folder, address = served
    content = archive(PAIRS)
    (folder / "pairs.zip").write_bytes(content)
    hand = tmp_path / "data" / "hand" / "HR"
    hand.mkdir(parents=True)
    (hand / "a.png").write_bytes(png((16, 16)))
    by_hand = {"kind": "by hand", "title": "T", "licence": "L", "holds": ["HR"], "photos": 1}
    union = {"kind": "union", "title": "Both", "licence": "L", "of": ["pairs", "hand"], "photos": 3}
    declare({"pairs": pairs_source(address, content), "hand": by_hand, "both": union})
    origin = obtain(DatasetSpec(source="both"), Places(str(tmp_path / "data")), print).origin
    assert origin["hand"] == {}
    assert origin["pairs"]["archives"]["pairs.zip"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_sets_of_the_same_members_overlap_and_others_do_not() -> None:
    def share(one: str, other: str) -> bool:
        return overlap(DatasetSpec(source=one), DatasetSpec(source=other), "data")

    assert share("df2k", "div2k_train_x4")
    assert share("imagenet_val", "imagenet_test_anew")
    assert not share("realsr_train", "realsr")
    assert not share("div2k_train", "div2k_valid")


def test_every_source_tells_what_it_is_and_where_it_can_be_had() -> None:
    for name, source in catalogue.catalogue().items():
        assert source.sides, name
        assert source.photos > 0, name
        identity = dataset_identity(DatasetSpec(source=name), name)
        assert json.dumps(identity), name
        if not isinstance(source, ArchiveSource):
            continue
        for file, spec in source.archives.items():
            assert "/" not in file, name
            for address in spec.addresses:
                assert address.startswith(("https://", "drive:", "hub:")), address
        used = {*source.hr, *source.lr}
        assert used == set(source.archives), f"{name}: archives that are declared and those that are used differ"


def test_the_list_names_every_set_and_what_is_here(tvqsr: Command, tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "set5" / "HR"
    folder.mkdir(parents=True)
    (folder.parent.parent / "set14" / "HR").mkdir(parents=True)
    (folder / "a.png").write_bytes(b"")
    result = tvqsr("datasets", "--data-folder", tmp_path / "mine")
    lines = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert set(lines) == set(catalogue.catalogue())
    assert " yes " in lines["set5"]
    assert " no " in lines["set14"], "an empty folder is no set"
    told = json.loads(tvqsr("datasets", "--json", "div2k_valid").stdout)
    assert told[0]["archives"]["DIV2K_valid_HR.zip"]["bytes"] == 448993893
    assert "0801" not in tvqsr("datasets", "set5").stdout
    assert tvqsr("datasets", "set55").returncode == 2


def test_a_presets_sets_are_listed_with_their_places(tvqsr: Command) -> None:
    names = [line.split()[0] for line in tvqsr("datasets", "--preset", "small").stdout.splitlines()[1:]]
    assert names == ["div2k_train", "div2k_valid"]


def test_a_presets_sets_of_the_hub_are_listed_and_fetched_too(tvqsr: Command, preset: Callable[..., Path]) -> None:
    def change(content: dict[str, Any]) -> None:
        content["datasets"]["photos_test"] = {"hub": "no/where"}

    listed = tvqsr("datasets", "--preset", preset(change), "--json")
    assert [row["name"] for row in json.loads(listed.stdout)] == ["skimage_train", "no/where, split train"]
    result = tvqsr("fetch", "--preset", preset(change), HF_ENDPOINT="http://127.0.0.1:9")
    assert result.returncode == 2
    assert "1 of 2 sets are not here: no/where, split train" in result.stderr


def test_fetch_gets_what_it_can_and_names_the_rest(
    tvqsr: Command, served: tuple[Path, str], declare: Declare, tmp_path: Path
) -> None:
    folder, address = served
    (folder / "pairs.zip").write_bytes(archive(PAIRS))
    declare(
        {
            "gone": {"kind": "by hand", "title": "T", "licence": "L", "page": "P", "holds": ["HR"], "photos": 1},
            "pairs": pairs_source(address, None),
        }
    )
    result = tvqsr("fetch", "gone", "pairs", "--data-folder", tmp_path / "data")
    assert result.returncode == 2
    assert "[pairs] 2 photos are here" in result.stderr
    assert "1 of 2 sets are not here: gone" in result.stderr
    again = tvqsr("fetch", "pairs", "--data-folder", tmp_path / "data")
    assert again.returncode == 0
    assert tvqsr("fetch").returncode == 2


def test_fetching_a_set_does_not_change_what_is_planned(
    served: tuple[Path, str], declare: Declare, preset: Callable[..., Path], tmp_path: Path
) -> None:
    """Else the job that fetched it would be run again; photos put there by hand do change it, and are prepared anew."""
    folder, address = served
    (folder / "pairs.zip").write_bytes(archive(PAIRS))
    shipped = yaml.safe_load(Path(catalogue.CATALOGUE).read_text())
    declare(shipped | {"pairs": pairs_source(address, None)})

    def change(content: dict[str, Any]) -> None:
        content["datasets"]["photos_test"] = {"source": "pairs"}
        content["data_folder"] = str(tmp_path / "data")

    plan = Plan.load(str(preset(change)))
    before = plan.prepare_key("photos_test")
    obtain(plan.dataset("photos_test"), Places.of(plan.preset), print)
    assert plan.prepare_key("photos_test") == before
    (tmp_path / "data" / "pairs" / "set.json").unlink()
    assert plan.prepare_key("photos_test") != before
