"""Fetching the weights that metrics need.

The libraries would fetch theirs; here what is fetched is checked, an interrupted file is gone on with and never taken
for a whole one, and nothing is fetched unless the preset allows it.
"""

from __future__ import annotations

from tvqsr.console import say
from tvqsr.fetch.archive import NotFetchedError, fetch_archive
from tvqsr.fetch.retry import Patience
from tvqsr.plan.archive import ArchiveSpec
from tvqsr.plan.protocols import ABSENT, WeightFile, absent

PATIENCE = Patience(waits=(1, 4))
"""Less than for photos: scoring goes on without, and tells what is missing."""


def fetch(protocol: str) -> str | None:
    """Fetch what a protocol's weights lack: why it cannot be had, or None when all is here.

    Raises UserError where the disk is full.
    """
    for file in absent(protocol):
        try:
            _fetch(file)
        except NotFetchedError as error:
            why = f"it cannot be fetched from {error.failures}"
        except OSError as error:
            why = f"it cannot be written ({error.strerror})"
        else:
            continue
        return f"{ABSENT}: {file}; put the file there by hand, since {why}"
    return None


def _fetch(file: WeightFile) -> None:
    spec = ArchiveSpec(addresses=(file.url,), sha256=file.sha256 or None)
    fetch_archive(file.target.name, spec, file.target.parent, say, patience=PATIENCE)
