"""Which convention gives a reported number: PSNR and SSIM of finished images under those that the field uses.

Papers seldom tell them. Conventions differ in the samples compared (RGB, or luma: of BT.601 in the range 16 to 235, as
MATLAB and BasicSR have it; of YIQ in the full range, as pyiqa by default), in whether luma is rounded to 8 bits (MATLAB
on 8-bit images) and in the border that is left out. Values are means over images.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from tvqsr.data.ahead import in_order
from tvqsr.data.images import Pixels, read_image
from tvqsr.errors import UserError
from tvqsr.score.colours import RGB, Y_ROUNDED, YIQ, YIQ_ROUNDED, Samples, Y
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
    """One row per convention: `samples`, `crop`, the measures that something reported is of, and `gives`, as printed.

    Raises UserError for images of different sizes, or too small for a crop.
    """
    measures = [name for name in ("psnr", "ssim") if any(number.measure == name for number in reported)]
    each = list(in_order(partial(_of_pair, measures=measures, crops=crops), pairs, len(os.sched_getaffinity(0))))
    table = pd.DataFrame([row for rows in each for row in rows])
    means = table.groupby(["samples", "crop"], sort=False, as_index=False)[measures].mean()
    means["gives"] = [_given(row, reported) for row in means.to_dict("records")]
    return means


def told(table: pd.DataFrame, reported: Sequence[Reported]) -> str:
    """The table and a sentence for each reported number."""
    shown = table.to_markdown(index=False, floatfmt=("", "", *(".4f" for _ in table.columns[2:-1]), ""))
    return "\n".join([shown, "", *(_sentence(table, number) for number in reported)])


def _given(row: dict[Any, Any], reported: Sequence[Reported]) -> str:
    return ", ".join(number.text for number in reported if number.is_given_by(row[number.measure]))


def _sentence(table: pd.DataFrame, number: Reported) -> str:
    rows = table.to_dict("records")
    if giving := [_named(row) for row in rows if number.is_given_by(row[number.measure])]:
        return f"{number.text} is given by: {'; '.join(giving)}"
    nearest = min(rows, key=lambda row: abs(row[number.measure] - number.value))
    off = nearest[number.measure] - number.value
    return f"{number.text} is given by none of these; nearest is {_named(nearest)} ({off:+.4f})"


def _named(row: dict[Any, Any]) -> str:
    return f"{row['samples']}, crop {row['crop']}"


def _of_pair(pair: PairFiles, measures: Sequence[str], crops: Sequence[int]) -> list[dict[str, Any]]:
    _, sr_path, hr_path = pair
    assert hr_path
    sr, hr = read_image(sr_path), read_image(hr_path)
    if sr.shape != hr.shape:
        sizes = [f"{pixels.shape[1]} x {pixels.shape[0]}" for pixels in (sr, hr)]
        raise UserError(f"{sr_path}: is {sizes[0]}, but {hr_path} is {sizes[1]}")
    if min(hr.shape[:2]) - 2 * max(crops) < WINDOW:
        raise UserError(f"{hr_path}: less than {WINDOW} pixels a side are left of it without a border of {max(crops)}")
    return [
        row for name in CHANNELS for row in _of_samples(name, CHANNELS[name](sr), CHANNELS[name](hr), measures, crops)
    ]


def _of_samples(
    name: str, sr: Samples, hr: Samples, measures: Sequence[str], crops: Sequence[int]
) -> list[dict[str, Any]]:
    similar = ssim_map(moments(sr), moments(hr)) if "ssim" in measures else None
    rows: list[dict[str, Any]] = []
    for crop in crops:
        row: dict[str, Any] = {"samples": name, "crop": crop}
        if "psnr" in measures:
            row["psnr"] = psnr_of(cropped(sr, crop), cropped(hr, crop))
        if similar is not None:
            # A window that lies within the cropped image sees what it sees in the whole one.
            row["ssim"] = float(cropped(similar, crop).mean())
        rows.append(row)
    return rows
