"""Hinge GAN loss and VQGAN's adaptive weight (arXiv 2012.09841, equation 7)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def generator_hinge(fake_logits: Tensor) -> Tensor:
    """-mean D(fake), a scalar."""
    return -fake_logits.float().mean()


def discriminator_hinge(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Half the sum of the hinge terms of real and fake, a scalar."""
    return 0.5 * (F.relu(1 - real_logits.float()).mean() + F.relu(1 + fake_logits.float()).mean())


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, at: Tensor) -> Tensor:
    """||d reconstruction / d at|| / (||d adversarial / d at|| + 1e-4), clamped to [0, 1e4] and detached.

    A scalar that balances the two losses at one weight.
    """
    (from_reconstruction,) = torch.autograd.grad(reconstruction, at, retain_graph=True)
    (from_adversarial,) = torch.autograd.grad(adversarial, at, retain_graph=True)
    ratio = from_reconstruction.norm() / (from_adversarial.norm() + 1e-4)
    return ratio.clamp(0.0, 1e4).detach()
