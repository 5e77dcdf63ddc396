"""The rotation trick (arXiv 2410.06424): vanilla VQ with another gradient for the features."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from tvqsr.nn.quantize import VectorQuantizer

SMALLEST_NORM = 1e-6


class RotationQuantizer(VectorQuantizer):
    """Vanilla VQ whose features get the gradient of a rotation and stretching that takes them to their codes."""

    def pass_gradient(self, features: Tensor, codes: Tensor) -> Tensor:
        rotated = rotated_to(features, codes)
        # Equal but for rounding; so that what is decoded is the code itself.
        return rotated + (codes - rotated).detach()


def rotated_to(features: Tensor, codes: Tensor) -> Tensor:
    """(|q| / |z|) R z along the channels, which equals q; all but z is held constant (section 4.2 of the paper).

    Features z and codes q (B, D, h, w). R = I - 2 w w' + 2 q^ z^' with hats for unit vectors and w the unit vector of
    z^ + q^.
    """
    z, q = F.normalize(features.detach(), dim=1), F.normalize(codes.detach(), dim=1)
    w = F.normalize(z + q, dim=1)
    norms = features.detach().norm(dim=1, keepdim=True).clamp(min=SMALLEST_NORM)
    stretch = codes.detach().norm(dim=1, keepdim=True) / norms
    along_w, along_z = ((features * axis).sum(dim=1, keepdim=True) for axis in (w, z))
    return stretch * (features - 2 * along_w * w + 2 * along_z * q)
