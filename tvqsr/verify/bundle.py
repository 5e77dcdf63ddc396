"""Opening a bundle: a results folder, or an archive of one, made by somebody else."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from tvqsr.errors import UserError
from tvqsr.fetch.bounds import MEMBERS
from tvqsr.fetch.members import members, told
from tvqsr.fetch.progress import size
from tvqsr.fetch.space import check_room, written
from tvqsr.files import read_json
from tvqsr.plan import Plan
from tvqsr.plan.method import load_method
from tvqsr.plan.paths import PLAN_FILE
from tvqsr.plan.stored import parsed_plan

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
"""Names of runs and entries: they become parts of paths."""


TEXTS, MANIFEST = (".json", ".csv", ".md", ".tex"), "manifest.json"
"""Files that are read whole."""
TEXT_BYTES, MANIFEST_BYTES = 64 * 2**20, 512 * 2**20
"""Most bytes of a text; manifests list every photo, ImageNet's 1.28 million with some 300 bytes each."""

LATER: dict[str, Any] = {"given": None}
"""What entries of earlier versions do not tell, as they had none of it."""


@dataclass(frozen=True)
class Bundle:
    """Somebody's results: as much of the plan as this installation knows the methods of."""

    root: Path
    plan: Plan
    unknown: Mapping[str, str]
    """Run, entry or table that is left out -> why."""

    def place(self, path: Path) -> str:
        """A path as a reader finds it in the bundle."""
        return path.relative_to(self.root).as_posix()

    @cached_property
    def holds(self) -> dict[str, bool]:
        """Which of the large things are in it at all: photos, images, scores, weights."""
        kinds = {"photos": "data/*/*/*.png", "images": "images/*/*/*/*.png", "scores": "scores/*/*/*.parquet"}
        kinds["weights"] = "runs/*/*/*.safetensors"
        return {kind: next(self.root.glob(pattern), None) is not None for kind, pattern in kinds.items()}


@contextmanager
def opened(place: Path) -> Iterator[Path]:
    """Folder of the results in a bundle: itself, or one unpacked for the time being.

    Raises UserError for what is no bundle, or what would lead out of it.
    """
    if not place.exists():
        raise UserError(f"{place}: no such file or folder; give somebody's results/<preset>, or a zip of it")
    if place.is_dir():
        root = _root(place, place)
        _refuse_odd(root)
        _refuse_long(root)
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="tvqsr-verify-") as folder:
        _unpack(place, Path(folder))
        root = _root(Path(folder), place)
        _refuse_long(root)
        yield root


def _unpack(archive: Path, folder: Path) -> None:
    """Write the members of a zip or tar below a folder. Raises UserError, and keeps nothing, for an odd one."""
    listed = list(members(archive))
    for member in listed:
        if member.oddity:
            raise UserError(f"{archive}: {member.path} is {member.oddity}; such a bundle is not opened")
    check_room(folder, sum(member.size for member in listed), archive.name)
    with written(folder, archive.name):
        for member in members(archive):
            parts = [part for part in PurePosixPath(member.path).parts if part != "."]
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with told(archive), member.open() as source, target.open("xb") as file:
                shutil.copyfileobj(source, file)


def _root(folder: Path, place: Path) -> Path:
    """The folder that holds the plan: this one, or the only one at the top of an archive."""
    found = [folder] if (folder / PLAN_FILE).is_file() else [path.parent for path in folder.glob(f"*/{PLAN_FILE}")]
    found = found or [path.parent for path in folder.glob(f"*/*/{PLAN_FILE}")]
    if len(found) != 1:
        which = "no plan.json in it" if not found else f"{len(found)} of them in it; give one"
        raise UserError(f"{place}: is no bundle of results ({which}); a folder like results/mini, or a zip of it, is")
    return found[0]


def _refuse_odd(root: Path) -> None:
    """Raise UserError for a link that leads out of the bundle, and for what is neither file nor folder."""
    inside = root.resolve()
    for count, path in enumerate(root.rglob("*")):
        if count > MEMBERS:
            raise UserError(f"{root}: holds more than {MEMBERS} files")
        if path.is_symlink() and not _leads_to(path).is_relative_to(inside):
            raise UserError(f"{path}: is a link that leads out of the bundle; replace it by what it leads to")
        if not path.is_file() and not path.is_dir():
            raise UserError(f"{path}: is neither a file nor a folder; remove it")


def _refuse_long(root: Path) -> None:
    """Raise UserError for a text that is far longer than tvqsr writes: it would be read into memory."""
    for path in root.rglob("*"):
        most = MANIFEST_BYTES if path.name == MANIFEST else TEXT_BYTES
        if path.suffix in TEXTS and path.is_file() and path.stat().st_size > most:
            raise UserError(f"{path.relative_to(root)}: has more than {size(most)}, far more than tvqsr writes")


def _leads_to(link: Path) -> Path:
    try:
        return link.resolve()
    except (OSError, RuntimeError) as error:
        raise UserError(f"{link}: is a link that leads nowhere ({error}); remove it") from None


def read_bundle(root: Path) -> Bundle:
    """The plan of an opened bundle, without what this installation knows no method of.

    Metric weights are never fetched, and networks run on the CPU. Raises UserError if it cannot be read.
    """
    stored = read_json(root / PLAN_FILE)
    _check_names(stored)
    known, unknown = _known(stored)
    plan = parsed_plan(known, root)
    runtime = plan.preset.runtime.model_copy(update={"gpus": 0})
    preset = plan.preset.model_copy(update={"downloads": False, "runtime": runtime})
    return Bundle(root, replace(plan, preset=preset), unknown)


def _check_names(stored: Any) -> None:
    for kind in ("runs", "entries"):
        for name, value in stored[kind].items():
            if not PLAIN.fullmatch(name) or ".." in name:
                raise UserError(f"{PLAN_FILE}: {kind}: `{name}` is no plain name")
            if any(type(seed) is not int for seed in value.get("seeds", ())):
                raise UserError(f"{PLAN_FILE}: {kind}.{name}.seeds: whole numbers expected")


def _known(stored: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A stored plan without the runs, entries and tables that need a method which is not installed here."""
    unknown: dict[str, str] = {}
    runs: dict[str, Any] = {}
    for name, value in stored["runs"].items():
        why = _why_unknown(value["method"]) or next(
            (unknown[need] for need in value["needs"].values() if need in unknown), ""
        )
        runs |= {} if why else {name: value}
        unknown |= {name: why} if why else {}
    entries: dict[str, Any] = {}
    for name, value in stored["entries"].items():
        why = _why_unknown(value["method"]) or unknown.get(value["run"] or "", "")
        entries |= {} if why else {name: LATER | value}
        unknown |= {name: why} if why else {}
    preset = dict(stored["preset"])
    tables = {name: table for name, table in preset["tables"].items() if not unknown.keys() & set(table["entries"])}
    unknown |= {f"table {name}": "has such entries" for name in preset["tables"].keys() - tables.keys()}
    return stored | {"runs": runs, "entries": entries, "preset": preset | {"tables": tables}}, unknown


def _why_unknown(method: str) -> str:
    try:
        load_method(method, PLAN_FILE)
    except UserError:
        return f"method `{method}` is not installed here"
    return ""
