"""A GPU of its own for each job: leased, so that jobs side by side neither share one nor leave another idle."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tvqsr.console import say

VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL_SECONDS = 0.5
LISTED = re.compile(r"^(?P<part> +MIG .*|GPU \d+: .*)\(UUID: (?P<uuid>[^)]+)\)", re.MULTILINE)
"""A line of `nvidia-smi -L`: a GPU, or, indented, a part of the GPU above it."""


@contextmanager
def leased_gpu(gpus: int) -> Iterator[str | None]:
    """Hold one of the visible GPUs, the only one that this process then sees; yields its name, None without one.

    To be entered before torch looks for GPUs. Where all are held by other jobs of this user, it waits, and says so. The
    system frees a GPU when its holder ends in whatever way. Without `nvidia-smi` nothing is leased.
    """
    devices = visible_devices() if gpus else {}
    if not devices:
        yield None
        return
    token, lock = _free(devices)
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = token
    say(f"GPU {token} of {len(devices)}")
    try:
        yield token
    finally:
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before
        lock.release()


def visible_devices() -> dict[str, str]:
    """What `CUDA_VISIBLE_DEVICES` may be set to, to see one device alone, and that device's lasting name (UUID)."""
    uuids = _uuids()
    told = os.environ.get(VISIBLE)
    if told is None or not uuids:
        return {uuid: uuid for uuid in uuids}
    tokens = [token.strip() for token in told.split(",") if token.strip()]
    return {token: _name(token, uuids) for token in tokens}


def _name(token: str, uuids: list[str]) -> str:
    if token.isdecimal() and int(token) < len(uuids):
        return uuids[int(token)]
    return next((uuid for uuid in uuids if uuid.startswith(token)), token)


def _uuids() -> list[str]:
    """Devices of this machine by UUID: the parts of a GPU that is divided (MIG), else the GPU."""
    try:
        text = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    found: list[tuple[bool, str]] = [(line["part"].startswith(" "), line["uuid"]) for line in LISTED.finditer(text)]
    divided = [after[0] and not part for (part, _), after in zip(found, [*found[1:], (False, "")], strict=True)]
    return [uuid for (_, uuid), whole in zip(found, divided, strict=True) if not whole]


def _free(devices: dict[str, str]) -> tuple[str, FileLock]:
    """The first device that can be locked, and its lock; waits for one."""
    folder = Path(tempfile.gettempdir()) / f"tvqsr-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    locks = {token: FileLock(folder / f"{re.sub(r'[^A-Za-z0-9-]', '_', name)}.lock") for token, name in devices.items()}
    told = False
    while True:
        for token, lock in locks.items():
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            return token, lock
        if not told:
            say(f"all {len(devices)} GPUs are at work for other jobs ({folder}); waiting for one")
            told = True
        time.sleep(POLL_SECONDS)
