"""AdaCode's contrastive term (released code): the features of an LR image are to be those of its own HR image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tvqsr.nn.across import of_all_processes

TEMPERATURE = 0.5


def contrastive_loss(features: Tensor, target: Tensor) -> Tensor:
    """SimCLR's loss (arXiv 2002.05709) of two (B, C, h, w), a scalar; the target is held fast.

    Likeness of two maps is the cosine of their features at a position, meaned over positions. Each of the 2 B maps of
    the whole batch has its counterpart as the positive and all others as negatives.
    """
    with torch.autocast(features.device.type, enabled=False):
        features, target = of_all_processes(features.float()), of_all_processes(target.detach().float())
        maps = F.normalize(torch.cat([features, target]), dim=1)
        likeness = torch.einsum("ichw,jchw->ij", maps, maps) / (maps.shape[-2] * maps.shape[-1])
        itself = torch.eye(len(maps), dtype=torch.bool, device=maps.device)
        counterpart = torch.arange(len(maps), device=maps.device).roll(len(features))
        return F.cross_entropy((likeness / TEMPERATURE).masked_fill(itself, -torch.inf), counterpart)
