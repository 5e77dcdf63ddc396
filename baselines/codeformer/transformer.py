"""CodeFormer's transformer over code positions (arXiv 2206.11253, section 3.2, and released code), in windows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Layer(nn.Module):
    """Pre-norm attention and MLP, each residual: tokens (B, N, dim), position code (N, dim) -> (B, N, dim).

    The position code is added to queries and keys alone, anew in every layer.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor, position: Tensor, absent: Tensor | None) -> Tensor:
        """`absent` (B, N) is true where a token is padding: nobody looks at it."""
        value = self.norm1(x)
        placed = value + position
        x = x + self.attention(placed, placed, value, key_padding_mask=absent, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class WindowedTransformer(nn.Module):
    """Features of code positions (B, channels, h, w), any h and w -> tokens (B, dim, h, w).

    CodeFormer attends over all of its 16 x 16 positions, since its faces are of one size. Here `window` x `window`
    positions attend to each other, with one learned position code for all windows: an image as large as a window is
    treated as there, a larger one as windows side by side. A window that an image does not fill attends within what
    there is.
    """

    def __init__(self, channels: int, dim: int, heads: int, layers: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.embed = nn.Linear(channels, dim)
        self.position = nn.Parameter(torch.zeros(window**2, dim))
        self.layers = nn.ModuleList(Layer(dim, heads) for _ in range(layers))

    def forward(self, features: Tensor) -> Tensor:
        batch, _, h, w = features.shape
        x = self.embed(features.permute(0, 2, 3, 1))
        extra = -h % self.window, -w % self.window
        absent = None
        if any(extra):
            x = F.pad(x, (0, 0, 0, extra[1], 0, extra[0]))
            beyond = torch.ones(h + extra[0], w + extra[1], 1, dtype=torch.bool, device=x.device)
            beyond[:h, :w] = False
            absent = _windows(beyond.expand(batch, -1, -1, -1), self.window).squeeze(-1)
        tokens = _windows(x, self.window)
        for layer in self.layers:
            tokens = layer(tokens, self.position, absent)
        rows, columns = (h + extra[0]) // self.window, (w + extra[1]) // self.window
        tokens = tokens.view(batch, rows, columns, self.window, self.window, -1).permute(0, 5, 1, 3, 2, 4)
        return tokens.reshape(batch, -1, h + extra[0], w + extra[1])[:, :, :h, :w]


def _windows(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) -> (B windows, window^2, C)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // window, window, w // window, window, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window**2, c)
