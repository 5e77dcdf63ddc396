"""The lock that a killed Snakemake leaves: taken off where the one that held it is known to be gone.

Snakemake's lock names files, not who locked them, so that a run after `kill -9` or a power cut is refused until
somebody says `--unlock`. Whoever begins here notes who it is; only the very locks that it held are ever taken off.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.files import read_json, sha256, write_json

LOCKS = Path(".snakemake") / "locks"
HOLDER = Path(".snakemake") / "tvqsr_holder.json"
"""Both in Snakemake's working directory."""


@dataclass(frozen=True)
class Process:
    """A process among all that ever were: process numbers come again, in another container or after a boot."""

    host: str
    boot: str
    namespace: str
    number: int
    started: str
    """In ticks after the boot."""

    @property
    def place(self) -> tuple[str, str]:
        return self.host, self.namespace

    @property
    def lives(self) -> bool:
        """Whether it is there still, if this is its machine and container."""
        return self.boot == _boot() and self.started == _start_of(self.number)


def this_process() -> Process | None:
    """The calling process; None where the system does not tell (no Linux)."""
    started = _start_of(os.getpid())
    # Machines of one name that share a disk exist; of one name and number, hardly.
    host = f"{socket.gethostname()} {_read(Path('/etc/machine-id')).strip()}"
    return Process(host, _boot(), _namespace(), os.getpid(), started) if started else None


def note_holder(others: Mapping[str, str]) -> None:
    """Called while Snakemake holds its locks: note them, but for those of others that were there, and who this is."""
    if me := this_process():
        mine = {name: content for name, content in locks().items() if name not in others}
        write_json(HOLDER, {"process": asdict(me), "locks": mine})


def take_off_stale_lock() -> str:
    """Take off locks whose holder is known to be gone; tells in words what was done, empty if nothing was.

    A lock stays whose holder lives, is on another machine or in another container, or is not known.
    """
    held = locks()
    me = this_process()
    if not held or me is None or not HOLDER.is_file():
        return ""
    try:
        noted = read_json(HOLDER)
        holder, its_own = Process(**noted["process"]), dict(noted["locks"])
    except (UserError, KeyError, TypeError, ValueError):
        return ""
    if holder.place != me.place or holder.lives or not its_own.items() <= held.items():
        return ""
    for name in its_own:
        (LOCKS / name).unlink(missing_ok=True)
    HOLDER.unlink(missing_ok=True)
    return f"the lock of a Snakemake that was killed (process {holder.number}) was taken off"


def locks() -> dict[str, str]:
    """Name and content's hash of every lock that is there."""
    return {path.name: sha256(path) for path in sorted(LOCKS.glob("*.lock"))}


def _boot() -> str:
    return _read(Path("/proc/sys/kernel/random/boot_id")).strip()


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _start_of(number: int) -> str:
    """When a process started; empty if there is none. A name in its parentheses may hold blanks."""
    fields = _read(Path(f"/proc/{number}/stat")).rpartition(")")[2].split()
    dead = not fields or fields[0] in "ZX"
    return "" if dead else fields[19]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
