"""The lock that a killed Snakemake leaves: taken off where the one that held it is known to be gone.

Snakemake's lock names files, not who locked them, so that a run after `kill -9` or a power cut is refused until
somebody says `--unlock`. Whoever begins here notes beside its own locks who it is; only those are ever taken off.

And the lock that no other Snakemake takes off: where one ends, Snakemake removes those of all that run in its folder.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tvqsr.errors import UserError
from tvqsr.files import read_json, sha256, write_json

LOCKS = Path(".snakemake") / "locks"
"""In Snakemake's working directory: a file `<number>.input.lock` and one `<number>.output.lock` for each that runs."""


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


HELD: list[FileLock] = []
"""By this process, for as long as it lives: a lock is let go with its object."""


def hold(results: Path) -> None:
    """Be the only Snakemake at a results folder until this process ends, in whatever way.

    Raises UserError if another one is, or if nothing can be written there.
    """
    lock = FileLock(results / ".snakemake.lock")
    try:
        results.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{results}: another Snakemake works in it; wait until it has ended, or stop it first"
        ) from None
    except OSError as error:
        raise UserError(f"{results}: cannot be written to ({error.strerror or error}); make it writable") from None
    HELD.append(lock)


def this_process() -> Process | None:
    """The calling process; None where the system does not tell (no Linux)."""
    started = _start_of(os.getpid())
    # Machines of one name that share a disk exist; of one name and number, hardly.
    host = f"{socket.gethostname()} {_read(Path('/etc/machine-id')).strip()}"
    return Process(host, _boot(), _namespace(), os.getpid(), started) if started else None


def note_holder(files: Mapping[str, Iterable[str]]) -> None:
    """Called while Snakemake holds its locks: note beside each who this is.

    `files` are what it locked, by kind (`input`, `output`): by them its locks are told from those of others, which may
    have come at any time.
    """
    me, wanted = this_process(), {kind: set(names) for kind, names in files.items()}
    if me is None:
        return
    for lock in locks():
        other = _noted(lock)
        # Two may read the same files; the lock of one that was here before is not this one's.
        ours = set(_read(lock).splitlines()) == wanted.get(lock.name.split(".")[1])
        if ours and not (other and other.place == me.place and other.lives):
            write_json(holder_of(lock), {"process": asdict(me), "lock": sha256(lock)})


def take_off_stale_lock() -> str:
    """Take off locks whose holder is known to be gone; tells in words what was done, empty if nothing was.

    A lock stays whose holder lives, is on another machine or in another container, or is not known.
    """
    me, gone = this_process(), None
    if me is None:
        return ""
    for lock in locks():
        holder = _noted(lock)
        if holder and holder.place == me.place and not holder.lives:
            # In this order: a note that outlived its lock would be of the next lock with the same files.
            holder_of(lock).unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
            gone = holder
    return f"the lock of a Snakemake that was killed (process {gone.number}) was taken off" if gone else ""


def locks() -> list[Path]:
    """Every lock that is there."""
    return sorted(LOCKS.glob("*.lock"))


def holder_of(lock: Path) -> Path:
    """Where it is noted who holds a lock: Snakemake removes its folder of locks as a whole."""
    return lock.with_suffix(".holder")


def _noted(lock: Path) -> Process | None:
    try:
        noted = read_json(holder_of(lock))
        return Process(**noted["process"]) if noted["lock"] == sha256(lock) else None
    except (OSError, UserError, KeyError, TypeError, ValueError):
        return None


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
