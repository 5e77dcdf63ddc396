"""Finished results without a training: a prepared set, images that are bicubic and worse, and scores that are made up.

What is told of them goes through the steps that tell it of real ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skimage
import yaml
from PIL import Image

from tests.conftest import TINY
from tvqsr.cli import main
from tvqsr.data.images import read_image
from tvqsr.data.manifest import read_pairs
from tvqsr.data.prepare import prepare
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plan.places import Places
from tvqsr.plan.stored import record
from tvqsr.provenance import provenance

HOSTILE = "VQ </script><b>\"é\"</b> & 'more'"
"""A title that would break a page that does not escape."""
PROTOCOLS: dict[str, dict[str, Any]] = {
    "psnr_y": {"title": "PSNR-Y", "higher_is_better": True, "decimals": 2, "crop": 4, "definition": "luma, in dB"},
    "lpips_alex": {"title": "LPIPS", "higher_is_better": False, "decimals": 4, "crop": 0, "definition": "AlexNet"},
    "fid": {"title": "FID", "higher_is_better": False, "decimals": 2, "crop": 0, "definition": "Inception"},
}
ABSENT = "weights absent: nowhere to be had"


def made_up(folder: Path) -> Plan:
    """Results of two test sets and two seeds below `folder`, up to the scores; `folder` is the working directory."""
    content = yaml.safe_load(TINY.read_text())
    for name, photos in (("first", ("a", "tête & <b>", "c")), ("second", ("d", "e"))):
        _photos(folder / name, photos)
        content["datasets"][name] = {"folder": str(folder / name)}
    content |= {"test_on": ["first", "second"], "seeds": [0, 1], "protocols": list(PROTOCOLS)}
    content["entries"]["vq"]["title"] = HOSTILE
    half = {"tokenizer": {"settings": {"codebook_size": 8}}}
    for method, entry in (("vq", "vq_rec_half"), ("tvqrap", "tvq_rec_half")):
        content["entries"][entry] = {"method": method, "upscales_with": "tokenizer", "stages": half}
    sizes = ["vq_rec_half", "vq_rec", "tvq_rec_half", "tvq_rec"]
    content["tables"] = {"codebook": {"title": "Codebooks", "entries": sizes, "varies": ["codebook_size"]}}
    preset = folder / "shown.yaml"
    preset.write_text(yaml.safe_dump(content))
    plan = Plan.load(str(preset))
    write_json(plan.paths.record, record(plan))
    for name in plan.used_datasets:
        prepare(
            plan.dataset(name),
            plan.paths.dataset(name),
            name == "photos_train",
            lambda _: None,
            Places.of(plan.preset),
            1,
        )
    for run, seed in plan.made():
        _run(plan, run, seed)
    for number, entry in enumerate(plan.entries):
        for seed in plan.entries[entry].seeds:
            for testset in plan.test_sets(entry):
                _images(plan, entry, seed, testset, number)
    return plan


def with_page(folder: Path) -> Plan:
    """Such results with their tables, verdicts and page."""
    plan = made_up(folder)
    root = str(plan.paths.root)
    for words in [*(["table", root, name] for name in plan.tables), ["claims", root], ["report", root]]:
        assert main(words) == 0, words
    return plan


def _photos(folder: Path, names: tuple[str, ...]) -> None:
    folder.mkdir()
    cat = read_image(Path(skimage.__file__).parent / "data" / "chelsea.png")
    for number, name in enumerate(names):
        Image.fromarray(cat[20 * number : 20 * number + 192, 40 * number : 40 * number + 224]).save(
            folder / f"{name}.png"
        )


def _run(plan: Plan, run: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    steps = np.arange(2, 802, 2)
    terms = {
        "step": steps,
        "generator/pixel": np.exp(-steps / 300) + 0.01 * random.random(400),
        "generator/gan": np.nan,
    }
    plan.paths.run(run, seed).mkdir(parents=True)
    pd.DataFrame(terms).to_csv(plan.paths.curve(run, seed), index=False)
    training = plan.runs[run].training.model_dump(mode="json")
    told = {"parameters": 1_000_000, "wall_seconds": 10.0, "images_per_second": 5.0, "peak_memory_mib": 100.0}
    write_json(plan.paths.run_record(run, seed), told | {"training": training, "made_by": provenance()})


def _images(plan: Plan, entry: str, seed: int, testset: str, number: int) -> None:
    """Bicubic with as much noise as the entry's number says; quality falls with it, and from image to image."""
    random = np.random.default_rng([seed, number])
    about: dict[str, Any] = {}
    rows = []
    folder = plan.paths.images(entry, seed, testset)
    folder.mkdir(parents=True)
    for place, pair in enumerate(read_pairs(plan.paths.dataset(testset))):
        lr = Image.fromarray(pair.lr())
        pixels = np.asarray(lr.resize((4 * lr.width, 4 * lr.height), Image.Resampling.BICUBIC), dtype=np.float64)
        noisy = pixels + 4 * number * random.standard_normal(pixels.shape)
        Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8)).save(folder / f"{pair.name}.png")
        size = {"height": 4 * lr.height, "width": 4 * lr.width}
        about[pair.name] = {"seconds": 0.01 * (number + 1), "index_accuracy": None, **size}
        rows.append(_row("psnr_y", pair.name, 30.0 - number - place + 0.1 * seed))
        # Not in step with PSNR, or every Pareto front would be a point.
        rows.append(_row("lpips_alex", pair.name, 0.5 - 0.03 * number + 0.01 * place))
    rows.append(_row("fid", "(set)", None))
    counts = {
        "size": 16,
        "stride": 8,
        "used": 12,
        "perplexity": 9.0,
        "counts": [2**power for power in range(12)] + [0] * 4,
    }
    codes = {
        "codebooks": [counts],
        "used": 0.75,
        "perplexity": 9.0,
        "bits_per_position": 4.0,
        "accuracy": None,
        "redundancy": None,
    }
    plan_of = plan.entries[entry]
    write_json(
        plan.paths.images_record(entry, seed, testset),
        {
            "reads": plan_of.reads,
            "parameters": 1000 * number,
            "given": None,
            "images": about,
            "codes": codes if plan_of.run else None,
            "device": "cpu",
            "threads": 1,
        },
    )
    table = pd.DataFrame([{"entry": entry, "seed": seed, "testset": testset} | row for row in rows])
    path = plan.paths.scores(entry, seed, testset)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.astype({"value": "float64", "reason": "string"}).to_parquet(path)


def _row(protocol: str, image: str, value: float | None) -> dict[str, Any]:
    reason = None if value is not None else ABSENT
    return {"image": image, "protocol": protocol, "value": value, "reason": reason} | PROTOCOLS[protocol]


def page_data(page: str, name: str) -> Any:
    """The JSON that a page carries under `data-<name>`."""
    start = page.index(f'id="data-{name}">') + len(f'id="data-{name}">')
    return json.loads(page[start : page.index("</script>", start)])
