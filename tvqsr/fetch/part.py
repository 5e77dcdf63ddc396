"""The part of a file that is here already, and what tells whether the rest still belongs to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.fetch.expected import Expected
from tvqsr.fetch.swap import swap_json
from tvqsr.files import read_json


@dataclass(frozen=True)
class Origin:
    """Where a part is from, and its validators there (RFC 9110, section 8.8)."""

    address: str
    total: int | None
    etag: str | None
    modified: str | None

    @property
    def validator(self) -> str | None:
        """For If-Range, which takes no weak ETag (RFC 9110, section 13.1.5)."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def may_be(self, other: Origin) -> bool:
        """Whether nothing tells the two files apart; validators of different addresses tell nothing."""
        told = ("total", "etag", "modified") if self.address == other.address else ("total",)
        pairs = [(getattr(self, name), getattr(other, name)) for name in told]
        return all(mine == theirs for mine, theirs in pairs if None not in (mine, theirs))


class Part:
    """`.FILE.part` and, beside it, `.FILE.part.json` with its origin; used under the lock of the file."""

    def __init__(self, archive: Path) -> None:
        self.path = archive.with_name(f".{archive.name}.part")
        self.note = archive.with_name(f".{archive.name}.part.json")

    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def origin(self) -> Origin | None:
        """Where the part is from; None if that is not known."""
        try:
            return Origin(**read_json(self.note)) if self.note.is_file() else None
        except (UserError, TypeError):
            # Nothing is lost but a part of unknown origin: it is fetched anew.
            return None

    def begin(self, origin: Origin) -> None:
        """Start anew. The note is written first, so that no part lies beside the note of another."""
        self.discard()
        swap_json(self.note, asdict(origin))
        self.path.touch()

    def discard(self) -> None:
        """Remove part and note."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    @property
    def exists(self) -> bool:
        return self.path.exists() or self.note.exists()

    def is_whole(self) -> bool:
        """Whether all that was announced is here."""
        origin = self.origin()
        return origin is not None and origin.total is not None and self.path.is_file() and self.size() == origin.total

    def headers(self, address: str, expected: Expected) -> dict[str, str]:
        """Request headers for the rest of the file; none where it must be fetched from its beginning.

        Without a validator of that address, or at another mirror, only a hash can tell that the rest belongs to it.
        """
        origin, size = self.origin(), self.size()
        if origin is None or size == 0 or (origin.total is not None and size > origin.total):
            return {}
        asked = {"Range": f"bytes={size}-"}
        if origin.address == address and origin.validator:
            return asked | {"If-Range": origin.validator}
        return asked if expected.has_hash else {}
