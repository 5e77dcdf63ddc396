"""Subcommands for people's own photos and weights."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from tvqsr.commands.common import add, changes_of, stored
from tvqsr.console import say
from tvqsr.errors import UserError
from tvqsr.gpus import VISIBLE, leased_gpus
from tvqsr.shortage import told_out_of_memory
from tvqsr.upscale.grid import TILE


def add_own(steps: Any) -> None:
    """Steps for people's own photos and weights."""
    weights = add(
        steps, "import-weights", _import_weights, "turn a checkpoint that the authors released into weights of a preset"
    )
    weights.add_argument("method")
    weights.add_argument("file", type=Path, help="the authors' .pth; nothing in it is executed")
    weights.add_argument(
        "--run", type=Path, default=Path("results/paper"), help="results folder (default: %(default)s)"
    )
    weights.add_argument("--stage", help="the stage that it is of, if its name does not tell")
    upscale = add(
        steps,
        "upscale",
        _upscale,
        "upscale a photo of yours, or a folder of them, x4 with a trained entry",
    )
    upscale.add_argument("photo", type=Path, help="or a folder of photos")
    upscale.add_argument("output", type=Path, help="a PNG, or a folder for them")
    upscale.add_argument("--entry", required=True)
    upscale.add_argument(
        "--run",
        type=Path,
        default=Path("results/mini"),
        help="results folder of a finished preset (default: %(default)s)",
    )
    upscale.add_argument("--seed", type=int, default=0)
    upscale.add_argument(
        "--tile",
        type=_whole_number,
        default=TILE,
        help="pixels a side of a photo that are upscaled at once (default: %(default)s: some 3 GB in all at the "
        "published size, for 8 megapixels of output, too); a network's windows set the least, 128 at the published "
        "size; 0: the whole photo, whatever memory that takes (some 2 GB per megapixel of output)",
    )
    _add_efficiency(steps)
    _add_overlap(steps)
    score = add(steps, "score", _score, "score any two folders of images, paired by name")
    score.add_argument(
        "--sr",
        type=Path,
        action="append",
        required=True,
        help="folder of the images to be scored; may be given several times: all that is computed of HR serves all",
    )
    score.add_argument("--hr", type=Path, help="folder of the references; not needed by niqe, musiq, ...")
    score.add_argument(
        "--protocol",
        action="append",
        required=True,
        help="psnr_y, ssim_y, niqe, ..., or any metric of pyiqa as pyiqa:NAME; may be given several times",
    )
    score.add_argument(
        "--crop",
        type=int,
        default=4,
        help="border left out of PSNR and SSIM; other protocols see the whole image (default: %(default)s)",
    )
    score.add_argument("--json", type=Path, help="write the scores here, too")
    score.add_argument(
        "--threads",
        type=_at_least_one,
        default=len(os.sched_getaffinity(0)),
        help="images scored at a time; scores do not depend on it (default: %(default)s)",
    )
    score.add_argument("--download", action="store_true", help="fetch absent metric weights from the network")


def _add_efficiency(steps: Any) -> None:
    """What a method costs before it is trained."""
    summary = "count and time a method with fresh weights at its published size, on this machine; prints JSON"
    efficiency = add(steps, "efficiency", _efficiency, summary)
    efficiency.add_argument("method")
    efficiency.add_argument(
        "--given", type=Path, help="the checkpoint of a method that runs others', as `spandrel` does"
    )
    efficiency.add_argument("--stage", help="default: the one that makes the method's images")
    efficiency.add_argument(
        "--set", action="append", default=[], metavar="KEY=YAML", help="change a setting in every stage that has it"
    )
    efficiency.add_argument(
        "--training", action="store_true", help="instead, the memory of a training step, computed without a GPU"
    )
    efficiency.add_argument("--batch", type=int, help="of that step (default: the published one)")
    efficiency.add_argument("--crop", type=int, help="its HR side in pixels (default: the published one)")


def _import_weights(options: argparse.Namespace) -> None:
    from tvqsr.files import write_json
    from tvqsr.plan import Plan
    from tvqsr.plan.load import is_preset
    from tvqsr.plan.stored import record, stored_plan

    # Before a preset's first run its results folder holds no plan yet: the folder's name tells which preset is meant.
    if not (options.run / "plan.json").is_file() and is_preset(options.run.name):
        plan = Plan.load(options.run.name)
        write_json(options.run / "plan.json", record(plan))
    plan = stored_plan(options.run)
    from tvqsr.train.released import import_by_hand

    import_by_hand(plan, options.method, options.file, options.stage)


def _efficiency(options: argparse.Namespace) -> None:
    from tvqsr.efficiency.advice import for_timing
    from tvqsr.efficiency.job import published_cost, published_training_memory

    changes = changes_of(options.set)
    if options.training and options.given:
        raise UserError("--given is not of --training: what is given is not trained; leave one of them out")
    if options.training:
        result = published_training_memory(options.method, options.stage, changes, options.batch, options.crop)
    elif options.batch is not None or options.crop is not None:
        raise UserError("--batch and --crop are of --training; give that, too, or leave them out")
    else:
        with leased_gpus(1), told_out_of_memory(lambda short: for_timing(short, f"`{VISIBLE}=` before the command")):
            result = published_cost(options.method, options.stage, changes, options.given)
    sys.stdout.write(json.dumps(result, indent=2, allow_nan=False) + "\n")


def _upscale(options: argparse.Namespace) -> None:
    plan = stored(options.run)
    plan.entry(options.entry)
    from tvqsr.efficiency.advice import for_tiles
    from tvqsr.upscale.photos import upscale_photos

    what = (options.entry, options.seed, options.photo, options.output, options.tile)
    with leased_gpus(plan.preset.runtime.gpus):
        for line in upscale_photos(plan, *what, for_tiles):
            say(line)


def _score(options: argparse.Namespace) -> None:
    from tvqsr.efficiency.advice import for_threads
    from tvqsr.files import write_text
    from tvqsr.score.job import score_folders

    if options.crop < 0:
        raise UserError(f"--crop {options.crop}: expected 0 or more")
    folders = list(dict.fromkeys(options.sr))
    one = "one image at a time is too much for this device; take one with more memory"
    advice = for_threads(options.threads, "images are scored", "give `--threads {}`", one)
    with leased_gpus(1), told_out_of_memory(lambda _: advice):
        found = score_folders(folders, options.hr, options.protocol, options.crop, options.download, options.threads)
    scores = found[0] if len(folders) == 1 else {str(folder): mine for folder, mine in zip(folders, found, strict=True)}
    text = json.dumps(scores, indent=2, allow_nan=False) + "\n"
    if options.json:
        write_text(options.json, text)
    sys.stdout.write(text)


def _add_overlap(steps: Any) -> None:
    summary = "list photos of one folder that are in another, by file or by looks; exit code 1 if there are any"
    overlap = add(steps, "overlap", _overlap, summary)
    overlap.add_argument("training", type=Path, help="folder of photos to train on; those in folders inside it count")
    overlap.add_argument("testing", type=Path, help="folder of photos to test on")
    overlap.add_argument(
        "--threads", type=_at_least_one, default=os.cpu_count(), help="photos read at a time (default: %(default)s)"
    )


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, found {text}")
    return int(text)


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, found {text}")
    return int(text)


def _overlap(options: argparse.Namespace) -> None:
    from tvqsr.data.apart import compare_folders
    from tvqsr.efficiency.advice import for_reading

    with told_out_of_memory(lambda short: for_reading(short, options.threads, "give `--threads {}`")):
        found = compare_folders(options.training, options.testing, options.threads, say)
    if found:
        sys.stdout.write(f"{found}\n")
        raise SystemExit(1)
