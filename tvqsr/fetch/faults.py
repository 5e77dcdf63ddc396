"""What may go wrong with one address, for good or for a while; and what only the user can unpack."""

from __future__ import annotations

from tvqsr.errors import UserError


class RefusedError(Exception):
    """An address will not give the file, however often it is asked: the next mirror is tried. Its text is short."""


class PassingError(Exception):
    """An attempt failed for a reason that may pass: it is tried again, after `after` seconds if the server said so."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class ByHandError(UserError):
    """An archive that must be unpacked by hand; where to is added by who knows."""
