"""Which convention gives a reported number: PSNR and SSIM of finished images under those that the field uses.

Papers seldom tell them. Conventions differ in the samples compared (RGB, or luma: of BT.601 in the range 16 to 235, as
MATLAB and BasicSR have it; of YIQ in the full range, as pyiqa by default), in whether luma is rounded to 8 bits (MATLAB
on 8-bit images), in whether a photo whose file has one channel is taken as it is, in its full range (MATLAB's scripts:
Set14's `bridge` loses 1.3 dB, the set 0.09), in the border that is left out and, of SSIM, in whether negative
structure terms count as 0 (pyiqa). Values are means over images.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from tvqsr.data.ahead import in_order
from tvqsr.data.images import Pixels, has_one_channel, read_image
from tvqsr.errors import UserError
from tvqsr.score.colours import RGB, Y_ROUNDED, YIQ, YIQ_ROUNDED, Samples, Y, grey_samples, is_grey
from tvqsr.score.fidelity import psnr_of
from tvqsr.score.photos import PairFiles
from tvqsr.score.picture import cropped
from tvqsr.score.similarity import WINDOW, moments, ssim_map

CHANNELS: dict[str, Callable[[Pixels], Samples]] = {
    "RGB": RGB.convert,
    "Y of BT.601": Y.convert,
    "Y of BT.601, rounded": Y_ROUNDED.convert,
    "Y of YIQ": YIQ.convert,
    "Y of YIQ, rounded": YIQ_ROUNDED.convert,
}
"""What is compared."""
GREY_KEPT = {f"{name}, grey photos as they are": name for name in ("Y of BT.601", "Y of BT.601, rounded")}
"""What is compared of photos that are not grey, by the name of a convention that has grey ones as they are."""
FLOORED = "pyiqa: negative structure 0"
"""The second way that SSIM is computed, beside the definition's."""
COLUMNS = {"psnr": {"psnr": ""}, "ssim": {"ssim": "", "ssim_pyiqa": FLOORED}}
"""Of each measure, the table's columns, and what sets them apart."""


@dataclass(frozen=True)
class Reported:
    """A number as it is printed in a paper: `26.85`, `0.7569`, `.757`; up to 1 it is an SSIM, above a PSNR in dB."""

    text: str

    @property
    def value(self) -> float:
        return float(self.text)

    @property
    def measure(self) -> str:
        return "ssim" if self.value <= 1 else "psnr"

    @property
    def tolerance(self) -> float:
        """Half a unit of the last digit that is printed, and a little for the mean's own rounding."""
        return 0.5 * 10.0 ** -len(self.text.partition(".")[2]) + 1e-9

    def is_given_by(self, value: float) -> bool:
        return abs(value - self.value) <= self.tolerance


def reported_of(text: str) -> Reported:
    """A printed number. Raises UserError for anything else."""
    found = Reported(text)
    try:
        plausible = 0 < found.value < 100
    except ValueError:
        plausible = False
    if not plausible or "e" in text.lower() or "_" in text:
        raise UserError(f"--reported {text}: expected a number as printed, a PSNR like 26.85 or an SSIM like 0.7569")
    return found


def explain(pairs: Sequence[PairFiles], reported: Sequence[Reported], crops: Sequence[int]) -> pd.DataFrame:
    """One row per convention: `samples`, `crop`, the columns of what is reported, and `gives`, the numbers as printed.

    Columns are `psnr`, in dB, and `ssim` and `ssim_pyiqa`.

    Raises UserError for images of different sizes, or too small for a crop.
    """
    measures = [name for name in COLUMNS if any(number.measure == name for number in reported)]
    each = list(in_order(partial(_of_pair, measures=measures, crops=crops), pairs, len(os.sched_getaffinity(0))))
    table = pd.DataFrame([row for rows in each for row in rows])
    if not table.grey.any():
        table = table[~table.samples.isin(GREY_KEPT)]
    columns = [column for measure in measures for column in COLUMNS[measure]]
    means = table.groupby(["samples", "crop"], sort=False, as_index=False)[columns].mean()
    means["gives"] = [_given(row, reported) for row in means.to_dict("records")]
    return means


def told(table: pd.DataFrame, reported: Sequence[Reported]) -> str:
    """The table and a sentence for each reported number."""
    # As text: a parser of numbers would drop the last zeros of those that are reported.
    columns = {column: about for names in COLUMNS.values() for column, about in names.items() if column in table}
    shown = table.assign(**{column: table[column].map("{:.4f}".format) for column in columns})
    headers = {column: f"ssim ({about})" for column, about in columns.items() if about}
    text = shown.rename(columns=headers).to_markdown(index=False, disable_numparse=True)
    return "\n".join([text, "", *(_sentence(table, number) for number in reported)])


def _given(row: dict[Any, Any], reported: Sequence[Reported]) -> str:
    return ", ".join(
        number.text for number in reported if any(number.is_given_by(row[column]) for column in COLUMNS[number.measure])
    )


def _sentence(table: pd.DataFrame, number: Reported) -> str:
    ways = {
        f"{row['samples']}, crop {row['crop']}{f' ({about})' if about else ''}": row[column]
        for row in table.to_dict("records")
        for column, about in COLUMNS[number.measure].items()
    }
    if giving := [way for way, value in ways.items() if number.is_given_by(value)]:
        return f"{number.text} is given by: {'; '.join(giving)}"
    nearest = min(ways, key=lambda way: abs(ways[way] - number.value))
    return f"{number.text} is given by none of these; nearest is {nearest} ({ways[nearest] - number.value:+.4f})"


def _of_pair(pair: PairFiles, measures: Sequence[str], crops: Sequence[int]) -> list[dict[str, Any]]:
    _, sr_path, hr_path = pair
    assert hr_path
    sr, hr = read_image(sr_path), read_image(hr_path)
    if sr.shape != hr.shape:
        sizes = [f"{pixels.shape[1]} x {pixels.shape[0]}" for pixels in (sr, hr)]
        raise UserError(f"{sr_path}: is {sizes[0]}, but {hr_path} is {sizes[1]}")
    if min(hr.shape[:2]) - 2 * max(crops) < WINDOW:
        raise UserError(f"{hr_path}: less than {WINDOW} pixels a side are left of it without a border of {max(crops)}")
    found = {name: _of_samples(convert(sr), convert(hr), measures, crops) for name, convert in CHANNELS.items()}
    if grey := has_one_channel(hr_path) and is_grey(sr):
        kept = dict.fromkeys(GREY_KEPT, _of_samples(grey_samples(sr), grey_samples(hr), measures, crops))
    else:
        kept = {name: found[usual] for name, usual in GREY_KEPT.items()}
    return [{"samples": name, "grey": grey} | row for name, rows in (found | kept).items() for row in rows]


def _of_samples(sr: Samples, hr: Samples, measures: Sequence[str], crops: Sequence[int]) -> list[dict[str, Any]]:
    similar: dict[str, Samples] = {}
    if "ssim" in measures:
        x, y = moments(sr), moments(hr)
        similar = {"ssim": ssim_map(x, y), "ssim_pyiqa": ssim_map(x, y, least_structure=0.0)}
    rows: list[dict[str, Any]] = []
    for crop in crops:
        row: dict[str, Any] = {"crop": crop}
        if "psnr" in measures:
            row["psnr"] = psnr_of(cropped(sr, crop), cropped(hr, crop))
        # A window that lies within the cropped image sees what it sees in the whole one.
        rows.append(row | {column: float(cropped(found, crop).mean()) for column, found in similar.items()})
    return rows
