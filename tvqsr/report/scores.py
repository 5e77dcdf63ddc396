"""All scores of a plan, and their summary per entry and protocol."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tvqsr.errors import UserError
from tvqsr.files import read_json
from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.chain import check_chain
from tvqsr.rows import read_rows
from tvqsr.statistics import bootstrap_intervals, kind_of_interval, mean_intervals

MEASURES: dict[str, tuple[str, bool, int, str]] = {
    "index_accuracy": (
        "Index accuracy",
        True,
        3,
        "share of code positions at which the predicted index equals the tokenizer's for HR",
    ),
    "codes_used": ("Codes used", True, 3, "share of the codes decoded at least once on the test set"),
    "code_perplexity": (
        "Perplexity",
        True,
        1,
        "exp of the entropy of the codes decoded on the test set; of several codebooks, the geometric mean",
    ),
    "code_bits": (
        "Bits per position",
        False,
        1,
        "log2 of the number of codes, summed over codebooks, per position of the finest",
    ),
    "code_redundancy": (
        "Code redundancy",
        False,
        3,
        "share of the variance of a tokenizer's code vectors that a ridge regression from HR shrunk to one RGB value "
        "per code, with its 3 x 3 neighbourhood, explains, cross-validated over the images of the test set",
    ),
}
"""What the image records say of codebooks, as protocols of the whole set.

Title, higher is better, decimals, definition.
"""

WHOLE_SET = "(set)"
"""In place of an image's name, for a score of the whole set: there is one number, and nothing to pair."""

ABOUT = (
    *("entry", "protocol", "title", "decimals", "definition", "higher_is_better"),
    *("crop", "colours", "rounding", "network", "library"),
)
"""What a summary takes over from the scores; measures of codebooks have none of the last four."""


def load_scores(plan: Plan, only: Collection[str] | None = None) -> pd.DataFrame:
    """One row per entry, seed, test set, image and protocol, in the plan's order; codebook measures included.

    `only` are the entries that are asked for. Raises UserError for a file that is missing or damaged, for what is not
    of one another (`chain`), and for entries that were scored with another border than the rest.
    """
    frames = [
        _one(plan, entry, seed, testset)
        for testset in plan.preset.test_on
        for entry in plan.entries_on(testset)
        for seed in entry.seeds
        if only is None or entry.name in only
    ]
    scores = pd.concat(frames, ignore_index=True)
    _refuse_other_borders(plan, scores)
    return scores


def _refuse_other_borders(plan: Plan, scores: pd.DataFrame) -> None:
    """Raise UserError where a column of a table would hold numbers of another border than its head tells."""
    if "crop" not in scores:
        return
    for (testset, protocol), rows in scores.dropna(subset="crop").groupby(["testset", "protocol"], sort=False):
        usual = rows.crop.mode().iloc[0]
        if not (other := rows[rows.crop != usual]).empty:
            first = other.iloc[0]
            path = plan.paths.scores(first["entry"], int(first["seed"]), str(testset))
            raise UserError(
                f"{path}: {protocol} has a border of {first['crop']:g} left out, in other entries it is {usual:g}: it "
                f"was scored under another plan; delete it and run snakemake again"
            )


def _one(plan: Plan, entry: EntryPlan, seed: int, testset: str) -> pd.DataFrame:
    scores, made_of = read_rows(plan.paths.scores(entry.name, seed, testset))
    record = read_json(plan.paths.images_record(entry.name, seed, testset))
    check_chain(plan, entry, seed, testset, record, made_of)
    common = {"entry": entry.name, "seed": seed, "testset": testset}
    measures = pd.DataFrame([common | row for row in _code_rows(record)])
    return pd.concat([scores, measures.astype({"value": "float64", "reason": "string"})], ignore_index=True)


def _code_rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Index accuracy per image, use of the codebook over the set; rows without value where a method has no codes."""
    codes = record["codes"]
    absent = "nothing is predicted, or there is no HR to compare with" if codes else "no codebook"
    rows = [_row("index_accuracy", name, image["index_accuracy"], absent) for name, image in record["images"].items()]
    of_set = {"codes_used": "used", "code_perplexity": "perplexity", "code_bits": "bits_per_position"}
    rows += [_row(name, WHOLE_SET, codes[key] if codes else None, absent) for name, key in of_set.items()]
    redundancy = codes["redundancy"] if codes else None
    return [*rows, _row("code_redundancy", WHOLE_SET, redundancy, _why_no_redundancy(record))]


def _why_no_redundancy(record: dict[str, Any]) -> str:
    if not record["codes"]:
        return "no codebook"
    if record["reads"] != "hr":
        return "measured on tokenizers, which are given HR"
    return "fewer than two images, or code vectors that do not vary or are not given"


def _row(measure: str, image: str, value: float | None, absent: str) -> dict[str, Any]:
    title, higher, decimals, definition = MEASURES[measure]
    about = {"title": title, "higher_is_better": higher, "decimals": decimals, "crop": 0, "definition": definition}
    return {
        "image": image,
        "protocol": measure,
        "value": value,
        "reason": None if value is not None else absent,
    } | about


def per_image(scores: pd.DataFrame, entry: str, protocol: str) -> pd.Series:
    """Scores of an entry by image, averaged over seeds; one test set's rows are expected.

    Images without a value are left out.
    """
    mine = scores[(scores.entry == entry) & (scores.protocol == protocol)].dropna(subset=["value"])
    return mine.groupby("image", sort=True).value.mean()


def row_of(summary: pd.DataFrame, entry: str, protocol: str) -> pd.Series:
    """The row of a summary for an entry and a protocol."""
    return summary[(summary.entry == entry) & (summary.protocol == protocol)].iloc[0]


def summarise(scores: pd.DataFrame, bootstrap: bool = False) -> pd.DataFrame:
    """One row per entry and protocol of one test set.

    `bootstrap`: intervals by bootstrap however few the images, as tables without the column `interval` have them.

    Mean over images, its 95% interval, standard error of a number of the whole set, standard deviation over seeds,
    counts, and the reason where it or some of its images are n/a.
    """
    whole = scores.reindex(columns=list(dict.fromkeys([*scores.columns, *ABOUT, "error"])))
    rows = [_summary(group) for _, group in whole.groupby(["entry", "protocol"], sort=False)]
    samples = [values for _, values in rows]
    measured = [place for place, values in enumerate(samples) if len(values)]
    intervals_of = bootstrap_intervals if bootstrap else mean_intervals
    for place, interval in zip(measured, intervals_of([samples[place] for place in measured]), strict=True):
        low, high = interval or (None, None)
        rows[place][0].update(mean=float(samples[place].mean()), low=low, high=high)
    return pd.DataFrame([row for row, _ in rows])


def _summary(group: pd.DataFrame) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """What a summary tells of an entry under a protocol, but mean and interval; and its scores (n,) by image."""
    values, about = group.dropna(subset=["value"]), group.iloc[0]
    by_seed = values.groupby("seed")[["value", "error"]].mean()
    lacking = group[group.value.isna()]
    row: dict[str, Any] = {key: about[key] for key in ABOUT}
    row |= {
        "mean": None,
        "low": None,
        "high": None,
        "interval": kind_of_interval(values.image.nunique()),
        # Seeds see the same photos and err together: the error of their mean is that of each, not less.
        "error": by_seed.error.mean(skipna=False),
        "seed_sd": by_seed.value.std(ddof=1) if len(by_seed) > 1 else None,
        "seeds": len(by_seed),
        "images": values.image.nunique(),
        "photos": group.image[group.image != WHOLE_SET].nunique(),
        "lacking": lacking.image[lacking.image != WHOLE_SET].nunique(),
        "reason": _why_lacking(lacking.reason),
    }
    return row, values.groupby("image").value.mean().to_numpy(np.float64)


def _why_lacking(reasons: pd.Series) -> str | None:
    """The first reason why there is no number, and how many others there are."""
    found = list(dict.fromkeys(reasons.dropna()))
    if not found:
        return None
    others = f" (and {len(found) - 1} other reason{'s' if found[2:] else ''})" if found[1:] else ""
    return f"{found[0]}{others}"
