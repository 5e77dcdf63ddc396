"""Parameters and time against quality."""

from __future__ import annotations

from statistics import median
from typing import Any

from matplotlib.figure import Figure

from tvqsr.files import read_json
from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.scores import load_scores, per_image
from tvqsr.report.style import NothingToDrawError, looks_of, new_figure


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
    drawing, axes = new_figure(9, 3.6, columns=2)
    threads = set()
    looks = looks_of(entries)
    for entry in entries:
        record = read_json(plan.paths.images_record(entry.name, entry.seeds[0], testset))
        threads.add(f"{record['device']}, {record['threads']} thread(s)")
        images = record["images"].values()
        # The median: the first image also pays for warming up.
        seconds = median(image["seconds"] / (image["height"] * image["width"]) * 1e6 for image in images)
        quality = per_image(scores, entry.name, "psnr_y").mean()
        style: dict[str, Any] = {
            "color": looks[entry.name][0],
            "marker": looks[entry.name][1],
            "label": entry.title,
        }
        if record["parameters"]:
            axes[0][0].scatter(record["parameters"] / 1e6, quality, **style)
        axes[0][1].scatter(seconds, quality, **style)
    axes[0][0].set(xlabel="parameters (millions)", ylabel="PSNR-Y (dB)", title="methods with parameters")
    axes[0][1].set(xlabel=f"seconds per megapixel ({'; '.join(sorted(threads))})", xscale="log", title=testset)
    axes[0][1].legend(fontsize=7)
    return drawing
