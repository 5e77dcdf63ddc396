"""Protocols of whole sets: Frechet and kernel distances between features of SR and of HR, of images or of patches."""

from __future__ import annotations

from dataclasses import dataclass

from tvqsr.score.colours import AS_THEY_ARE, RGB
from tvqsr.score.distances import SUBSET, SUBSETS, frechet, kernel
from tvqsr.score.features import ALEXNET, INCEPTION, Seen
from tvqsr.score.protocol import Protocol, SetScore

ENOUGH = 2048
"""Images, or patches, from which on a Frechet distance is taken as it is: fewer raise it."""
PATCH = 256
OF_INCEPTION = (
    "2048 features of the Inception network of 2015 after clean resizing to 299",
    "Inception of 2015 (FID's)",
)
OF_ALEXNET = (
    "256 features of AlexNet (means over positions of its last convolution) after clean resizing to 224 "
    "(not comparable with FID or KID)",
    "AlexNet of torchvision",
)


@dataclass(frozen=True)
class _Measure:
    """A distance between two sets of features, whatever they are of."""

    of: SetScore
    told: str
    decimals: int
    more: str = ""
    biased_below: int = 0

    def protocol(self, name: str, title: str, seen: Seen, features: str, network: str) -> Protocol:
        return Protocol(
            name,
            title,
            False,
            f"{self.told} to HR of {features}, {RGB.name}, {AS_THEY_ARE}, {_shown(seen)}{self.more}",
            self.decimals,
            RGB.name,
            AS_THEY_ARE,
            network=network,
            library=_library(seen),
            load=seen.load,
            of_set=self.of,
            seen=seen,
            biased_below=self.biased_below,
        )


FRECHET = _Measure(lambda sr, hr, _: frechet(sr, hr), "Frechet distance", 2, biased_below=ENOUGH)
KERNEL = _Measure(
    kernel,
    "unbiased squared kernel distance (degree 3)",
    4,
    f"; of more than {SUBSET}, the mean over {SUBSETS} random subsets of {SUBSET}",
)


def _shown(seen: Seen) -> str:
    if seen.patch is None:
        return "whole images"
    return f"patches of {seen.patch} x {seen.patch} side by side from the top left"


def _library(seen: Seen) -> tuple[str, ...]:
    return ("tvqsr", "pyiqa" if seen.extractor is INCEPTION else "torchvision", "torch", "pillow", "numpy")


_WHOLE, _PATCHES, _BY_ALEXNET = Seen(INCEPTION), Seen(INCEPTION, PATCH), Seen(ALEXNET)
OF_SETS = (
    FRECHET.protocol("fid", "FID", _WHOLE, *OF_INCEPTION),
    KERNEL.protocol("kid", "KID", _WHOLE, *OF_INCEPTION),
    FRECHET.protocol("fid_patch256", "FID (patches)", _PATCHES, *OF_INCEPTION),
    KERNEL.protocol("kid_patch256", "KID (patches)", _PATCHES, *OF_INCEPTION),
    FRECHET.protocol("fd_alexnet", "FD (AlexNet)", _BY_ALEXNET, *OF_ALEXNET),
    KERNEL.protocol("kd_alexnet", "KD (AlexNet)", _BY_ALEXNET, *OF_ALEXNET),
)
