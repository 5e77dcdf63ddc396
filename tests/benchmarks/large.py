"""TVQ&RAP at the paper's size on large images, tile by tile: its time, and whether it keeps within 4 GiB."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from tests.benchmarks.alone import alone
from tests.benchmarks.inference import Switches, Way, compare, random_image, ways
from tests.benchmarks.measure import PLAIN, told_memory, wait
from tests.benchmarks.memory import Memory, forget_peak, peak_held
from tvqsr.data.images import to_pixels
from tvqsr.fetch.progress import Steps
from tvqsr.upscale.grid import TILE
from tvqsr.upscale.tiles import tiled

SIDES = (512, 724)
"""Of the LR image: 4.2 and 8.4 megapixels of output."""
BOUND_MIB = 4 * 1024
"""The most that a CPU's process may hold, Python and torch included."""


def large(device: torch.device, side: int, tile: int = TILE, chosen: tuple[str, ...] = ()) -> dict[str, Any]:
    """One image, once in each way, each in a process of its own: it takes minutes on a CPU."""
    print(f"LR {side} x {side} -> {4 * side} x {4 * side} in tiles of {tile}")
    rows: dict[str, dict[str, Any]] = {}
    names = chosen or (PLAIN, "ours", "ours, bf16")
    with TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{number}.pt" for number, name in enumerate(names)}
        for name, file in files.items():
            row = alone(_one, ways(device, None)[name], device, side, tile, torch.get_num_threads(), file)
            first = next(iter(rows.values()), row)["seconds"]
            row["times_as_fast"] = first / row["seconds"]
            rows[name] = row
            _tell(name, row)
        if PLAIN in rows:
            compare(rows, {name: partial(_loaded, file) for name, file in files.items()}, device)
    return {"lr": side, "tile": tile, "bound_mib": BOUND_MIB, "ways": rows}


def _one(switches: Switches, device: torch.device, side: int, tile: int, threads: int, output: Path) -> dict[str, Any]:
    torch.set_num_threads(threads)
    way, image = Way(switches, device), random_image(side, torch.device("cpu"), 1)
    way(image[..., :64, :64].to(device))
    held = peak = reason = None
    try:
        forget_peak(device)
        held = round(peak_held(device), 1)
    except OSError:
        reason = "this system does not let a process reset its peak memory, as Linux does"
    started = time.perf_counter()
    unit = tiled(partial(_on, way, device), image, way.model.multiple, tile, silent)
    to_pixels(unit[0].permute(1, 2, 0).numpy())
    wait(device)
    seconds = time.perf_counter() - started
    if held is not None:
        peak = round(peak_held(device), 1)
    torch.save(unit, output)
    return {
        "seconds": seconds,
        "megapixels_per_second": (4 * side) ** 2 / 1e6 / seconds,
        "held_before_mib": held,
        "peak_memory_mib": peak,
        "peak_memory_reason": reason,
        "within_bound": None if peak is None or device.type == "cuda" else peak <= BOUND_MIB,
    }


def _on(way: Way, device: torch.device, part: Tensor) -> Tensor:
    return way(part.to(device))


def silent(total: int) -> Steps:
    return Steps("tile", total, lambda _: None)


def _loaded(file: Path) -> Tensor:
    image: Tensor = torch.load(file, weights_only=True)
    return image


def _tell(name: str, row: dict[str, Any]) -> None:
    verdicts = {True: ", within 4 GiB", False: ", MORE than 4 GiB", None: ""}
    print(
        f"  {name:<34}{row['seconds']:9.1f} s{row['times_as_fast']:7.2f} times as fast   "
        f"{told_memory(Memory(row['peak_memory_mib'], row['peak_memory_reason']))}{verdicts[row['within_bound']]}",
        flush=True,
    )
