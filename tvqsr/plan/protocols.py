"""Names of the protocols and the weights they need, for planning: what they compute is in `tvqsr.score.protocols`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.plan.pyiqa_metrics import PREFIX, listed_metric
from tvqsr.plan.schema import suggestion


@dataclass(frozen=True)
class WeightFile:
    """A file below torch's hub folder, whose it is, and where it is fetched from."""

    path: str
    source: str
    url: str
    sha256: str = ""
    """Its first hex digits, where they were published."""

    @property
    def target(self) -> Path:
        """Where it is, or belongs."""
        return hub_folder() / self.path

    def __str__(self) -> str:
        return f"{self.source} ($TORCH_HOME/hub/{self.path})"


def hub_folder() -> Path:
    """`torch.hub.get_dir()` by its documented rule: in $TORCH_HOME, else $XDG_CACHE_HOME/torch, else ~/.cache/torch."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


def _torchvision(name: str, source: str) -> WeightFile:
    """A file that torchvision publishes; torch's hub ends such names in the digest's first digits."""
    url = f"https://download.pytorch.org/models/{name}"
    return WeightFile(f"checkpoints/{name}", source, url, Path(name).stem.rpartition("-")[2])


def _pyiqa(name: str, source: str, sha256: str = "") -> WeightFile:
    """A file that pyiqa publishes."""
    url = f"https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main/{name}"
    return WeightFile(f"pyiqa/{name}", source, url, sha256)


ALEXNET = _torchvision("alexnet-owt-7be5be79.pth", "torchvision's AlexNet")
SQUEEZENET = _torchvision("squeezenet1_1-b8a52dc0.pth", "torchvision's SqueezeNet 1.1")
VGG16 = _torchvision("vgg16-397923af.pth", "torchvision's VGG16")
INCEPTION = _pyiqa("pt_inception-2015-12-05-6726825d.pth", "pyiqa's copy of the FID Inception network", "6726825d")
CLIP_RN50 = WeightFile(
    "clip/RN50.pt",
    "OpenAI's CLIP RN50",
    "https://openaipublic.azureedge.net/clip/models/"
    "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/RN50.pt",
    "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
)

WEIGHTS: dict[str, tuple[WeightFile, ...]] = {
    "psnr_y": (),
    "ssim_y": (),
    "psnr_rgb": (),
    "ssim_rgb": (),
    "ms_ssim": (),
    "lr_psnr": (),
    "ae_psnr": (),
    "psnr_y_pyiqa": (),
    "ssim_y_pyiqa": (),
    "psnr_yiq": (),
    "ssim_yiq": (),
    "lpips_alex": (ALEXNET,),
    "lpips_vgg": (VGG16,),
    "lpips_squeeze": (SQUEEZENET,),
    "dists": (VGG16, _pyiqa("DISTS_weights-f5e65c96.pth", "pyiqa's copy of the DISTS weights")),
    "clipiqa": (CLIP_RN50,),
    "musiq": (_pyiqa("musiq_koniq_ckpt-e95806b9.pth", "pyiqa's MUSIQ of KonIQ-10k"),),
    "maniqa": (_pyiqa("ckpt_koniq10k.pt", "pyiqa's copy of MANIQA of KonIQ-10k"),),
    "maniqa_pipal": (_pyiqa("MANIQA_PIPAL-ae6d356b.pth", "pyiqa's copy of MANIQA of PIPAL"),),
    "niqe": (_pyiqa("niqe_modelparameters.mat", "pyiqa's copy of NIQE's parameters"),),
    "fid": (INCEPTION,),
    "kid": (INCEPTION,),
    "fid_patch256": (INCEPTION,),
    "kid_patch256": (INCEPTION,),
    "fd_alexnet": (ALEXNET,),
    "kd_alexnet": (ALEXNET,),
}
"""Every protocol of the suite's own names, with the weights that it needs; besides, there is `pyiqa:NAME`."""


def check_protocol(name: str, where: str) -> None:
    """Raise UserError for a protocol that there is not: neither here nor, as `pyiqa:NAME`, in pyiqa."""
    if name.startswith(PREFIX):
        listed_metric(name, where)
    elif name not in WEIGHTS:
        raise UserError(
            f"{where}: unknown protocol `{name}`{suggestion(name, WEIGHTS)} (or any metric of pyiqa: `{PREFIX}NAME`)"
        )


def weights_of(protocol: str) -> tuple[WeightFile, ...]:
    """Weights that a protocol needs; of `pyiqa:NAME`, which pyiqa looks after, none."""
    return WEIGHTS.get(protocol, ())


AUTOENCODED = "ae_psnr"
AUTOENCODER = "aesop.autoencoder"
"""The protocol that looks at images after an auto-encoder, and the stage that trains that one: not fetched, but this
preset's own."""

LPIPS_NETWORKS = {"lpips_vgg": VGG16, "lpips_alex": ALEXNET, "lpips_squeeze": SQUEEZENET}
"""Networks of LPIPS as a training loss, the published one first."""


def present_lpips() -> str:
    """The first LPIPS network whose weights are here; the published one, to be fetched, if none is."""
    return next((name for name, file in LPIPS_NETWORKS.items() if file.target.is_file()), "lpips_vgg")


def absent(protocol: str) -> list[WeightFile]:
    """Weights of a protocol that are not here."""
    return [file for file in weights_of(protocol) if not file.target.is_file()]


ABSENT = "weights absent"
"""How the reason begins where a protocol's weights are not here."""
TOO_SMALL = "too small"
"""How it begins where an image is too small for a protocol."""


def unavailable(protocol: str, downloads: bool) -> str | None:
    """Why a protocol cannot be computed here, or None if it can or, with `downloads`, if its weights may be fetched."""
    missing = absent(protocol)
    if downloads or not missing:
        return None
    return (
        f"{ABSENT}: {', '.join(map(str, missing))}; put them there or allow downloads "
        f"(`downloads: true` in the preset, `--download` of `tvqsr score`)"
    )
