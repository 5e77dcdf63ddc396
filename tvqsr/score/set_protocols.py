"""Protocols of whole sets: Frechet and kernel distances between features of SR and of HR, of images or of patches."""

from __future__ import annotations

from tvqsr.score.colours import AS_THEY_ARE, RGB
from tvqsr.score.distances import SUBSET, SUBSETS, frechet, kernel
from tvqsr.score.features import ALEXNET, INCEPTION, Seen
from tvqsr.score.protocol import Protocol

ENOUGH = 2048
"""Images, or patches, from which on a Frechet distance is taken as it is: fewer raise it."""
PATCH = 256
OF_INCEPTION = (
    "2048 features of the Inception network of 2015 after clean resizing to 299",
    "Inception of 2015 (FID's)",
)
OF_ALEXNET = (
    "256 features of AlexNet (means over positions of its last convolution) after clean resizing to 224: "
    "not comparable with FID or KID",
    "AlexNet of torchvision",
)


def _frechet(name: str, title: str, seen: Seen, told: str, network: str, decimals: int) -> Protocol:
    return Protocol(
        name,
        title,
        False,
        f"Frechet distance to HR of {told}, {_shown(seen)}",
        decimals,
        RGB.name,
        AS_THEY_ARE,
        network=network,
        library=_library(seen),
        smallest=seen.patch or 1,
        load=seen.load,
        of_set=frechet,
        seen=seen,
        biased_below=ENOUGH,
    )


def _kernel(name: str, title: str, seen: Seen, told: str, network: str, decimals: int) -> Protocol:
    return Protocol(
        name,
        title,
        False,
        f"unbiased squared kernel distance (degree 3) to HR of {told}, {_shown(seen)}; of more than {SUBSET}, the mean "
        f"over {SUBSETS} random subsets of {SUBSET}",
        decimals,
        RGB.name,
        AS_THEY_ARE,
        network=network,
        library=_library(seen),
        smallest=seen.patch or 1,
        load=seen.load,
        of_set=kernel,
        seen=seen,
    )


def _shown(seen: Seen) -> str:
    if seen.patch is None:
        return "whole images"
    return f"patches of {seen.patch} x {seen.patch} side by side from the top left"


def _library(seen: Seen) -> tuple[str, ...]:
    return ("tvqsr", "pyiqa" if seen.extractor is INCEPTION else "torchvision", "torch", "pillow", "numpy")


_WHOLE, _PATCHES, _BY_ALEXNET = Seen(INCEPTION), Seen(INCEPTION, PATCH), Seen(ALEXNET)
OF_SETS = (
    _frechet("fid", "FID", _WHOLE, *OF_INCEPTION, decimals=2),
    _kernel("kid", "KID", _WHOLE, *OF_INCEPTION, decimals=4),
    _frechet("fid_patch256", "FID (patches)", _PATCHES, *OF_INCEPTION, decimals=2),
    _kernel("kid_patch256", "KID (patches)", _PATCHES, *OF_INCEPTION, decimals=4),
    _frechet("fd_alexnet", "FD (AlexNet)", _BY_ALEXNET, *OF_ALEXNET, decimals=2),
    _kernel("kd_alexnet", "KD (AlexNet)", _BY_ALEXNET, *OF_ALEXNET, decimals=4),
)
