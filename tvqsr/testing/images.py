"""Checks of a method in inference: images of any size, repeatable, one by one or in batches, and its codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.contract import Upscaler
from tvqsr.errors import UserError
from tvqsr.testing.candidate import Candidate, first_difference
from tvqsr.testing.outcome import FailureError, NotApplicableError
from tvqsr.upscale.padding import padded, reflect_to_multiple

SIZES = ((19, 26), (5, 7), (32, 24))
"""Of LR, height and width; what reads HR gets four times that."""
TOLERANCE = 1e-3
"""What may lie between values computed alone and in a batch, where sums are taken in another order."""
WITHIN = 1.0
"""How far a network of a few steps may overshoot [0, 1] on either side with nine tenths of its values."""
STRAYING = 0.01
"""Share of samples that may lie further apart: a tie between two codes may be decided otherwise."""


def upscaler(candidate: Candidate) -> None:
    """`upscaler` makes images of every stage that is not only there for another.

    It raises UserError for a stage that makes none: every other stage is needed on the way to `upscales_with`.
    """
    if candidate.given:
        raise NotApplicableError(f"an entry must give this method its {candidate.given}: none is here")
    spec = candidate.method.spec
    if spec.upscales_with is None:
        candidate.upscaler(None)
        return
    needed = {run.stage for run in candidate.run(spec.upscales_with).lineage() if run.method is candidate.method}
    for name in candidate.stages():
        if candidate.upscaler(name) is None and name not in needed:
            raise FailureError(
                f"{candidate.folder / 'method.yaml'}: stages.{name}: is trained for nothing: `{spec.upscales_with}` "
                f"does not need it, and `upscaler` in plugin.py makes no images of it; add it to `needs`, or remove it"
            )


def each(candidate: Candidate) -> Iterator[tuple[str, Upscaler, int]]:
    """All upscalers with the place to mend them and their scale."""
    if candidate.given:
        raise NotApplicableError(f"an entry must give this method its {candidate.given}: none is here")
    for stage, made, scale in candidate.upscalers():
        yield candidate.place(f"upscaler of `{stage}`" if stage else "upscaler"), made, scale


def weights(candidate: Candidate) -> None:
    """`upscaler` is made of the saved weights alone: made twice of the same, it holds the same.

    A network that is built but not loaded would keep its random start.
    """
    for name in candidate.stages():
        trained = candidate.trained(name)
        states = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            try:
                states.append(_state(candidate.plugin.upscaler(trained)))
            except UserError:
                break
        else:
            if changed := first_difference(*states):
                raise FailureError(
                    f"{candidate.place(f'upscaler of `{name}`')}: `{changed}` is not the trained one but random; "
                    f"fill the network by trained.load(...)"
                )


def shapes(candidate: Candidate) -> None:
    """Images of any size come out four times as large, or, of what reads HR, as large as they are."""
    for where, made, scale in each(candidate):
        for image in images(scale):
            given = reflect_to_multiple(image, made.multiple)
            with torch.inference_mode():
                out = made(given)
            expected = (1, 3, given.shape[-2] * scale, given.shape[-1] * scale)
            if not isinstance(out, Tensor) or tuple(out.shape) != expected:
                found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
                raise FailureError(
                    f"{where}: {image.shape[-2]} x {image.shape[-1]} pixels, padded to multiples of {made.multiple}, "
                    f"come out as {found}; expected {expected}; mend forward(), or set `multiple` to what it needs"
                )


def value_range(candidate: Candidate) -> None:
    """Images come out as finite numbers in [0, 1], but for what a network overshoots."""
    for where, made, scale in each(candidate):
        for image in images(scale):
            out = _applied(made, image)
            if not out.is_floating_point() or not bool(out.isfinite().all()):
                raise FailureError(f"{where}: gives {out.dtype} with NaN or infinity; expected finite floats in [0, 1]")
            low, high = float(out.quantile(0.05)), float(out.quantile(0.95))
            if low < -WITHIN or high > 1 + WITHIN:
                raise FailureError(
                    f"{where}: most of its values lie in {low:.3g} .. {high:.3g}; expected [0, 1], not [0, 255], say"
                )


def repeats(candidate: Candidate) -> None:
    """The same image twice gives the same result to the bit, and leaves the networks as they were."""
    for where, made, scale in each(candidate):
        image = images(scale)[0]
        before = _state(made)
        first, again = _applied(made, image), _applied(made, image)
        if not torch.equal(first, again):
            raise FailureError(
                f"{where}: two passes over one image differ by up to {float((first - again).abs().max()):.3g}; "
                f"nothing may be random or remembered in inference (dropout, noise, caches)"
            )
        if changed := first_difference(before, _state(made)):
            raise FailureError(f"{where}: `{changed}` changes when an image is made; it must not in eval mode")


def batches(candidate: Candidate) -> None:
    """An image comes out the same alone and in a batch.

    Layer by layer, too: after a few steps a codebook may give every image the same codes, which would hide it.
    Values are compared sorted, since heads and patches may lie in any order and rounding may move a code: image by
    image where a layer's first axis is the batch, else all together (windows).
    """
    for where, made, scale in each(candidate):
        # The smallest: every layer's values are looked at.
        image = images(scale)[1]
        both = torch.cat([image, image.flip(-1).square()])
        together, alone = _layers(made, both), [_layers(made, one[None]) for one in both]
        for (name, whole), *parts in zip(together, *alone, strict=True):
            apart = [values for _, values in parts]
            if len(whole) == len(both):
                strayed = max(_strayed(one, *other) for one, other in zip(whole, apart, strict=True))
            else:
                strayed = _strayed(whole, torch.cat([values.flatten() for values in apart]))
            if strayed > STRAYING:
                raise FailureError(
                    f"{where}: what `{name}` gives for an image depends on what else is in the batch; "
                    f"statistics over the batch (batch norm in training mode?) have no place in inference"
                )


def _layers(made: Upscaler, image: Tensor) -> list[tuple[str, Tensor]]:
    """What each layer gives, in the order in which they are called; `forward` is the image itself."""
    seen: list[tuple[str, Tensor]] = []

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda _, __, out: seen.append((name, out)) if isinstance(out, Tensor) and out.dim() else None

    leaves = [(name, module) for name, module in made.named_modules() if name and not list(module.children())]
    hooks = [module.register_forward_hook(note(name)) for name, module in leaves]
    try:
        out = _applied(made, image)
    finally:
        for hook in hooks:
            hook.remove()
    return [*seen, ("forward", out)]


def _strayed(whole: Tensor, apart: Tensor) -> float:
    """Share of values that differ by more than the tolerance, in units of their spread; 0 where numbers differ."""
    whole, apart = whole.flatten(), apart.flatten()
    if len(whole) != len(apart):
        return 0.0
    spread = float(whole.double().std()) + 1e-6
    differences = (whole.double().sort().values - apart.double().sort().values).abs()
    return float((differences > TOLERANCE * spread).double().mean())


def images(scale: int) -> list[Tensor]:
    """Smooth images with some noise, LR (scale 4) or HR (scale 1), (1, 3, h, w) in [0, 1]."""
    generator, factor = torch.Generator().manual_seed(0), 4 // scale
    images = []
    for height, width in SIZES:
        coarse = torch.rand(1, 3, 4, 5, generator=generator)
        smooth = F.interpolate(coarse, (height * factor, width * factor), mode="bilinear")
        noise = torch.rand(smooth.shape, generator=generator)
        # As everywhere, 8 bits.
        images.append(((0.9 * smooth + 0.1 * noise) * 255).round() / 255)
    return images


def _applied(made: Upscaler, image: Tensor) -> Tensor:
    """An image through a method, padded and cut as the suite does."""
    with torch.inference_mode():
        return padded(made, image, made.multiple)


def _state(made: Upscaler) -> dict[str, Tensor]:
    tensors = {**dict(made.named_parameters()), **dict(made.named_buffers())}
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
