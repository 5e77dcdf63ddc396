"""Which files of a folder are photos."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from tvqsr.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def named_images(folder: Path) -> dict[str, Path]:
    """Image files in `folder` and the folders in it, by name, sorted.

    A name is the path below `folder` without ending, its parts joined by `__`. Raises UserError if `folder` is no
    folder, holds no image, or holds two of one name.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    files = images_below(folder)
    if not files:
        raise UserError(f"{folder}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
    names: dict[str, Path] = {}
    for file in files:
        name = "__".join(file.relative_to(folder).with_suffix("").parts)
        if name in names:
            raise UserError(
                f"{file}: same name as {names[name].name} but for the ending; images are paired by name, so rename one"
            )
        names[name] = file
    return names


def named_like(files: Mapping[str, Path], names: Collection[str]) -> dict[str, Path]:
    """Files by the names that are expected of them, others by their own.

    A file's name may end in `x4` beyond the expected one, as LR of public sets does, and what is made of it. Raises
    UserError if two files stand for one name.
    """
    found: dict[str, Path] = {}
    for name, file in files.items():
        short = name.removesuffix("x4")
        meant = short if name not in names and short in names else name
        if meant in found:
            raise UserError(f"{file}: stands for the same photo as {found[meant].name}; remove one")
        found[meant] = file
    return found


def images_below(folder: Path) -> list[Path]:
    """Image files in `folder` and the folders in it, sorted; nothing hidden."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and _seen(path, folder))


def _seen(path: Path, folder: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def folder_listing(folder: Path) -> list[list[str | int]]:
    """[name, size in bytes] of each image of a folder."""
    return [[name, file.stat().st_size] for name, file in named_images(folder).items()]
