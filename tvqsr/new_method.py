"""A method to start from, written from `tvqsr/templates/`: a real one, checked like all others, under another name."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.plan.method import BUILT_IN, PACKAGE, method_folders

TEMPLATE = PACKAGE / "templates" / "small_vq"
PROJECT = PACKAGE / "templates" / "package"
BASELINES = BUILT_IN[1]


def new_method(name: str, at: Path | None = None, package: bool = False) -> Path:
    """Write a method called `name` into a new folder of that name, and return the folder.

    It is made in the folder `at`, by default in `baselines/` of the checkout, where the suite finds it. As a `package`
    it lies, with what pip needs to install it, in a folder of the same name inside, by default below the working
    directory. Raises UserError for a name that will not do, or a folder that is there already.
    """
    _check_name(name, package)
    if at is None and not package and not BASELINES.is_dir():
        raise UserError(f"{BASELINES}: no such folder: this is no checkout; give --package, or --at FOLDER")
    parent = at or (Path() if package else BASELINES)
    folder = parent / name
    if folder.exists():
        raise UserError(f"{folder}: is there already; choose another name or --at another folder")
    if parent.exists() and not parent.is_dir():
        raise UserError(f"{parent}: is no folder; give --at a folder")
    beside = parent / f".{name}.part"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        if package:
            _write(PROJECT, beside, name)
            _write(TEMPLATE, beside / name, name)
        else:
            _write(TEMPLATE, beside, name)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _check_name(name: str, package: bool) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"{name}: a method's name starts with a small letter; letters a-z, digits and `_` follow")
    if keyword.iskeyword(name):
        raise UserError(f"{name}: is a word of Python's own; choose another name")
    if name in method_folders():
        raise UserError(f"{name}: there is a method of that name (`tvqsr methods {name}`); choose another")
    if package and importlib.util.find_spec(name) is not None:
        raise UserError(f"{name}: there is an installed Python package of that name; choose another")


def _write(template: Path, folder: Path, name: str) -> None:
    """Copy the template's files, with its name replaced in them and in their names."""
    folder.mkdir(parents=True)
    title = name.replace("_", " ").capitalize()
    for file in sorted(template.iterdir()):
        if file.is_file():
            text = file.read_text(encoding="utf-8").replace("small-vq", name.replace("_", "-"))
            text = text.replace("small_vq", name).replace("Small VQ", title)
            (folder / file.name.replace("small_vq", name)).write_text(text, encoding="utf-8")
