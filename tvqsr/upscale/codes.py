"""How a method uses its codebook on a test set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tvqsr.contract import Upscaler
from tvqsr.upscale.padding import reflect_to_multiple


class CodeUse:
    """Counts of the codes decoded, and of how many equal the tokenizer's own for HR."""

    def __init__(self, codebook_size: int) -> None:
        self.counts = torch.zeros(codebook_size, dtype=torch.int64)
        self.compared = self.right = 0

    def add(self, upscaler: Upscaler, image: Tensor, hr: Tensor | None, scale: int) -> float | None:
        """Count the codes of one image and return its index accuracy, None where there is nothing to compare with.

        `image` (1, 3, h, w) is the input that the method was given, `hr` (1, 3, H, W) the answer if there is one,
        both in [0, 1]; HR is `scale` times as large as the input.
        """
        rows, columns = (-(-side * scale // upscaler.code_stride) for side in image.shape[-2:])
        codes = upscaler.codes(reflect_to_multiple(image, upscaler.multiple))[..., :rows, :columns].cpu()
        self.counts += torch.bincount(codes.flatten(), minlength=len(self.counts))
        truth = None if hr is None else upscaler.codes_of_hr(reflect_to_multiple(hr, upscaler.multiple * scale))
        if truth is None:
            return None
        right = int((truth[..., :rows, :columns].cpu() == codes).sum())
        self.right += right
        self.compared += codes.numel()
        return right / codes.numel()

    def summary(self) -> dict[str, Any]:
        """Codebook size, share used, perplexity (exp of the entropy of the use), index accuracy or None."""
        share = self.counts.double() / self.counts.sum()
        entropy = -(share[share > 0] * share[share > 0].log()).sum()
        return {
            "size": len(self.counts),
            "used": int((self.counts > 0).sum()),
            "perplexity": float(entropy.exp()),
            "accuracy": self.right / self.compared if self.compared else None,
            "counts": self.counts.tolist(),
        }
