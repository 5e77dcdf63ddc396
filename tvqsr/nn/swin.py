"""Shifted-window attention (Liu et al., Swin Transformer, ICCV 2021) as TVQ&RAP uses it.

Pre-norm blocks, relative position bias, no dropout.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvqsr.errors import UserError
from tvqsr.nn.linear import Linear


@lru_cache(maxsize=64)
def _position_index(window: int) -> Tensor:
    """Row of the bias table for each pair of positions of a window: (window^2, window^2), row-major."""
    axis = torch.arange(window)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).flatten(1)
    offset = grid[:, :, None] - grid[:, None, :] + window - 1
    return offset[0] * (2 * window - 1) + offset[1]


@lru_cache(maxsize=64)
def _window_mask(height: int, width: int, window: int, shift: int, device: torch.device) -> Tensor | None:
    """Which pairs may see each other after padding and cyclic shift.

    Boolean (windows, window^2, window^2), or None where all may.
    """
    padded_h, padded_w = -height % window + height, -width % window + width
    if shift == 0 and (padded_h, padded_w) == (height, width):
        return None
    region = torch.full((padded_h, padded_w), -1)
    rows, columns = torch.arange(height), torch.arange(width)
    # After the roll, rows below `shift` of the original wrap to the end: they get labels of their own, as in the Swin
    # paper, section 3.2.
    region[:height, :width] = (rows < shift)[:, None] * 2 + (columns < shift)[None, :]
    windows = _to_windows(region.roll((-shift, -shift), (0, 1))[None, :, :, None], window).squeeze(-1)
    return (windows[:, :, None] == windows[:, None, :]).to(device)


def forget_masks() -> None:
    """Compute masks anew: those of a computation on shapes alone have no values for a real one."""
    _window_mask.cache_clear()


def _to_windows(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) -> (B * windows, window^2, C)."""
    b, h, w, c = x.shape
    x = x.view(b, h // window, window, w // window, window, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, c)


def _from_windows(x: Tensor, window: int, height: int, width: int) -> Tensor:
    """(B * windows, window^2, C) -> (B, H, W, C)."""
    c = x.shape[-1]
    x = x.view(-1, height // window, width // window, window, window, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, c)


class WindowAttention(nn.Module):
    """Multi-head attention inside windows.

    (B * windows, window^2, C), mask (windows, window^2, window^2) -> the same shape.
    """

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        if dim % heads:
            raise UserError(
                f"heads: {heads} do not divide the {dim} channels of an attention layer; take another number"
            )
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("position_index", _position_index(window), persistent=False)
        self.qkv = Linear(dim, 3 * dim)
        self.proj = Linear(dim, dim)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def _bias(self, mask: Tensor | None, batch: int) -> Tensor:
        """Additive attention bias: (1 or batch * windows, heads, N, N)."""
        index: Tensor = self.get_buffer("position_index")
        bias = self.relative_position_bias_table[index].permute(2, 0, 1).unsqueeze(0)
        if mask is None:
            return bias
        masked = bias.masked_fill(~mask.unsqueeze(1), -torch.inf)
        return masked.expand(batch, *masked.shape).flatten(0, 1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        bias = self._bias(mask, b // mask.shape[0] if mask is not None else b)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.proj(y.transpose(1, 2).reshape(b, n, c))


class Mlp(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(dim, hidden)
        self.fc2 = Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class SwinBlock(nn.Module):
    """Window attention and MLP, each pre-normed and residual, on (B, H, W, C) of any H and W.

    What does not fill a window is padded and masked.
    """

    def __init__(self, dim: int, heads: int, window: int, shift: int, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads, window)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, mlp_ratio * dim)

    def _attend(self, x: Tensor) -> Tensor:
        _, h, w, _ = x.shape
        pad_h, pad_w = -h % self.window, -w % self.window
        x = F.pad(x, (0, 0, 0, pad_w, 0, pad_h)) if pad_h or pad_w else x
        x = x.roll((-self.shift, -self.shift), (1, 2)) if self.shift else x
        mask = _window_mask(h, w, self.window, self.shift, x.device)
        y = _from_windows(self.attn(_to_windows(x, self.window), mask), self.window, h + pad_h, w + pad_w)
        y = y.roll((self.shift, self.shift), (1, 2)) if self.shift else y
        return y[:, :h, :w]

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class SwinStack(nn.Module):
    """`depth` Swin blocks, shifted every second time, inside an outer residual: (B, dim, H, W) -> same.

    With `conv` it is SwinIR's RSTB (3x3 convolution before the residual).
    """

    def __init__(self, dim: int, depth: int, heads: int, window: int, conv: bool = False) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(SwinBlock(dim, heads, window, shift=(i % 2) * (window // 2)) for i in range(depth))
        self.conv = nn.Conv2d(dim, dim, 3, padding=1) if conv else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        # Once here, or every block would pay for strides that do not suit it.
        y = x.permute(0, 2, 3, 1).contiguous()
        for block in self.blocks:
            y = block(y)
        return x + self.conv(y.permute(0, 3, 1, 2))
