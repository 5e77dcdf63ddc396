"""Hinge GAN loss, VQGAN's adaptive weight (arXiv 2012.09841, equation 7), relativistic average GAN loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tvqsr.nn.across import mean_over_processes, processes, sum_over_processes


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
    of_reconstruction, of_adversarial = (
        sum_over_processes(part) / processes() for part in (from_reconstruction, from_adversarial)
    )
    ratio = of_reconstruction.norm() / (of_adversarial.norm() + 1e-4)
    return ratio.clamp(0.0, 1e4).detach()


def relativistic_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Relativistic average GAN with cross-entropy, the generator's side (arXiv 1809.00219, equation 2), halved.

    Logits of whole images, (B, 1), real ones without gradient. A scalar; log 2 where the two cannot be told apart.
    """
    real, fake = real_logits.detach().float(), fake_logits.float()
    return 0.5 * (_cross_entropy(real - _mean(fake), 0.0) + _cross_entropy(fake - _mean(real), 1.0))


def relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The discriminator's side (arXiv 1809.00219, equation 1), halved.

    As in BasicSR and its descendants, AESOP among them, no gradient flows through the means.
    """
    real, fake = real_logits.float(), fake_logits.float()
    from_real = _cross_entropy(real - _mean(fake.detach()), 1.0)
    return 0.5 * (from_real + _cross_entropy(fake - _mean(real.detach()), 0.0))


def _mean(logits: Tensor) -> Tensor:
    """Over the whole batch."""
    return mean_over_processes(logits.mean())


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
