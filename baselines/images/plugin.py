"""Somebody's finished outputs, paired with the test photos by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.plan.folders import named_images, named_like


def given_images(folder: Path, names: Sequence[str]) -> Mapping[str, Path]:
    """File of each test image, by its name without ending (`x4` behind it is no matter).

    Folders in the folder count, as in a dataset's.
    """
    files = named_like(named_images(folder), names)
    for name in names:
        if name not in files:
            near = difflib.get_close_matches(name, files, 1, cutoff=0.3)
            instead = f" (is it {files[near[0]].name}?)" if near else ""
            raise UserError(f"{folder}: has no output `{name}.png`{instead}; every test image must be there, so named")
    return {name: files[name] for name in names}
