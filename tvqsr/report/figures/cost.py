"""Parameters and time against quality."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from matplotlib.figure import Figure

from tvqsr.files import read_json
from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.scores import load_scores, per_image
from tvqsr.report.style import DOUBLE, NothingToDrawError, legend_below, looks_of, new_figure


@dataclass(frozen=True)
class Cost:
    """What an entry takes to make an image here."""

    parameters: int
    seconds: float
    """Median per megapixel of output: the first image also pays for warming up."""
    machine: str


def figure(plan: Plan, entries: list[EntryPlan], testset: str) -> Figure:
    """PSNR-Y over parameters used in inference, and over median seconds per megapixel of output on this machine.

    Entries that read LR only; of finished outputs that were given neither is known.
    """
    scores = load_scores(plan, [entry.name for entry in entries])
    scores = scores[scores.testset == testset]
    if "psnr_y" not in set(scores.protocol):
        raise NothingToDrawError("this preset does not score psnr_y")
    entries = [entry for entry in entries if entry.reads == "lr" and not entry.has_outputs]
    if not entries:
        raise NothingToDrawError("no entry that reads LR was run here")
    drawing, axes = new_figure(DOUBLE, 3.0, columns=2)
    looks = looks_of(list(plan.entries.values()))
    found = {entry.name: cost_of(plan, entry, testset) for entry in entries}
    for entry in entries:
        cost, quality = found[entry.name], per_image(scores, entry.name, "psnr_y").mean()
        colour, marker = looks[entry.name]
        style: dict[str, Any] = {"color": colour, "marker": marker, "s": 22}
        if cost.parameters:
            axes[0][0].scatter(cost.parameters / 1e6, quality, **style)
        axes[0][1].scatter(cost.seconds, quality, label=entry.title, **style)
    machines = "; ".join(sorted({cost.machine for cost in found.values()}))
    axes[0][0].set(xlabel="parameters (millions)", ylabel="PSNR-Y (dB)", title="methods with parameters")
    axes[0][1].set(xlabel=f"seconds per megapixel ({machines})", xscale="log", title=testset)
    legend_below(drawing, None)
    return drawing


def cost_of(plan: Plan, entry: EntryPlan, testset: str) -> Cost:
    """Parameters and time of an entry, from the record of its images (first seed)."""
    record = read_json(plan.paths.images_record(entry.name, entry.seeds[0], testset))
    images = record["images"].values()
    seconds = median(image["seconds"] / (image["height"] * image["width"]) * 1e6 for image in images)
    return Cost(record["parameters"], seconds, f"{record['device']}, {record['threads']} thread(s)")
