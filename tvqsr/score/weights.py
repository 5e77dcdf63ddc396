"""Fetching the weights that metrics need.

The libraries would fetch theirs; here what is fetched is checked, an interrupted file is never taken for a whole one,
and nothing is fetched unless the preset allows it.
"""

from __future__ import annotations

from tvqsr.console import say
from tvqsr.files import sha256, written_beside
from tvqsr.plan.protocols import ABSENT, WeightFile, absent


def fetch(protocol: str) -> str | None:
    """Fetch what a protocol's weights lack: why it cannot be had, or None when all is here."""
    for file in absent(protocol):
        say(f"fetching {file.url}")
        try:
            _fetch(file)
        except OSError as error:
            why = " ".join(str(error).split())[:200]
            return f"{ABSENT}: {file}; put the file there by hand, since {file.url} cannot be fetched ({why})"
    return None


def _fetch(file: WeightFile) -> None:
    import pooch

    with written_beside(file.target) as beside:
        pooch.HTTPDownloader(timeout=60, progressbar=False)(file.url, beside, None)
        found = sha256(beside)
        if not found.startswith(file.sha256):
            raise OSError(f"it has SHA-256 {found[:16]}, expected {file.sha256[:16]}")
