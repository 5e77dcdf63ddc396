"""Images upscaled in tiles, against the same upscaled in whole."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from tvqsr.fetch.progress import Steps
from tvqsr.upscale.grid import grid, tiles_of
from tvqsr.upscale.padding import padded
from tvqsr.upscale.tiles import tiled


def quietly(total: int) -> Steps:
    return Steps("tiles", total, lambda _line: None)


class Local(nn.Module):
    """x4, looks 3 pixels far, and remembers the sizes that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 48, 3, padding=1))
        self.seen: list[tuple[int, ...]] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(tuple(image.shape[-2:]))
        return nn.functional.pixel_shuffle(self.layers(image), 4)


@pytest.mark.parametrize("size", [(150, 97), (64, 260), (65, 64), (40, 33)])
@pytest.mark.parametrize("multiple", [1, 8])
def test_a_network_that_looks_less_far_than_tiles_overlap_gives_the_same(size: tuple[int, int], multiple: int) -> None:
    torch.manual_seed(0)
    network, image = Local().eval(), torch.rand(1, 3, *size)
    with torch.no_grad():
        whole = padded(network, image, multiple)
        network.seen.clear()
        parts = tiled(network, image, multiple, 64, quietly)
    assert max(max(sides) for sides in network.seen) <= 64
    assert all(side % multiple == 0 for sides in network.seen for side in sides)
    assert parts.shape == whole.shape
    assert torch.allclose(parts, whole, atol=1e-5)


def test_every_pixel_is_the_identity_s() -> None:
    image = torch.rand(1, 3, 170, 301)
    assert torch.allclose(tiled(lambda part: part, image, 4, 64, quietly), image, atol=1e-6)


@pytest.mark.parametrize("size", [(64, 500), (500, 64)])
def test_tiles_that_disagree_fade_into_one_another(size: tuple[int, int]) -> None:
    """Tiles of 0, 1, 2, ...: between neighbours no step is larger than the fade allows."""
    counter = iter(range(1000))

    def number(part: Tensor) -> Tensor:
        return torch.full_like(part, float(next(counter)))

    out = tiled(number, torch.zeros(1, 3, *size), 1, 64, quietly)[0, 0]
    out = out if size[1] > size[0] else out.T
    steps = out.diff(dim=-1).abs()
    assert out.max() > 10
    assert steps.max() <= 1 / 16 + 1e-6
    assert out.diff(dim=-2).abs().max() < 1e-6


class Normed(nn.Module):
    """x4, with statistics over all that it is given, as the published networks have: every tile has its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1, padding_mode="replicate"), nn.GroupNorm(8, 32))
        self.last = nn.Conv2d(32, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.interpolate(self.last(self.layers(image)), scale_factor=4, mode="bilinear")


def test_statistics_of_their_own_leave_no_seam() -> None:
    """On a ramp, tiles differ from the whole by a shift and a gain each: cut off, they would meet in a step."""
    torch.manual_seed(0)
    network = Normed().eval()
    rows, columns = torch.linspace(0, 1, 200)[:, None], torch.linspace(0, 1, 320)
    image = (rows * columns).repeat(1, 3, 1, 1)
    with torch.no_grad():
        whole, parts = network(image), tiled(network, image, 1, 64, quietly)
    assert (parts - whole).abs().mean() > 0.3 * whole.std(), "nothing that could make a seam"
    for side in (-1, -2):
        step = (parts - whole).diff(dim=side).abs().max()
        assert step < 0.03 * (parts - whole).abs().max()


@pytest.mark.parametrize(
    ("length", "tile", "overlap"), [(500, 64, 32), (64, 64, 32), (65, 64, 32), (20, 64, 32), (192, 128, 64)]
)
def test_tiles_cover_a_side_and_overlap(length: int, tile: int, overlap: int) -> None:
    starts = tiles_of(length, tile, overlap)
    assert starts[0] == 0
    assert starts[-1] + tile == max(length, tile)
    assert all(a + tile - b >= overlap for a, b in pairwise(starts))
    assert len(starts) == len(set(starts))


def test_a_grid_is_of_whole_multiples() -> None:
    assert grid(192, 64) == (192, 64)
    assert grid(200, 1) == (200, 32)
    assert grid(10, 64) == (128, 64)
    assert grid(100, 24) == (96, 48)
