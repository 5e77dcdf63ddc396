"""Nearest-code search against `torch.cdist` and vector-quantize-pytorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from vector_quantize_pytorch import VectorQuantize

from tests.benchmarks.measure import in_turns
from tests.benchmarks.memory import growth
from tvqsr.nn.nearest import nearest_code

TOKENS = 65_536
SIZES = ((1024, 32), (1024, 256), (8192, 32), (8192, 256))
"""Codes, channels. Between 32 and 256 times lie between these."""


def search(device: torch.device, rounds: int, tokens: int = TOKENS) -> list[dict[str, Any]]:
    """Time, memory beyond vectors and codes, wrong indices (against float64); fp32, vectors and codes of one normal."""
    found = []
    for codes, channels in SIZES:
        torch.manual_seed(0)
        vectors, codebook = torch.randn(tokens, channels).to(device), torch.randn(codes, channels).to(device)
        library = VectorQuantize(dim=channels, codebook_size=codes, kmeans_init=False).to(device).eval()
        library._codebook.embed.data.copy_(codebook[None])
        ways = {
            "torch.cdist + argmin": lambda v=vectors, c=codebook: torch.cdist(v, c).argmin(dim=1),
            "vector-quantize-pytorch": lambda v=vectors, q=library: q(v[None])[1][0],
            "ours": lambda v=vectors, c=codebook: nearest_code(v, c),
        }
        print(f"{tokens} vectors against {codes} codes, {channels} channels")
        with torch.no_grad():
            memory = {name: growth(way, device) for name, way in ways.items()}
            times = in_turns(ways, rounds, device, memory)
            expected = _in_float64(vectors, codebook)
            for name, way in ways.items():
                times[name]["wrong"] = int((way() != expected).sum())
        print("  indices that float64 has otherwise:", {name: row["wrong"] for name, row in times.items()}, flush=True)
        found.append({"tokens": tokens, "codes": codes, "channels": channels, "ways": times})
    return found


def _in_float64(vectors: Tensor, codebook: Tensor) -> Tensor:
    return torch.cat([torch.cdist(part.double(), codebook.double()).argmin(dim=1) for part in vectors.split(2048)])
