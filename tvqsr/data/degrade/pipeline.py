"""HR -> LR by a published degradation; that of Real-ESRGAN's family in its order (arXiv 2107.10833, figure 2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tvqsr.data.degrade.chain import Chain, ChainRecipe, draw_chain, run_chain
from tvqsr.data.degrade.filters import correlate, sharpen
from tvqsr.data.degrade.jpeg import jpeg
from tvqsr.data.degrade.kernels import kernel_array
from tvqsr.data.degrade.noise import add_noise
from tvqsr.data.degrade.parameters import Kernel, Parameters, draw
from tvqsr.data.degrade.recipe import Recipe
from tvqsr.data.resize import on_device
from tvqsr.errors import UserError

Drawn = Parameters | Chain
"""All that decides, with its pixels, the LR of an image."""


def draw_for(recipe: Recipe | ChainRecipe, seed: Sequence[int], scale: int = 4) -> Drawn:
    """What a recipe draws for the image of a seed, a sequence of integers >= 0; the same on every device."""
    return draw_chain(recipe, seed, scale) if isinstance(recipe, ChainRecipe) else draw(recipe, seed)


def degrade(hr: Tensor, recipe: Recipe | ChainRecipe, seeds: Sequence[Sequence[int]], scale: int = 4) -> Tensor:
    """LR of a batch: (B, 3, H, W) in [0, 1] -> (B, 3, H / scale, W / scale) float32, multiples of 1/255 in [0, 1].

    `seeds` has one sequence of integers >= 0 per image, such as [seed, step, position]. An image's LR depends on its
    own pixels and seed only, whatever else is in the batch.

    Raises UserError if a side of HR is no multiple of `scale`.
    """
    return apply(hr, [draw_for(recipe, seed, scale) for seed in seeds], recipe.sharpen, scale)


@torch.no_grad()
def apply(hr: Tensor, drawn: Sequence[Drawn], sharpened: bool, scale: int = 4) -> Tensor:
    """LR, as of `degrade`, of a batch by what was drawn for each image: for all by one kind of recipe.

    Parameters are the same on every device; noise fields come from a generator of the device, so CPU and CUDA see
    different ones. No global random state is used, and nothing waits for the device. It is float32 throughout, also
    under autocast.

    Raises UserError if a side of HR is no multiple of `scale`.
    """
    height, width = hr.shape[-2:]
    if height % scale or width % scale:
        raise UserError(f"degradation: HR is {width} x {height}; sides must be multiples of {scale}, crop it")
    with torch.autocast(hr.device.type, enabled=False):
        hr = hr.float().contiguous()  # cuDNN would take a single channels-last image, with TF32
        images, size = sharpen(hr) if sharpened else hr, (height // scale, width // scale)
        chains = [one for one in drawn if isinstance(one, Chain)]
        if chains:
            lr = [run_chain(image, chain, size) for image, chain in zip(images.split(1), chains, strict=True)]
        else:
            lr = _in_two_stages(images, [one for one in drawn if isinstance(one, Parameters)], size)
        return torch.cat(lr).mul(255).round().clamp(0, 255).div(255)


def _in_two_stages(images: Tensor, parameters: list[Parameters], size: tuple[int, int]) -> list[Tensor]:
    """Real-ESRGAN's operators in their order, up to LR; what all images of a batch share is done at once."""
    images = correlate(images, _kernels([p.first.blur for p in parameters], images.device))
    second_kernels = _kernels([p.second.blur if p.second else None for p in parameters], images.device)
    sized = [
        _to_lr_size(image, drawn, kernel, size)
        for image, drawn, kernel in zip(images.split(1), parameters, second_kernels.split(1), strict=True)
    ]
    filtered = correlate(torch.cat(sized), _kernels([p.last_sinc for p in parameters], images.device))
    return [
        jpeg(image.clamp(0, 1), [drawn.last_jpeg]) if drawn.jpeg_comes_last else image
        for image, drawn in zip(filtered.split(1), parameters, strict=True)
    ]


def _to_lr_size(image: Tensor, drawn: Parameters, second_kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """What happens to one image (1, 3, H, W) between its first blur and its last sinc filter, up to LR's size.

    Images are of different sizes here, which is why they come one by one.
    """
    generator = torch.Generator(image.device).manual_seed(drawn.noise_seed)
    # Released code gives the factor, not the size: bilinear and bicubic then leave out what a floored size cuts off.
    image = F.interpolate(image, scale_factor=drawn.first.resize.factor, mode=drawn.first.resize.mode)
    image = add_noise(image, drawn.first.noise, generator)
    image = jpeg(image, [drawn.first_jpeg])
    if drawn.second:
        if drawn.second.blur:
            image = correlate(image, second_kernel)
        # Released code: this factor is relative to LR's size, not to the image's.
        height, width = (max(1, int(side * drawn.second.resize.factor)) for side in size)
        image = F.interpolate(image, (height, width), mode=drawn.second.resize.mode)
        image = add_noise(image, drawn.second.noise, generator)
    if not drawn.jpeg_comes_last:
        image = jpeg(image.clamp(0, 1), [drawn.last_jpeg])
    return F.interpolate(image, size, mode=drawn.last_mode)


def _kernels(kernels: Sequence[Kernel | None], device: torch.device) -> Tensor:
    """Stacked (B, side, side) float32 on the device."""
    return on_device(np.stack([kernel_array(kernel) for kernel in kernels]).astype(np.float32), device)
