"""What an entry is given by hand: somebody's checkpoint, or a folder of somebody's finished outputs."""

from __future__ import annotations

from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.plan.folders import images_below
from tvqsr.plan.method import Method
from tvqsr.plan.preset import EntrySpec

MARKS = {"checkpoint": "weights given", "images": "outputs given"}
"""What stands behind an entry's title, so that every table and figure tells what was not made here."""
EXPECTED = {
    "checkpoint": "the path of a checkpoint",
    "images": "a folder of outputs, with `{testset}` in its path or a folder per test set in it",
}
TESTSET = "{testset}"


def check_given(spec: EntrySpec, method: Method, where: str) -> None:
    """Refuse an entry without what its method must be given, or with what it has no use for."""
    kind = method.spec.given
    if kind is None and spec.given is not None:
        raise UserError(f"{where}.given: `{method.name}` is given nothing; leave it out, or name another method")
    if kind is not None and spec.given is None:
        raise UserError(f"{where}: `{method.name}` needs `given`: {EXPECTED[kind]}")


def marked(title: str, method: Method) -> str:
    """An entry's title with its mark, if it is given something."""
    return f"{title} ({MARKS[method.spec.given]})" if method.spec.given else title


def outputs_folder(given: str, testset: str, alone: bool) -> Path:
    """Folder of the outputs of a test set.

    `{testset}` in the path is replaced; else it is the folder of that name in `given`; else, if the entry has that test
    set `alone`, `given` itself. Raises UserError if none of these is a folder.
    """
    if TESTSET in given:
        folder = Path(given.replace(TESTSET, testset))
    elif (Path(given) / testset).is_dir() or not alone:
        folder = Path(given) / testset
    else:
        folder = Path(given)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; put the outputs of {testset} there, or change `given`")
    return folder


def state(path: Path) -> list[list[str | int]]:
    """[name, bytes, time of change] of a file, or of every image of a folder; empty where there is nothing."""
    files = [path] if path.is_file() else images_below(path) if path.is_dir() else []
    return [[str(file), (about := file.stat()).st_size, about.st_mtime_ns] for file in files]
