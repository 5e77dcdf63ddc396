"""Which members of an archive are wanted, and what they are called: `DIV2K_valid_LR_bicubic/X4/{name}x4.png`."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from tvqsr.errors import UserError
from tvqsr.plan.folders import IMAGE_SUFFIXES

# A file name that is safe anywhere: no separator, no control character, and not hidden (`._1.png` is macOS's rubbish).
NAME = r"(?P<name>[^/\\\x00-\x1f.][^/\\\x00-\x1f]*)"
LONGEST_NAME = 200
"""Bytes; file systems take 255 with an ending and what is put before it."""


class Pattern:
    """A pattern over member paths, matched against the whole path.

    `{name}`, once, is the photo's name, within one part of the path. `*` is anything within a part, `**/` any parts or
    none. Case counts, but for the ending; a last `.*` is the ending of any image. Raises UserError for another text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        stem, dot, ending = text.rpartition(".")
        if text.count("{name}") != 1 or not dot or f".{ending.lower()}" not in (*IMAGE_SUFFIXES, ".*"):
            raise UserError(
                f"{text}: expected a pattern with one {{name}} and the ending of an image, as `HR/{{name}}.png`"
            )
        endings = [suffix[1:] for suffix in IMAGE_SUFFIXES] if ending == "*" else [ending]
        *folders, last = stem.split("/")
        parts = "".join("(?:[^/]+/)*" if folder == "**" else _part(folder) + "/" for folder in folders)
        self._form = re.compile(rf"{parts}{_part(last)}\.(?i:{'|'.join(map(re.escape, endings))})", re.DOTALL)

    def name(self, member: str) -> str | None:
        """The name of the photo that a member is, None if it is none."""
        found = self._form.fullmatch(member)
        if found is None or len(found["name"].encode()) > LONGEST_NAME:
            return None
        return found["name"]


def suffix_of(member: str) -> str:
    """A member's ending in lower case, with its dot."""
    return PurePosixPath(member).suffix.lower()


def _part(text: str) -> str:
    """A part of a path as a regular expression."""
    pieces = re.split(r"(\{name\}|\*)", text)
    return "".join({"{name}": NAME, "*": "[^/]*"}.get(piece, re.escape(piece)) for piece in pieces)
