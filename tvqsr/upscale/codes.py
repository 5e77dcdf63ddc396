"""How a method uses its codebooks on a test set."""

from __future__ import annotations

from math import log2
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tvqsr.contract import Codebook, Indices, Upscaler
from tvqsr.upscale.padding import reflect_to_multiple
from tvqsr.upscale.redundancy import Redundancy


class CodeUse:
    """Counts of the codes decoded, of each codebook, and of how many equal the tokenizer's own for HR.

    For a method that reads HR (a tokenizer), the codes' redundancy, too.
    """

    def __init__(self, codebooks: tuple[Codebook, ...], reads_hr: bool = False) -> None:
        self.codebooks = codebooks
        self.counts = [torch.zeros(codebook.size, dtype=torch.int64) for codebook in codebooks]
        self.compared = self.right = 0
        self.redundancy = Redundancy() if reads_hr else None

    @property
    def stride(self) -> int:
        """HR pixels per position of the finest codebook, along each side."""
        return min(codebook.stride for codebook in self.codebooks)

    def add(self, upscaler: Upscaler, image: Tensor, hr: Tensor | None, scale: int) -> float | None:
        """Count the codes of one image and return its index accuracy, None where there is nothing to compare with.

        `image` (1, 3, h, w) is the input that the method was given, `hr` (1, 3, H, W) the answer if there is one,
        both in [0, 1]; HR is `scale` times as large as the input.
        """
        height, width = image.shape[-2] * scale, image.shape[-1] * scale
        given = reflect_to_multiple(image, upscaler.multiple)
        codes = upscaler.codes(given)
        if self.redundancy is not None and (vectors := upscaler.code_vectors(codes)) is not None:
            small = F.avg_pool2d(given.double(), self.stride)
            self.redundancy.add(*(_inside(part, self.stride, height, width) for part in (small, vectors)))
        inside = self._inside(codes, height, width)
        for number, indices in enumerate(inside):
            self.counts[number] += torch.bincount(indices.flatten(), minlength=self.codebooks[number].size)
        truth = None if hr is None else upscaler.codes_of_hr(reflect_to_multiple(hr, upscaler.multiple * scale))
        if truth is None:
            return None
        pairs = list(zip(self._inside(truth, height, width), inside, strict=True))
        right, compared = sum(int((a == b).sum()) for a, b in pairs), sum(b.numel() for _, b in pairs)
        self.right += right
        self.compared += compared
        return right / compared

    def _inside(self, indices: Indices, height: int, width: int) -> list[Tensor]:
        """Indices of each codebook at positions that show some of the image, not only of its padding, on the CPU."""
        pairs = zip(self.codebooks, indices, strict=True)
        return [_inside(part, codebook.stride, height, width).cpu() for codebook, part in pairs]

    def summary(self) -> dict[str, Any]:
        """Each codebook's use (perplexity is the exp of its entropy) and, over all of them: see the keys.

        `used`: share of the codes decoded at all. `perplexity`: geometric mean. `bits_per_position`: of all codebooks,
        per position of the finest. `accuracy`, `redundancy`: or None.
        """
        books = [_use(*pair) for pair in zip(self.codebooks, self.counts, strict=True)]
        entropies = torch.tensor([book["perplexity"] for book in books], dtype=torch.float64).log()
        bits = [log2(codebook.size) * (self.stride / codebook.stride) ** 2 for codebook in self.codebooks]
        return {
            "codebooks": books,
            "used": sum(book["used"] for book in books) / sum(book["size"] for book in books),
            "perplexity": float(entropies.mean().exp()),
            "bits_per_position": sum(bits),
            "stride": self.stride,
            "accuracy": self.right / self.compared if self.compared else None,
            "redundancy": self.redundancy.value() if self.redundancy else None,
        }


def _inside(part: Tensor, stride: int, height: int, width: int) -> Tensor:
    """(..., h, w) -> the positions that an image of `height` x `width` pixels reaches."""
    return part[..., : -(-height // stride), : -(-width // stride)]


def _use(codebook: Codebook, counts: Tensor) -> dict[str, Any]:
    share = counts.double() / counts.sum()
    entropy = -(share[share > 0] * share[share > 0].log()).sum()
    return {
        "size": codebook.size,
        "stride": codebook.stride,
        "used": int((counts > 0).sum()),
        "perplexity": float(entropy.exp()),
        "counts": counts.tolist(),
    }
