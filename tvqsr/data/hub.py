"""Photos of a data set that `datasets` opens, written as files: the bytes that it holds, as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from tvqsr.data.images import read_image
from tvqsr.errors import UserError
from tvqsr.files import sha256, written_beside
from tvqsr.plan.schema import suggestion
from tvqsr.plan.source import HubSet

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif", "MPO": ".jpg"}
"""By Pillow's names of formats."""


def write_hub_photos(
    hub: HubSet, folder: Path, root: Path, gated: bool, report: Callable[[str], None]
) -> dict[str, Any]:
    """Write `HR` (and `LR`) of a data set below `folder`; returns its size and the digest of all its files.

    `root` is where the photos may be put by hand instead. Every photo is decoded once. Raises UserError.
    """
    columns = {side: column for side, column in (("HR", hub.column), ("LR", hub.lr_column)) if column}
    rows = _opened(hub, columns, root, gated, report)
    seen: set[str] = set()
    digest = hashlib.sha256()
    for number, row in enumerate(rows):
        if number % 1000 == 0:
            report(f"{hub.name}: photo {number + 1} of {len(rows)}")
        name = _name(hub, row, number)
        if name in seen:
            raise UserError(f"{hub.name}: two photos are named `{name}`; give another `name_column`")
        seen.add(name)
        for side, column in columns.items():
            file = _write(row[column], folder / side / name, f"{hub.name}: {name}: {column}")
            digest.update(f"{side} {name} {sha256(file)}\n".encode())
    return {"photos": len(seen), "sha256_of_all": digest.hexdigest()}


def _opened(hub: HubSet, columns: dict[str, str], root: Path, gated: bool, report: Callable[[str], None]) -> Any:
    """Rows of a data set, images as the bytes that they are."""
    import datasets

    report(f"{hub.name}: opening split {hub.split}")
    try:
        rows = datasets.load_dataset(hub.name, hub.config, split=hub.split, revision=hub.revision)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        terms = ", whose terms must be accepted on its page first (then `hf auth login`)" if gated else ""
        folders = " and ".join(str(root / side) for side in columns)
        raise UserError(
            f"{hub.name}: split {hub.split} cannot be opened ({' '.join(str(error).split())[:200]}); "
            f"it is a data set on huggingface.co{terms}; or put its photos by hand into {folders}"
        ) from None
    for column in columns.values():
        if column not in rows.column_names or not isinstance(rows.features[column], datasets.Image):
            images = [name for name, kind in rows.features.items() if isinstance(kind, datasets.Image)]
            raise UserError(f"{hub.name}: `{column}` is no column of images{suggestion(column, images)}")
        rows = rows.cast_column(column, datasets.Image(decode=False))
    if hub.name_column and hub.name_column not in rows.column_names:
        raise UserError(
            f"{hub.name}: has no column `{hub.name_column}`{suggestion(hub.name_column, rows.column_names)}"
        )
    return rows


def _name(hub: HubSet, row: dict[str, Any], number: int) -> str:
    """A photo's name: a plain file name without ending."""
    told = row[hub.name_column] if hub.name_column else row[hub.column].get("path")
    return Path(str(told)).stem if told else f"{number:07d}"


def _write(image: dict[str, Any] | None, path: Path, where: str) -> Path:
    """Write an image's bytes under the ending of their format. Raises UserError for what is no whole image."""
    if image is None or not (image.get("bytes") or image.get("path")):
        raise UserError(f"{where}: is empty")
    content = image["bytes"] or Path(image["path"]).read_bytes()
    with written_beside(path) as beside:
        beside.write_bytes(content)
        try:
            with Image.open(beside) as opened:
                suffix = SUFFIXES.get(opened.format or "")
        except (UnidentifiedImageError, OSError):
            suffix = None
        if suffix is None:
            raise UserError(f"{where}: is not an image of a known kind ({', '.join(sorted(SUFFIXES))})")
        try:
            read_image(beside)
        except UserError as error:
            raise UserError(f"{where}: {str(error).split(': ', 1)[1]}") from None
    return path.rename(path.with_name(path.name + suffix))
