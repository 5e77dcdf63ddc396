"""Places of photos and images in a bundle, by names that a stranger's records tell: none leads elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tvqsr.errors import UserError
from tvqsr.files import read_json
from tvqsr.verify.bundle import Bundle


def photo_file(bundle: Bundle, dataset: str, kind: str, name: str) -> Path:
    """PNG of a test photo. Raises UserError for a name that is no plain one."""
    return bundle.plan.paths.dataset(dataset) / kind.upper() / f"{_plain(name)}.png"


def image_file(bundle: Bundle, entry: str, seed: int, testset: str, name: str) -> Path:
    """PNG of an image that is scored. Raises UserError for a name that is no plain one."""
    return bundle.plan.paths.images(entry, seed, testset) / f"{_plain(name)}.png"


def _plain(name: Any) -> str:
    if not isinstance(name, str) or not name or name.startswith(".") or {"/", "\\", "\0"} & set(name):
        raise UserError(f"`{name}` is no plain name of an image")
    return name


def test_names(bundle: Bundle, testset: str) -> dict[str, dict[str, Any]] | None:
    """Photos of a test set by name, as its manifest describes them; None without one."""
    path = bundle.plan.paths.manifest(testset)
    return {_plain(image["name"]): image for image in read_json(path)["images"]} if path.is_file() else None
