"""Protocols of images and pairs that networks or fitted parameters score: LPIPS by its package, others by pyiqa.

LPIPS and the paper's protocols have the options of the authors' released test scripts.
"""

from __future__ import annotations

from tvqsr.score.colours import AS_THEY_ARE, RGB, YIQ_ROUNDED
from tvqsr.score.learned import PyiqaMetric
from tvqsr.score.perceptual import Lpips
from tvqsr.score.protocol import Protocol

DISTS, CLIPIQA, MUSIQ, NIQE = (PyiqaMetric(name) for name in ("dists", "clipiqa", "musiq", "niqe"))
MANIQA, MANIQA_PIPAL = PyiqaMetric("maniqa"), PyiqaMetric("maniqa-pipal")
BY_PYIQA = ("pyiqa", "torch")

MANIQA_CROPS = (
    "weighted mean over the patches of 20 crops of 224 (the first four rows of a regular grid of 5 x 5; "
    "sides up to 224 are enlarged to 225, bilinear)"
)


def _lpips(name: str, title: str, network: Lpips, told: str, smallest: int) -> Protocol:
    return Protocol(
        name,
        title,
        False,
        f"LPIPS v0.1, {told}, `lpips` package, RGB in [-1, 1], whole image",
        4,
        RGB.name,
        AS_THEY_ARE,
        network=f"{told} of torchvision with LPIPS v0.1's linear layers",
        library=("tvqsr", "lpips", "torchvision", "torch"),
        smallest=smallest,
        load=network.load,
        of_pair=network.of_pair,
    )


def _maniqa(name: str, title: str, metric: PyiqaMetric, data: str) -> Protocol:
    return Protocol(
        name,
        title,
        True,
        f"pyiqa `{metric.name}` of {data}: RGB, {MANIQA_CROPS}, no reference",
        4,
        RGB.name,
        AS_THEY_ARE,
        network=f"MANIQA of {data}",
        library=(*BY_PYIQA, "timm"),
        load=metric.load,
        of_image=metric.of_image,
    )


LEARNED = (
    _lpips("lpips_alex", "LPIPS", Lpips("alex"), "AlexNet", 32),
    _lpips("lpips_vgg", "LPIPS (VGG)", Lpips("vgg"), "VGG16", 16),
    _lpips("lpips_squeeze", "LPIPS (SqueezeNet)", Lpips("squeeze"), "SqueezeNet 1.1", 32),
    Protocol(
        "dists",
        "DISTS",
        False,
        "pyiqa `dists`: VGG16 and the weights of Ding et al. 2020, RGB, not resized, whole image",
        4,
        RGB.name,
        AS_THEY_ARE,
        network="VGG16 of torchvision with DISTS' weights",
        library=BY_PYIQA,
        load=DISTS.load,
        of_pair=DISTS.of_pair,
    ),
    Protocol(
        "clipiqa",
        "CLIPIQA",
        True,
        "pyiqa `clipiqa`: CLIP RN50 without positional embedding, mean probability of the good one of five pairs of "
        "prompts, RGB, not resized, whole image, no reference",
        4,
        RGB.name,
        AS_THEY_ARE,
        network="CLIP RN50",
        library=(*BY_PYIQA, "openai-clip"),
        smallest=32,
        load=CLIPIQA.load,
        of_image=CLIPIQA.of_image,
    ),
    Protocol(
        "musiq",
        "MUSIQ",
        True,
        "pyiqa `musiq` of KonIQ-10k: RGB, whole image at its own size and resized to longer sides of 384 and 224, "
        "no reference",
        3,
        RGB.name,
        AS_THEY_ARE,
        network="MUSIQ of KonIQ-10k",
        library=BY_PYIQA,
        load=MUSIQ.load,
        of_image=MUSIQ.of_image,
    ),
    _maniqa("maniqa", "MANIQA", MANIQA, "KonIQ-10k"),
    _maniqa("maniqa_pipal", "MANIQA (PIPAL)", MANIQA_PIPAL, "PIPAL"),
    Protocol(
        "niqe",
        "NIQE",
        False,
        f"pyiqa `niqe`: parameters of the original release, {YIQ_ROUNDED.told} (pyiqa's default), "
        "whole blocks of 96 x 96 from the top left, no reference",
        3,
        YIQ_ROUNDED.name,
        YIQ_ROUNDED.rounding,
        network="none; NIQE's fitted parameters",
        library=BY_PYIQA,
        smallest=96,
        load=NIQE.load,
        of_image=NIQE.of_image,
    ),
)
