"""LR of a folder of photos by a named degradation."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvqsr.console import duration
from tvqsr.data.degrade_log import LOG, LrLog
from tvqsr.data.images import Pixels, read_image
from tvqsr.data.lr import cut_hr, make_lr, photo_seed
from tvqsr.errors import UserError
from tvqsr.files import sha256
from tvqsr.plan.degradation import Degradation
from tvqsr.plan.digest import source_digest
from tvqsr.plan.folders import named_images
from tvqsr.plan.method import PACKAGE

if TYPE_CHECKING:
    from tvqsr.data.degrade import ChainRecipe, Recipe

BICUBIC_SCALES = (2, 3, 4, 8)
"""Scales of the public sets' bicubic LR."""
GPU = "cuda"
EVERY = 2.0
"""Least time between progress lines, in seconds."""


@dataclass(frozen=True)
class Way:
    """How LR is made: by which degradation, at which scale, from which seed, of HR cut to multiples of `multiple`."""

    degradation: Degradation
    scale: int
    seed: int
    multiple: int
    device: str

    def check(self) -> None:
        """Raises UserError for what is not defined, or not possible here."""
        scales = self.recipe.scales if self.recipe else BICUBIC_SCALES
        if self.scale not in scales:
            known = ", ".join(map(str, scales))
            raise UserError(f"--scale {self.scale}: `{self.degradation}` is defined for {known} only")
        if self.multiple < self.scale or self.multiple % self.scale:
            raise UserError(f"--multiple {self.multiple}: expected a multiple of the scale, {self.scale}")
        if self.seed < 0:
            raise UserError(f"--seed {self.seed}: expected 0 or more")
        if self.recipe:
            _check_device(self.device)

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU that works; of bicubic it never is."""
        return self.device == GPU and self.degradation != "bicubic"

    @property
    def recipe(self) -> Recipe | ChainRecipe | None:
        """What it draws from; None of bicubic, which draws nothing."""
        if self.degradation == "bicubic":
            return None
        from tvqsr.data.degrade import RECIPES

        return RECIPES[self.degradation]

    def of_photo(self, name: str, file: Path) -> dict[str, Any]:
        """All that decides the LR of a photo."""
        return {
            "name": name,
            "source": file.name,
            "source_sha256": sha256(file),
            "degradation": self.degradation,
            "scale": self.scale,
            "multiple": self.multiple,
            **(self._drawn(self.recipe, name) if self.recipe else {}),
            "made_by": {"code": source_digest(PACKAGE / "data" / "lr.py"), **_versions()},
        }

    def _drawn(self, recipe: Recipe | ChainRecipe, name: str) -> dict[str, Any]:
        from tvqsr.data.degrade import draw_for
        from tvqsr.data.degrade.log import as_json

        seed = photo_seed(name, self.seed)
        return {
            "seed": seed,
            "device": self.device,
            "sharpened": recipe.sharpen,
            "drawn": as_json(draw_for(recipe, seed, self.scale)),
        }


def degrade_folder(way: Way, hr_folder: Path, lr_folder: Path, report: Callable[[str], None]) -> None:
    """Make `lr_folder/NAME.png` of each photo, one after the other, and the log of what was drawn and cut.

    LR that the log proves to be the same already is left as it is. Raises UserError for folders or photos that do not
    do.
    """
    way.check()
    photos = named_images(hr_folder)
    _check_apart(hr_folder, lr_folder)
    log = LrLog(lr_folder, photos)
    report(f"{len(photos)} photos; HR is cut right and below to multiples of {way.multiple} first")
    progress = _Progress(len(photos), report)
    made = cut = 0
    for name, file in photos.items():
        entry = way.of_photo(name, file)
        if not log.holds(entry):
            sizes, lr = _made(way, name, file)
            log.add({**entry, **sizes}, lr)
            made += 1
        height, width = log.entries[name]["lr_size"]
        is_cut = any(log.entries[name]["cut"])
        cut += is_cut
        progress.show(f"{name} to {width} x {height}" + (", HR cut" if is_cut else ""))
    log.write(photos)
    report(
        f"{made} made, {len(photos) - made} there already; HR of {cut} photos was cut; "
        f"parameters and sizes: {lr_folder / LOG}"
    )


def _made(way: Way, name: str, file: Path) -> tuple[dict[str, list[int]], Pixels]:
    """LR, and [height, width] of the photo, of what is cut off it (below, on the right), and of LR."""
    photo = read_image(file)
    hr = cut_hr(photo, way.multiple, file)
    lr = make_lr(hr, way.degradation, name, way.scale, way.seed, way.device)
    cut = [whole - left for whole, left in zip(photo.shape[:2], hr.shape[:2], strict=True)]
    return {"size": list(photo.shape[:2]), "cut": cut, "lr_size": list(lr.shape[:2])}, lr


def _check_apart(hr_folder: Path, lr_folder: Path) -> None:
    hr, lr = hr_folder.resolve(), lr_folder.resolve()
    if lr == hr or hr in lr.parents:
        raise UserError(f"{lr_folder}: is the folder of HR or in it, where LR would be taken for HR; name another")


def _check_device(device: str) -> None:
    import torch

    # Not `cuda:1` either: the GPU that is leased for the command is the only one, and the first, that it sees.
    if device not in ("cpu", GPU):
        raise UserError(f"--device {device}: expected `cpu` or `cuda`")
    if device == GPU and not torch.cuda.is_available():
        raise UserError(f"--device {device}: torch sees no GPU here; leave it out for the CPU")


def _versions() -> dict[str, str]:
    """Libraries whose numbers are in LR."""
    return {name: importlib.metadata.version(name) for name in ("numpy", "pillow", "scipy", "torch")}


class _Progress:
    """At most one line per `EVERY` seconds, and one at the end."""

    def __init__(self, total: int, report: Callable[[str], None]) -> None:
        self.total, self.report, self.done = total, report, 0
        self.started = time.perf_counter()
        self.shown = self.started

    def show(self, what: str) -> None:
        self.done += 1
        now = time.perf_counter()
        if self.done == self.total or now - self.shown >= EVERY:
            self.shown = now
            left = (now - self.started) / self.done * (self.total - self.done)
            self.report(f"{self.done}/{self.total} {what}, left {duration(left)}")
