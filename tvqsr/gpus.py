"""GPUs of its own for each job: leased, so that jobs side by side neither share one nor leave another idle."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tvqsr.console import is_helper, say
from tvqsr.errors import UserError

VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL_SECONDS = 0.5
LISTED = re.compile(r"^(?P<part> +MIG .*|GPU \d+: .*)\(UUID: (?P<uuid>[^)]+)\)", re.MULTILINE)
"""A line of `nvidia-smi -L`: a GPU, or, indented, a part of the GPU above it."""
WITHOUT_DRIVER = (9, 12)
"""Exit codes, by the manual nvidia-smi(1): its driver is not loaded, its library is not there."""


@contextmanager
def leased_gpus(count: int) -> Iterator[tuple[str, ...]]:
    """Hold so many of the visible GPUs, which are all that this process then sees; yields their names.

    To be entered before torch looks for GPUs. While other jobs of this user hold too many, it waits, and says so. The
    system frees a GPU when its holder ends in whatever way. Without `nvidia-smi` nothing is leased, and by a process
    that helps another with a training neither: what that one leased is all that it sees. Raises UserError where the
    machine has fewer, or `nvidia-smi` fails.
    """
    devices = visible_devices() if count and not is_helper() else {}
    if not devices:
        yield ()
        return
    if len(devices) < count:
        raise UserError(f"runtime: {count} GPUs wanted for one job, {len(devices)} to be seen; lower `processes`")
    held = _free(devices, count)
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = ",".join(held)
    say(f"GPU {', '.join(held)} of {len(devices)}")
    try:
        yield tuple(held)
    finally:
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before
        _release(held)


def visible_devices() -> dict[str, str]:
    """What `CUDA_VISIBLE_DEVICES` may be set to, to see one device alone, and that device's lasting name (UUID)."""
    told = os.environ.get(VISIBLE)
    uuids = [] if told == "" else _uuids()
    if told is None or not uuids:
        return {uuid: uuid for uuid in uuids}
    found: dict[str, str] = {}
    for token in (token.strip() for token in told.split(",")):
        names = _named_by(token, uuids)
        if len(names) != 1:
            break  # as CUDA does: what is no device hides all that follow
        found[token] = names[0]
    return found


def _named_by(token: str, uuids: list[str]) -> list[str]:
    """The devices that an element of `CUDA_VISIBLE_DEVICES` may mean: a number, or the beginning of a UUID."""
    if token.isdecimal():
        return uuids[int(token) :][:1]
    return [uuid for uuid in uuids if token and uuid.startswith(token)]


def _uuids() -> list[str]:
    """Devices of this machine by UUID: the parts of a GPU that is divided (MIG), else the GPU."""
    text = _listing()
    found: list[tuple[bool, str]] = [(line["part"].startswith(" "), line["uuid"]) for line in LISTED.finditer(text)]
    if not found:
        return []
    divided = [after[0] and not part for (part, _), after in zip(found, [*found[1:], (False, "")], strict=True)]
    return [uuid for (_, uuid), whole in zip(found, divided, strict=True) if not whole]


def _listing() -> str:
    """What `nvidia-smi -L` says; nothing where it is not, or says that there is no GPU.

    Raises UserError where it fails otherwise, as when a GPU was lost: jobs that lease none would all take the first.
    """
    if shutil.which("nvidia-smi") is None:
        return ""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unknown(str(error)) from None
    if done.returncode in WITHOUT_DRIVER or "No devices were found" in done.stdout:
        return ""
    if done.returncode:
        raise _unknown(f"exit code {done.returncode}, {done.stdout} {done.stderr}")
    return done.stdout


def _unknown(why: str) -> UserError:
    return UserError(
        f"nvidia-smi -L: {' '.join(why.split())}; which GPUs there are is not known, so none can be leased: repair it, "
        f"or go on without GPUs by `{VISIBLE}=` before the command"
    )


def _free(devices: dict[str, str], count: int) -> dict[str, FileLock]:
    """The first devices that can be locked, with their locks; waits until there are enough, holding none meanwhile."""
    folder = Path(tempfile.gettempdir()) / f"tvqsr-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    locks = {token: FileLock(folder / f"{re.sub(r'[^A-Za-z0-9-]', '_', name)}.lock") for token, name in devices.items()}
    told = False
    while True:
        held: dict[str, FileLock] = {}
        for token, lock in locks.items():
            if len(held) < count and _acquired(lock):
                held[token] = lock
        if len(held) == count:
            return held
        _release(held)
        if not told:
            busy = f"{len(devices) - len(held)} of {len(devices)} GPUs"
            without = f"on the CPU with `{VISIBLE}=` before the command"
            say(f"{busy} are at work for other jobs ({folder}); waiting for {count}; {without}")
            told = True
        # Of unequal length, so that two that want several do not keep one another from them.
        time.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 (no secret)


def _acquired(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _release(held: dict[str, FileLock]) -> None:
    for lock in held.values():
        lock.release()
