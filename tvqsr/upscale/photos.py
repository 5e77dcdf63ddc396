"""Photos of the user's through an entry: one, or a folder of them; large ones tile by tile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from tvqsr.console import say
from tvqsr.contract import Upscaler
from tvqsr.data.images import Pixels, read_image, to_pixels, write_png
from tvqsr.errors import UserError
from tvqsr.fetch.progress import Steps
from tvqsr.plan import EntryPlan, Plan
from tvqsr.plan.folders import named_images
from tvqsr.shortage import Shortage, told_out_of_memory
from tvqsr.upscale.grid import grid
from tvqsr.upscale.job import load_upscaler, to_unit
from tvqsr.upscale.padding import padded
from tvqsr.upscale.tiles import tiled

Advice = Callable[[Shortage, int, tuple[int, int], int], str]
"""Where memory runs short, what to do, from the tile, a photo's sides, and what the network wants of sides."""


def upscale_photos(
    plan: Plan, entry_name: str, seed: int, source: Path, target: Path, tile: int, advice: Advice
) -> Iterator[str]:
    """Upscale a photo into a PNG, or each photo of a folder into PNGs of a folder; yields a line on each.

    A photo larger than `tile` pixels a side is done in tiles, 0: always whole. Raises UserError for an entry that needs
    HR, before anything is made, and where memory runs short.
    """
    entry = _upscaling(plan, entry_name, seed)
    pairs = _pairs(source, target)
    if not source.is_dir():
        read_image(source)
    model, device = load_upscaler(plan, entry, seed)
    if tile and tile < (least := grid(tile, model.multiple)[0]):
        say(f"--tile {tile}: tiles of {least} pixels are the smallest of this network, and are taken")
    for photo, output in pairs:
        started = time.perf_counter()
        pixels = _upscaled(model, device, photo, tile, advice)
        write_png(output, pixels)
        seconds = time.perf_counter() - started
        yield f"{output}: {pixels.shape[1]} x {pixels.shape[0]} by {entry_name} in {seconds:.2f} s"


def _upscaling(plan: Plan, entry_name: str, seed: int) -> EntryPlan:
    entry = plan.entry(entry_name)
    if seed not in entry.seeds:
        raise UserError(f"entry `{entry_name}` was trained with seeds {list(entry.seeds)}, not {seed}")
    if entry.reads == "hr":
        raise UserError(
            f"entry `{entry_name}` reconstructs HR and cannot upscale; choose another of preset `{plan.name}`"
        )
    return entry


def _pairs(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """(photo, PNG to be written), in order. Raises UserError for an output that would overwrite a photo."""
    if source.is_dir():
        if target.suffix.lower() == ".png" or target.is_file():
            raise UserError(f"{target}: {source} is a folder, so the output is a folder, too; give another name")
        pairs = [(photo, target / f"{name}.png") for name, photo in named_images(source).items()]
    else:
        if target.suffix.lower() != ".png":
            raise UserError(f"{target}: the output is a PNG; give a name that ends in .png")
        pairs = [(source, target)]
    photos = {photo.resolve() for photo, _ in pairs}
    for _, output in pairs:
        if output.resolve() in photos:
            raise UserError(f"{output}: is the photo itself; give another name for the output")
    return pairs


def _upscaled(model: Upscaler, device: torch.device, photo: Path, tile: int, advice: Advice) -> Pixels:
    image = to_unit(read_image(photo), torch.device("cpu"))
    sides = (image.shape[-2], image.shape[-1])
    told = told_out_of_memory(lambda short: advice(short, tile, sides, model.multiple))
    with torch.inference_mode(), told:
        if tile == 0 or max(sides) <= tile:
            unit = padded(model, image.to(device), model.multiple).cpu()
        else:
            on_device = partial(_on, model, device)
            unit = tiled(on_device, image, model.multiple, tile, partial(_tiles, photo.name))
    return to_pixels(unit[0].permute(1, 2, 0).numpy())


def _on(model: Upscaler, device: torch.device, part: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = model(part.to(device))
    return out


def _tiles(name: str, total: int) -> Steps:
    return Steps(f"{name}: tile", total, say)
