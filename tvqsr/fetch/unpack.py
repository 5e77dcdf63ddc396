"""Photos out of an archive: flat, under names that a pattern takes from their paths, each decoded once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.fetch.bounds import check_image
from tvqsr.fetch.decode import decoding
from tvqsr.fetch.faults import ByHandError
from tvqsr.fetch.lock import locked
from tvqsr.fetch.members import Member, members, told
from tvqsr.fetch.pattern import Pattern, suffix_of
from tvqsr.fetch.progress import Steps
from tvqsr.fetch.space import check_room, written
from tvqsr.plan.folders import named_images

EXAMPLES = 3


def unpack(
    archive: Path, target: Path, patterns: Mapping[str, str], report: Callable[[str], None]
) -> dict[str, list[str]]:
    """Write the images of a zip or tar as `target/<kind>/<name><ending>`, kind by kind. Returns the names by kind.

    `patterns` says for each kind which members it is of (`tvqsr.fetch.pattern`). Only `{name}` of a member's path is
    used. A kind's folder appears when all of the archive is unpacked and decoded; one that is there, and not empty, is
    left alone. Raises UserError naming the archive and the member or pattern that is at fault.
    """
    with locked(target, report):
        absent = {kind: Pattern(text) for kind, text in patterns.items() if not _is_there(target / kind)}
        beside = target.with_name(f".{target.name}.part")
        shutil.rmtree(beside, ignore_errors=True)
        try:
            if absent:
                _unpack(archive, absent, beside, report)
                target.mkdir(exist_ok=True)
            for kind in absent:
                (beside / kind).replace(target / kind)
        except ByHandError as error:
            places = " and ".join(str(target.absolute() / kind) for kind in absent)
            raise UserError(f"{error}; unpack it by hand, as far as you trust it, into {places}") from None
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return {kind: list(named_images(target / kind)) for kind in patterns}


@dataclass(frozen=True)
class _Chosen:
    """Where a member goes."""

    kind: str
    file: str
    size: int


def _unpack(archive: Path, patterns: Mapping[str, Pattern], folder: Path, report: Callable[[str], None]) -> None:
    """Write the images of every kind into `folder/<kind>`, decoded."""
    chosen = _chosen(archive, patterns)
    check_room(folder.parent, sum(one.size for one in chosen.values()), archive.name)
    with written(folder.parent, archive.name):
        _extract(archive, chosen, folder, report)


def _is_there(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _chosen(archive: Path, patterns: Mapping[str, Pattern]) -> dict[str, _Chosen]:
    """Members that a pattern matches, by path, in the order of the archive."""
    chosen: dict[str, _Chosen] = {}
    taken: dict[tuple[str, str], str] = {}
    examples: list[str] = []
    for member in members(archive):
        examples += [member.path] if len(examples) < EXAMPLES else []
        for kind, pattern in patterns.items():
            if name := pattern.name(member.path):
                _check(archive, member)
                if other := taken.get((kind, name)):
                    raise UserError(
                        f"{archive}: {other} and {member.path} are both `{name}` of {kind}; one is expected"
                    )
                taken[kind, name] = member.path
                if member.path in chosen:
                    raise UserError(f"{archive}: {member.path} is of two kinds, {chosen[member.path].kind} and {kind}")
                chosen[member.path] = _Chosen(kind, name + suffix_of(member.path), member.size)
    for kind, pattern in patterns.items():
        if not any(one.kind == kind for one in chosen.values()):
            has = ", ".join(examples) or "nothing"
            raise UserError(f"{archive}: no member matches `{pattern.text}` ({kind}); it has {has}")
    return chosen


def _check(archive: Path, member: Member) -> None:
    if member.oddity:
        raise ByHandError(f"{archive}: {member.path} is {member.oddity}, which is not followed")
    check_image(archive, member.path, member.size)


def _extract(archive: Path, chosen: Mapping[str, _Chosen], folder: Path, report: Callable[[str], None]) -> None:
    for kind in {one.kind for one in chosen.values()}:
        (folder / kind).mkdir(parents=True)
    report(f"{archive.name}: unpacking {len(chosen)} images")
    steps = Steps(f"{archive.name}: unpacked", len(chosen), report)
    with decoding() as under_way:
        for member in members(archive):
            if one := chosen.get(member.path):
                image = folder / one.kind / one.file
                image.write_bytes(_content(archive, member))
                under_way.add(image, f"{archive}: {member.path}")
                steps.done()


def _content(archive: Path, member: Member) -> bytes:
    """A member's bytes: zipfile and tarfile read as many as it declares, and raise where there are fewer."""
    with told(archive), member.open() as file:
        return file.read()
