"""Images of an entry that is given somebody's finished outputs: checked, and copied pixel by pixel."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tvqsr.console import say
from tvqsr.data.images import read_output, write_png
from tvqsr.data.manifest import SCALE, Pair, read_pairs
from tvqsr.errors import UserError
from tvqsr.files import sha256, write_json
from tvqsr.plan import EntryPlan, Plan
from tvqsr.plan.folders import named_images
from tvqsr.plugins import load_plugin
from tvqsr.provenance import provenance


def copy_outputs(plan: Plan, entry: EntryPlan, seed: int, testset: str) -> None:
    """Write an entry's given outputs of a test set as its images, then `run.json`, like `upscale`.

    Raises UserError for an image that is missing, of another size or kind; then there is no `run.json`.
    """
    source = plan.outputs(entry.name, testset)
    pairs = list(read_pairs(plan.paths.dataset(testset)))
    files = load_plugin(entry.method).given_images(source, [pair.name for pair in pairs])
    folder = plan.paths.images(entry.name, seed, testset)
    shutil.rmtree(folder, ignore_errors=True)
    images = {pair.name: _copied(files[pair.name], pair, folder) for pair in pairs}
    used = set(files.values())
    left_out = [str(file.relative_to(source)) for file in named_images(source).values() if file not in used]
    if left_out:
        say(f"[{entry.name}] {source}: {len(left_out)} images are of no test photo and left out: {_first(left_out)}")
    write_json(
        folder / "run.json",
        {
            "entry": entry.name,
            "run": None,
            "weights_sha256": {},
            "seed": seed,
            "testset": testset,
            "testset_sha256": sha256(plan.paths.manifest(testset)),
            "reads": entry.reads,
            "parameters": None,
            "given": {"kind": "images", "path": str(source), "left_out": left_out},
            "images": images,
            "codes": None,
            "device": None,
            "threads": None,
            "peak_memory_mib": None,
            "made_by": provenance(),
        },
    )


def _copied(source: Path, pair: Pair, folder: Path) -> dict[str, Any]:
    pixels = read_output(source)
    height, width = (side * SCALE for side in pair.lr().shape[:2])
    if pixels.shape[:2] != (height, width):
        raise UserError(
            f"{source}: is {pixels.shape[1]} x {pixels.shape[0]}, but {width} x {height} is expected, "
            f"{SCALE} times {pair.lr_path}"
        )
    path = folder / f"{pair.name}.png"
    write_png(path, pixels)
    about = {"source": source.name, "source_sha256": sha256(source), "height": height, "width": width}
    return {"sha256": sha256(path), "seconds": None, "index_accuracy": None, **about}


def _first(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
