"""How a method uses its codebook on a test set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tvqsr.contract import Upscaler
from tvqsr.upscale.padding import reflect_to_multiple
from tvqsr.upscale.redundancy import Redundancy


class CodeUse:
    """Counts of the codes decoded, and of how many equal the tokenizer's own for HR.

    For a method that reads HR (a tokenizer), the codes' redundancy, too.
    """

    def __init__(self, codebook_size: int, reads_hr: bool = False) -> None:
        self.counts = torch.zeros(codebook_size, dtype=torch.int64)
        self.compared = self.right = 0
        self.redundancy = Redundancy() if reads_hr else None

    def add(self, upscaler: Upscaler, image: Tensor, hr: Tensor | None, scale: int) -> float | None:
        """Count the codes of one image and return its index accuracy, None where there is nothing to compare with.

        `image` (1, 3, h, w) is the input that the method was given, `hr` (1, 3, H, W) the answer if there is one,
        both in [0, 1]; HR is `scale` times as large as the input.
        """
        rows, columns = (-(-side * scale // upscaler.code_stride) for side in image.shape[-2:])
        given = reflect_to_multiple(image, upscaler.multiple)
        codes = upscaler.codes(given)[..., :rows, :columns]
        if self.redundancy is not None and (vectors := upscaler.code_vectors(codes)) is not None:
            small = F.avg_pool2d(given.double(), upscaler.code_stride)
            self.redundancy.add(small[..., :rows, :columns], vectors)
        codes = codes.cpu()
        self.counts += torch.bincount(codes.flatten(), minlength=len(self.counts))
        truth = None if hr is None else upscaler.codes_of_hr(reflect_to_multiple(hr, upscaler.multiple * scale))
        if truth is None:
            return None
        right = int((truth[..., :rows, :columns].cpu() == codes).sum())
        self.right += right
        self.compared += codes.numel()
        return right / codes.numel()

    def summary(self) -> dict[str, Any]:
        """Codebook size, codes used, perplexity (exp of the use's entropy), index accuracy and redundancy, or None."""
        share = self.counts.double() / self.counts.sum()
        entropy = -(share[share > 0] * share[share > 0].log()).sum()
        return {
            "size": len(self.counts),
            "used": int((self.counts > 0).sum()),
            "perplexity": float(entropy.exp()),
            "accuracy": self.right / self.compared if self.compared else None,
            "redundancy": self.redundancy.value() if self.redundancy else None,
            "counts": self.counts.tolist(),
        }
