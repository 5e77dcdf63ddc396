"""Sets of the catalogue: fetched from a server, unpacked, put together, and used where they lie."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.sources.pairs import PAIRS, Declare, archive, pairs_source, png
from tvqsr.data import fetched
from tvqsr.data.prepare import prepare
from tvqsr.data.sources import obtain
from tvqsr.errors import UserError
from tvqsr.files import read_json
from tvqsr.plan.catalogue import overlap
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec


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
