"""Which files of a folder are photos."""

from __future__ import annotations

from pathlib import Path

from tvqsr.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def image_files(folder: Path) -> list[Path]:
    """Image files directly in `folder`, sorted by name.

    Raises UserError if it is no folder, is empty, or holds two images of one stem.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    if not files:
        raise UserError(f"{folder}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
    stems: dict[str, Path] = {}
    for file in files:
        if file.stem in stems:
            raise UserError(
                f"{file}: same name as {stems[file.stem].name} but for the ending; "
                f"images are paired by name, so rename one"
            )
        stems[file.stem] = file
    return files


def folder_listing(folder: str) -> list[list[str | int]]:
    """[name, size in bytes] of each image of a folder."""
    return [[file.name, file.stat().st_size] for file in image_files(Path(folder))]
