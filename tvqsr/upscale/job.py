"""Make the images of an entry for a test set of the plan."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tvqsr.contract import Upscaler
from tvqsr.data.images import Pixels, to_pixels, write_png
from tvqsr.data.manifest import SCALE, Pair, read_pairs
from tvqsr.errors import UserError
from tvqsr.files import sha256, write_json
from tvqsr.plan import EntryPlan, Plan, Run
from tvqsr.plugins import load_plugin
from tvqsr.provenance import peak_memory_mib, provenance
from tvqsr.train.weights import load_trained
from tvqsr.upscale.codes import CodeUse
from tvqsr.upscale.given import copy_outputs
from tvqsr.upscale.padding import padded


def upscale(plan: Plan, entry_name: str, seed: int, testset: str) -> None:
    """Write an entry's 8-bit PNGs of a test set, then `run.json`.

    It holds their hashes, the time of each, and the use of the codebook.
    """
    entry = plan.entry(entry_name)
    if entry.has_outputs:
        copy_outputs(plan, entry, seed, testset)
        return
    folder = plan.paths.images(entry_name, seed, testset)
    shutil.rmtree(folder, ignore_errors=True)
    model, device = load_upscaler(plan, entry, seed)
    use = code_use(model, entry)
    images = {}
    for pair in read_pairs(plan.paths.dataset(testset)):
        images[pair.name] = _one(model, device, entry, pair, folder, use)
    write_json(
        folder / "run.json",
        {
            "entry": entry_name,
            "run": entry.run.name if entry.run else None,
            "weights_sha256": _weights(plan, entry, seed),
            "seed": seed,
            "testset": testset,
            "testset_sha256": sha256(plan.paths.manifest(testset)),
            "reads": entry.reads,
            "parameters": sum(p.numel() for p in model.parameters()),
            "given": _given(entry, model),
            "images": images,
            "codes": use.summary() if use else None,
            "device": str(device),
            "threads": torch.get_num_threads(),
            "peak_memory_mib": peak_memory_mib(),
            "made_by": provenance(),
        },
    )


def code_use(model: Upscaler, entry: EntryPlan) -> CodeUse | None:
    """What counts the codes of an entry's images; None for a method without codebooks."""
    return CodeUse(model.codebooks, entry.reads == "hr") if model.codebooks else None


def _weights(plan: Plan, entry: EntryPlan, seed: int) -> dict[str, str]:
    """SHA-256 of the weights of each run behind an entry: what the images were made with."""
    lineage = entry.run.lineage() if entry.run else []
    return {run.name: sha256(plan.paths.weights(run.name, seed)) for run in lineage}


def load_upscaler(plan: Plan, entry: EntryPlan, seed: int) -> tuple[Upscaler, torch.device]:
    """An entry's networks, ready on the best device there is. Raises UserError for one that has none to run."""
    if entry.has_outputs:
        raise UserError(
            f"entry `{entry.name}` is given finished outputs and makes none of other photos; choose another"
        )
    if entry.given is not None:
        return ready(load_plugin(entry.method).given_upscaler(Path(entry.given)), plan.preset.runtime.gpus)
    trained = load_trained(plan, entry.run, seed) if entry.run else None
    return ready(load_plugin(entry.method).upscaler(trained), plan.preset.runtime.gpus)


def _given(entry: EntryPlan, model: Upscaler) -> dict[str, Any] | None:
    """What is known of the checkpoint that an entry was given."""
    if entry.given is None:
        return None
    return {"kind": "checkpoint", "path": entry.given, "sha256": sha256(Path(entry.given)), "about": dict(model.about)}


def load_network(plan: Plan, run: Run, seed: int) -> Callable[[Pixels], Pixels]:
    """A finished run's networks as a function of 8-bit images (H, W, 3), of any size."""
    model, device = ready(load_plugin(run.method).upscaler(load_trained(plan, run, seed)), plan.preset.runtime.gpus)
    return lambda pixels: applied(model, to_unit(pixels, device))[0]


def ready(model: Upscaler, gpus: int) -> tuple[Upscaler, torch.device]:
    """A model in inference on the best device there is."""
    device = torch.device("cuda" if gpus and torch.cuda.is_available() else "cpu")
    # Laid out as in training: convolutions run faster so, on CPUs and on GPUs.
    model.to(device).to(memory_format=torch.channels_last)
    return model.eval().requires_grad_(False), device


def to_unit(pixels: Pixels, device: torch.device) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(pixels.copy()).to(device).permute(2, 0, 1).unsqueeze(0).float() / 255


def _one(
    model: Upscaler, device: torch.device, entry: EntryPlan, pair: Pair, folder: Path, use: CodeUse | None
) -> dict[str, Any]:
    pixels, about = make_image(model, device, entry, pair, use)
    path = folder / f"{pair.name}.png"
    write_png(path, pixels)
    return {"sha256": sha256(path), **about}


def make_image(
    model: Upscaler, device: torch.device, entry: EntryPlan, pair: Pair, use: CodeUse | None
) -> tuple[Pixels, dict[str, Any]]:
    """An entry's image of a test photo as 8-bit pixels, and what its record says of it; its codes are counted in `use`.

    Raises UserError if it has not the size that it should.
    """
    hr, lr = pair.hr(), pair.lr()
    expected = (lr.shape[0] * SCALE, lr.shape[1] * SCALE, 3)
    given = to_unit(hr if hr is not None and entry.reads == "hr" else lr, device)
    pixels, seconds = applied(model, given)
    if pixels.shape != expected:
        raise UserError(
            f"entry `{entry.name}`: {pair.name} came out as {pixels.shape[:2]}, not {expected[:2]} (height, width)"
        )
    scale = expected[0] // given.shape[-2]
    accuracy = None
    if use:
        with torch.inference_mode():
            accuracy = use.add(model, given, to_unit(hr, device) if hr is not None else None, scale)
    size = {"height": pixels.shape[0], "width": pixels.shape[1]}
    return pixels, {"seconds": round(seconds, 4), "index_accuracy": accuracy, **size}


def applied(model: Upscaler, image: Tensor) -> tuple[Pixels, float]:
    """A model's image of (1, 3, h, w), of any size, as 8-bit pixels, and the seconds it took."""
    started = time.perf_counter()
    with torch.inference_mode():
        unit = padded(model, image, model.multiple)[0].permute(1, 2, 0).cpu().numpy()
    return to_pixels(unit), time.perf_counter() - started
