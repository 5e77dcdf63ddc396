"""What is fetched in these tests, what is known of it, and how patient they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tvqsr.fetch.retry import Patience
from tvqsr.plan.archive import ArchiveSpec

FILE = "photos.zip"
CONTENT = np.random.default_rng(5).bytes(300_000)
OTHER = CONTENT[::-1]
NOWHERE = ("http://127.0.0.1:9/photos.zip",)
TAGGED = {"ETag": '"one"'}
QUICK = Patience(waits=(0, 0, 0), connect=20, read=20, redirects=5)

Fetch = Callable[..., Path]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def published(*addresses: str, content: bytes = CONTENT) -> ArchiveSpec:
    return ArchiveSpec(addresses=addresses, bytes=len(content), sha256=sha256(content))


def unpublished(*addresses: str) -> ArchiveSpec:
    return ArchiveSpec(addresses=addresses)


def left(folder: Path) -> set[str]:
    """What lies there but for the empty lock."""
    return {path.name for path in folder.iterdir()} - {f".{FILE}.lock"}


WHOLE = {FILE, f"{FILE}.json"}
