"""How a measured number's protocol or data depart from those of the published number, as far as code can see."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tvqsr.files import read_json
from tvqsr.plan import Plan
from tvqsr.plan.catalogue import catalogue, sides_of, source_of
from tvqsr.plan.preset import DatasetSpec
from tvqsr.report.claim import Claim
from tvqsr.report.efficiency import COST_SET

KIN = (
    ("psnr_y", "psnr_y_pyiqa", "psnr_yiq", "psnr_rgb"),
    ("ssim_y", "ssim_y_pyiqa", "ssim_yiq", "ssim_rgb"),
    ("lpips_alex", "lpips_vgg", "lpips_squeeze"),
    ("maniqa_pipal", "maniqa"),
)
"""Protocols of one quantity: where the published one was not scored, another of its row is shown beside it."""
YIQ_GAP = "of the same images, PSNR of YIQ's luma is 1.32 dB below that of YCbCr's"


def kin(protocol: str) -> list[str]:
    """Other protocols of the same quantity, the nearest first."""
    return [other for row in KIN if protocol in row for other in row if other != protocol]


def departures(plan: Plan, claim: Claim, entry: str, rows: pd.DataFrame) -> list[str]:
    """What keeps a measured number from being compared with the published one, each in words; empty if nothing does.

    `rows` are the scores of the entry on the claim's test set under one protocol, the claim's own or one of its kin.
    """
    of_set = [] if claim.dataset == COST_SET else [*_of_data(plan, claim, entry), *_of_training(plan, entry)]
    return [*([claim.differs] if claim.differs else []), *_of_scores(claim, rows.iloc[0]), *of_set]


def _of_scores(claim: Claim, row: pd.Series) -> Iterator[str]:
    """Protocol, border and machine of the stored scores against the claim's."""
    if row.protocol != claim.protocol:
        yield f"published as {claim.protocol}, measured as {row.protocol} ({_samples(row)})"
        if {row.protocol, claim.protocol} in ({"psnr_y", "psnr_yiq"}, {"psnr_y_pyiqa", "psnr_yiq"}):
            yield YIQ_GAP
    if claim.crop is not None and int(row.crop) != claim.crop:
        yield f"published with a border of {claim.crop} left out, measured with {int(row.crop)}"
    if claim.hardware and claim.hardware not in str(row.get("device", "an unknown machine")):
        yield f"published on {claim.hardware}, measured on {row.get('device', 'an unknown machine')}"


def _samples(row: pd.Series) -> str:
    """What a stored score compares: its colours and what it rounds, where they are stored; else its definition."""
    told = [str(row[name]) for name in ("colours", "rounding") if isinstance(row.get(name), str)]
    return "; ".join(told) or str(row.definition)


def _of_data(plan: Plan, claim: Claim, entry: str) -> Iterator[str]:
    """Photos, their cut and LR of the test set against the published ones."""
    spec = plan.preset.datasets[claim.dataset]
    if spec.source is None:
        yield f"{claim.dataset} is a set of this preset's own; whether its photos are the published ones is not checked"
    elif claim.dataset in catalogue() and spec.source != claim.dataset:
        yield f"the photos of {claim.dataset} are those of {spec.source} here"
    else:
        yield from _incomplete(plan, claim.dataset, spec.source)
    if claim.multiple is not None and spec.multiple != claim.multiple:
        yield f"published with sides cut to multiples of {claim.multiple}, measured with {spec.multiple}"
    if _drawn(spec) and plan.entries[entry].reads == "lr" and not plan.entries[entry].has_outputs:
        yield f"LR is drawn here (degradation {spec.degradation}): another draw than the published one"


def _drawn(spec: DatasetSpec) -> bool:
    """Whether LR is made here by a random degradation."""
    return spec.degradation != "bicubic" and "LR" not in sides_of(spec)


def _incomplete(plan: Plan, testset: str, source: str) -> Iterator[str]:
    if plan.paths.manifest(testset).is_file():
        expected = source_of(source, testset).photos
        found = len(read_json(plan.paths.manifest(testset))["images"])
        if found != expected:
            yield f"{testset} has {found} photos here, {expected} as published"


def _of_training(plan: Plan, entry: str) -> Iterator[str]:
    run = plan.entries[entry].run
    if plan.preset.train_photos and run and not run.released:
        yield f"trained on photos of {plan.preset.train_photos}, not on the paper's"
