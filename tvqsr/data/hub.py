"""Photos of a data set that `datasets` opens, written as files: the bytes that it holds, as they are."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from PIL import Image

from tvqsr.errors import UserError
from tvqsr.fetch.decode import decode
from tvqsr.fetch.progress import Steps
from tvqsr.fetch.space import check_room
from tvqsr.files import remove_leftovers, written_beside
from tvqsr.plan.schema import suggestion
from tvqsr.plan.source import HubSet
from tvqsr.undecodable import UNDECODABLE

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif", "MPO": ".jpg"}
"""By Pillow's names of formats."""
SECONDS = 20.0
"""Longest wait for the Hub's first answer."""


def write_hub_photos(
    hub: HubSet, folder: Path, root: Path, gated: bool, report: Callable[[str], None]
) -> dict[str, Any]:
    """Write `HR` (and `LR`) of a data set below `folder`; returns its commit, size and the digest of all its files.

    What a killed process wrote there is kept. `root` is where the photos may be put by hand instead. Every photo is
    decoded once; whether it is of a kind that can be worked with is asked by who reads it. Raises UserError.
    """
    columns = {side: column for side, column in (("HR", hub.column), ("LR", hub.lr_column)) if column}
    commit = _commit(hub, columns, root, gated)
    rows = _opened(hub, commit, columns, root, gated, report)
    for side in columns:
        (folder / side).mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder / side)
    check_room(folder, int(rows.data.nbytes * len(rows) / max(rows.data.num_rows, 1)), hub.name)
    seen: set[str] = set()
    digest, steps = hashlib.sha256(), Steps(f"{hub.name}: written", len(rows), report)
    for number, row in enumerate(rows):
        name = _name(hub, row, number)
        if name in seen:
            raise UserError(f"{hub.name}: two photos are named `{name}`; give another `name_column`")
        seen.add(name)
        for side, column in columns.items():
            content = _content(row[column], f"{hub.name}: {name}: {column}")
            _write(content, folder / side / name, f"{hub.name}: {name}: {column}")
            digest.update(f"{side} {name} {hashlib.sha256(content).hexdigest()}\n".encode())
        steps.done()
    return {"commit": commit, "photos": len(seen), "sha256_of_all": digest.hexdigest()}


def _commit(hub: HubSet, columns: dict[str, str], root: Path, gated: bool) -> str | None:
    """The commit that a revision stands for now, None of a folder; `datasets` would ask for half a minute in vain."""
    if Path(hub.name).is_dir():
        return None
    import requests
    from huggingface_hub import constants
    from huggingface_hub.utils._headers import build_hf_headers

    address = f"{constants.ENDPOINT}/api/datasets/{quote(hub.name)}/revision/{quote(hub.revision or 'main', safe='')}"
    try:
        answer = requests.get(address, headers=build_hf_headers(), timeout=SECONDS)
        answer.raise_for_status()
        return str(answer.json()["sha"])
    except (requests.RequestException, KeyError) as error:
        raise _cannot_be_opened(hub, error, columns, root, gated) from None


def _opened(
    hub: HubSet, commit: str | None, columns: dict[str, str], root: Path, gated: bool, report: Callable[[str], None]
) -> Any:
    """Rows of a data set, images as the bytes that they are."""
    import datasets

    report(
        f"{hub.name}: opening split {hub.split}; its copy in {datasets.config.HF_DATASETS_CACHE} may be removed after"
    )
    try:
        rows = datasets.load_dataset(hub.name, hub.config, split=hub.split, revision=commit)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise _cannot_be_opened(hub, error, columns, root, gated) from None
    for column in columns.values():
        if column not in rows.column_names or not isinstance(rows.features[column], datasets.Image):
            images = [name for name, kind in rows.features.items() if isinstance(kind, datasets.Image)]
            raise UserError(f"{hub.name}: `{column}` is no column of images{suggestion(column, images)}")
        rows = rows.cast_column(column, datasets.Image(decode=False))
    if hub.name_column and hub.name_column not in rows.column_names:
        known = suggestion(hub.name_column, rows.column_names)
        raise UserError(f"{hub.name}: has no column `{hub.name_column}`{known}")
    return rows


def _cannot_be_opened(hub: HubSet, error: Exception, columns: dict[str, str], root: Path, gated: bool) -> UserError:
    terms = ", whose terms must be accepted on its page first (then `hf auth login`)" if gated else ""
    folders = " and ".join(str(root / side) for side in columns)
    return UserError(
        f"{hub.name}: split {hub.split} cannot be opened ({' '.join(str(error).split())[:200]}); "
        f"it is a data set on huggingface.co{terms}; or put its photos by hand into {folders}"
    )


def _name(hub: HubSet, row: dict[str, Any], number: int) -> str:
    """A photo's name: its path without ending, the parts joined by `__`; its number where there is no path."""
    told = row[hub.name_column] if hub.name_column else row[hub.column].get("path")
    if not told:
        return f"{number:07d}"
    path = PurePosixPath(str(told))
    # A data set in a folder has whole paths; only what is below its own folders tells photos apart.
    parts = (path.name,) if path.is_absolute() else path.parts
    name = "__".join([*parts[:-1], PurePosixPath(parts[-1]).stem]) if parts else ""
    if not name or name.startswith(".") or ".." in parts or "\0" in name:
        raise UserError(f"{hub.name}: photo {number} is named `{told}`, which is no file name; give a `name_column`")
    return name


def _content(image: dict[str, Any] | None, where: str) -> bytes:
    """An image's bytes, inside the row or in a file that it names."""
    if image is None or not (image.get("bytes") or image.get("path")):
        raise UserError(f"{where}: is empty")
    content: bytes = image["bytes"] or Path(image["path"]).read_bytes()
    return content


def _write(content: bytes, path: Path, where: str) -> None:
    """Write an image under the ending of its format, unless it is there. Raises UserError for no whole image."""
    try:
        with Image.open(io.BytesIO(content)) as opened:
            suffix = SUFFIXES.get(opened.format or "")
    except UNDECODABLE:
        suffix = None
    if suffix is None:
        raise UserError(f"{where}: is not an image of a known kind ({', '.join(sorted(SUFFIXES))})")
    target = path.with_name(path.name + suffix)
    if target.is_file() and target.stat().st_size == len(content):
        return
    with written_beside(target) as beside:
        beside.write_bytes(content)
        decode(beside, where)
