"""What the catalogue says, what is listed of it and fetched by name, and what a plan makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import Command
from tests.sources.pairs import PAIRS, Declare, archive, pairs_source
from tvqsr.data.sources import obtain
from tvqsr.plan import Plan, catalogue
from tvqsr.plan.catalogue import dataset_identity, overlap
from tvqsr.plan.places import Places
from tvqsr.plan.preset import DatasetSpec
from tvqsr.plan.source import ArchiveSource


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
