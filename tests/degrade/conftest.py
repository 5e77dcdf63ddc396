"""Photos to degrade."""

from __future__ import annotations

import numpy as np
import pytest
import skimage
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def photos() -> Tensor:
    """Three real crops (3, 3, 96, 128) in [0, 1]."""
    sources = (skimage.data.chelsea(), skimage.data.astronaut(), skimage.data.coffee())
    crops = np.stack([source[100:196, 120:248] for source in sources])
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
