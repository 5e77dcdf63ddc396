"""Score an entry's images of a test set, or any two folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from tvqsr.data.manifest import check_file, read_pairs
from tvqsr.errors import UserError
from tvqsr.files import read_json
from tvqsr.plan import Plan
from tvqsr.plan.folders import named_images
from tvqsr.plan.protocols import ABSENT
from tvqsr.rows import images_digest, write_rows
from tvqsr.score.pairs import score_pairs, score_photos
from tvqsr.score.photos import AutoEncoder, Conditions, PairFiles, Photo, Score, paired_by_name
from tvqsr.score.protocol import Protocol
from tvqsr.score.protocols import PROTOCOLS, protocols
from tvqsr.statistics import kind_of_interval, mean_interval


def score(plan: Plan, entry: str, seed: int, testset: str) -> None:
    """Write one row per image and protocol: beside them what the protocol is."""
    folder = plan.paths.images(entry, seed, testset)
    record = read_json(folder / "run.json")
    pairs: list[PairFiles] = []
    for pair in read_pairs(plan.paths.dataset(testset)):
        if pair.name not in record["images"]:
            raise UserError(
                f"{folder}: has no image `{pair.name}` of {testset}; "
                f"delete {folder / 'run.json'} and run snakemake again"
            )
        path = folder / f"{pair.name}.png"
        check_file(path, record["images"][pair.name]["sha256"])
        pairs.append((pair.name, path, pair.hr_path))
    wanted = protocols(plan.protocols_on(testset), f"preset {plan.name}: protocols of {testset}")
    conditions = Conditions(
        plan.crop_on(testset),
        plan.preset.downloads,
        device(plan.preset.runtime.gpus > 0),
        plan.preset.runtime.threads,
        _autoencoder(plan, testset),
        plan.paths.features(testset),
    )
    scores = score_pairs(pairs, wanted, conditions)
    _refuse_failed_downloads(plan, scores)
    by_name = {protocol.name: protocol for protocol in wanted}
    common = {"entry": entry, "seed": seed, "testset": testset}
    rows = [common | _row(s, by_name[s.protocol], conditions.crop) for s in scores]
    types = {"value": "float64", "reason": "string", "error": "float64"}
    write_rows(plan.paths.scores(entry, seed, testset), pd.DataFrame(rows).astype(types), images_digest(record))


def _autoencoder(plan: Plan, testset: str) -> AutoEncoder | None:
    """The network that a test set is scored through, if its protocols want one and the plan trains one."""
    through = plan.autoencoder_on(testset)
    if through is None:
        return None
    from tvqsr.upscale.job import load_network

    run, seed = through
    return load_network(plan, run, seed)


def _refuse_failed_downloads(plan: Plan, scores: list[Score]) -> None:
    """Where downloads are allowed, weights that could not be had are a failure, which the next run tries to mend."""
    failed = [s for s in scores if s.value is None and (s.reason or "").startswith(ABSENT)]
    if plan.preset.downloads and failed:
        raise UserError(f"{failed[0].protocol}: {failed[0].reason}; or go without it: `--config downloads=false`")


def device(gpus: bool) -> str:
    """Where networks run: `cuda` if allowed and there, else `cpu`."""
    if not gpus:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def score_folders(
    sr: list[Path], hr: Path | None, names: list[str], crop: int, downloads: bool, workers: int
) -> list[dict[str, Any]]:
    """Scores of folders of images, each paired by name with one of references; without HR, of the images alone.

    For each folder `{"protocols": {name: {mean, ci95, n, lacking, ...}}, "images": {name: {protocol: value}}}`; of a
    protocol, `about` is all that tells it from others, and `lacking` says of each image without a number, why. One
    whose weights are absent has mean and ci95 null and a `reason`.
    Raises UserError for a protocol that needs HR where none is given, and for folders that do not hold the same images.
    """
    wanted = protocols(dict.fromkeys(names), "--protocol")
    if hr is None:
        _refuse_those_that_need_hr(wanted)
    photos = _photos(sr, hr)
    conditions = Conditions(crop, downloads, device(True), workers)
    return [_told(scores, photos, wanted, crop) for scores in score_photos(photos, wanted, conditions)]


def _photos(sr: list[Path], hr: Path | None) -> list[Photo]:
    """Photos by name, with a file of each folder."""
    if hr is not None:
        paired = [paired_by_name(folder, hr) for folder in sr]
        return [Photo(same[0][0], tuple(file for _, file, _ in same), same[0][2]) for same in zip(*paired, strict=True)]
    first, *others = (named_images(folder) for folder in sr)
    for folder, files in zip(sr[1:], others, strict=True):
        if odd := sorted(first.keys() ^ files.keys()):
            raise UserError(f"{folder}: does not hold the same images as {sr[0]}: `{odd[0]}` is in one of them only")
    return [Photo(name, tuple(files[name] for files in (first, *others)), None) for name in first]


def _told(scores: list[Score], photos: list[Photo], wanted: list[Protocol], crop: int) -> dict[str, Any]:
    images: dict[str, dict[str, float | None]] = {photo.name: {} for photo in photos}
    for s in scores:
        if s.image in images:
            images[s.image][s.protocol] = s.value
    by_protocol = {protocol.name: [s for s in scores if s.protocol == protocol.name] for protocol in wanted}
    lacking = {name: {s.image: s.reason for s in mine if s.value is None} for name, mine in by_protocol.items()}
    summaries = {
        p.name: _summary(by_protocol[p.name]) | {"lacking": lacking[p.name], "about": p.about(crop)} for p in wanted
    }
    return {"protocols": summaries, "images": images}


def _refuse_those_that_need_hr(wanted: list[Protocol]) -> None:
    for protocol in wanted:
        if protocol.needs_hr:
            free = ", ".join(name for name, known in PROTOCOLS.items() if not known.needs_hr)
            raise UserError(
                f"--protocol {protocol.name}: compares with HR; give the folder with --hr, "
                f"or ask only for protocols that need none ({free})"
            )


def _summary(scores: list[Score]) -> dict[str, Any]:
    values = [s.value for s in scores if s.value is not None]
    if not values:
        return {"mean": None, "ci95": None, "n": 0, "reason": scores[0].reason}
    mean, interval = mean_interval(values)
    summary: dict[str, Any] = {"mean": mean, "ci95": list(interval) if interval else None, "n": len(values)}
    if interval:
        summary["ci95_by"] = kind_of_interval(len(values))
    of_set = {key: value for key, value in (("error", scores[0].error), ("note", scores[0].note)) if value is not None}
    return summary | of_set


def _row(s: Score, protocol: Protocol, crop: int) -> dict[str, Any]:
    """A score with all that a reader needs to know of its protocol.

    The report asks no more of this room than these rows.
    """
    about = protocol.about(crop)
    if s.note:
        about["definition"] = f"{about['definition']}; {s.note}"
    return {
        "image": s.image,
        "protocol": s.protocol,
        "value": s.value,
        "reason": s.reason,
        "error": s.error,
        "title": protocol.title,
        "higher_is_better": protocol.higher_is_better,
        "decimals": protocol.decimals,
    } | about
