"""Writing files so that a reader never meets half of one: beside, then renamed into place."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tvqsr.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk, a quota or a file that can take no more."""
HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
"""This machine in the name of what is being written: of a shared folder's processes, only its own can be asked for."""
LEFTOVER = re.compile(r"\..+\.(?P<process>\d+)@(?P<host>[0-9a-f]{8})\.part", re.DOTALL)
"""Names that `written_beside` gives."""
FORSAKEN = 24 * 3600
"""Seconds: no step writes to a file so seldom, and clocks of machines that share a folder do not differ by so much."""
DIGEST_BYTES = 32
"""Sealed bytes are their SHA-256, then themselves: damage is seen before they are parsed."""
SEAL = "content_sha256"
"""Under what JSON that a step wrote holds the digest of all else in it."""


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`, renamed to it on success and removed on failure.

    What was written is on the disk before it gets its name: a power cut leaves the old file or the new one.
    Raises UserError if the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}@{HOST}.part")
    try:
        yield beside
        with beside.open("rb+") as written:
            os.fsync(written.fileno())
        beside.replace(path)
    except OSError as error:
        if error.errno not in FULL:
            raise
        why = os.strerror(error.errno)
        raise UserError(f"{path.parent}: has no room for what is written there ({why}); make room") from None
    finally:
        beside.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what `written_beside` left in a folder when its process was killed.

    That of running processes stays. Those of other machines nobody can see from here: theirs goes when nothing was
    written to it for `FORSAKEN` seconds.
    """
    for path in folder.glob(".*.part"):
        name = LEFTOVER.fullmatch(path.name)
        if name and (not _runs(int(name["process"])) if name["host"] == HOST else _is_forsaken(path)):
            path.unlink(missing_ok=True)


def _is_forsaken(path: Path) -> bool:
    """Whether nobody writes to a file any more, as far as its age tells; not of one that is gone meanwhile."""
    try:
        return time.time() - path.stat().st_mtime > FORSAKEN
    except FileNotFoundError:
        return False


def _runs(process: int) -> bool:
    """Whether another process of that id runs; this one knows what it is writing."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text in one step."""
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_sealed(path: Path, content: bytes | memoryview) -> None:
    """Write bytes behind their digest, in one step."""
    with written_beside(path) as beside, beside.open("wb") as file:
        file.write(hashlib.sha256(content).digest())
        file.write(content)


def read_sealed(path: Path) -> memoryview | None:
    """What `write_sealed` wrote; None if it is damaged, or something else. Raises OSError if it cannot be read."""
    stored = memoryview(path.read_bytes())
    digest, content = stored[:DIGEST_BYTES], stored[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON in one step; NaN and infinities are refused, since they are not JSON.

    An object ends with the digest of its content, without which a damaged digit would be as good as any other.
    """
    if isinstance(value, dict):
        value = value | {SEAL: content_digest(value)}
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON that a step of ours wrote, without its digest.

    Raises UserError if it is missing or damaged, or is not what was written. Without a digest (of an earlier version,
    written by hand) it is taken as it is.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: missing; run the step that writes it (`snakemake` does so by itself)") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged ({error}); delete it and run snakemake again") from None
    if isinstance(value, dict) and not _is_whole(value):
        raise UserError(
            f"{path}: damaged, or changed by hand (its content is not that of its {SEAL}); "
            f"delete it and run snakemake again"
        )
    return value


def _is_whole(value: dict[str, Any]) -> bool:
    """Whether the digest that JSON carries, which is taken out, is of all else in it; true if it carries none."""
    if SEAL in value:
        return bool(value.pop(SEAL) == content_digest(value))
    # Damage to the digest's own name would leave a key that nobody wrote.
    last = next(reversed(value), "")
    rest = {key: inner for key, inner in value.items() if key != last}
    return not (len(last) == len(SEAL) and value[last] == content_digest(rest))


def content_digest(value: Any) -> str:
    """Hex SHA-256 of what JSON says of a value, whatever the order of its keys and its layout."""
    plain = json.loads(json.dumps(value))
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
