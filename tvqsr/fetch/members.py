"""Members of a zip or tar, one after the other, read only; whatever is wrong with the archive is told as UserError."""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

from tvqsr.errors import UserError
from tvqsr.fetch.bounds import Bounds
from tvqsr.fetch.client import begins_like_page
from tvqsr.fetch.faults import ByHandError

OTHER_KINDS = {b"Rar!\x1a\x07": "RAR", b"7z\xbc\xaf\x27\x1c": "7-Zip"}
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, ValueError)

EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_END: type[tarfile.HeaderError] = vars(tarfile)["EOFHeaderError"]
"""What marks the end of a tar: a block of zeros. The kinds of `HeaderError` are not in typeshed."""
LONGEST_HEADER = 1 << 20
"""Bytes of a tar's extended header, which holds a path: `tarfile` reads into memory whatever length it declares."""


@dataclass(frozen=True)
class Member:
    """A file in an archive; its path is only ever compared, never followed."""

    path: str
    size: int
    """Bytes that it declares."""
    oddity: str | None
    """Why it must not be unpacked: `a link`, `encrypted`, ...; None for a plain file."""
    open: Callable[[], IO[bytes]]


def members(archive: Path) -> Iterator[Member]:
    """All members but folders. Raises UserError for what is no archive, damaged, or out of bounds."""
    with archive.open("rb") as file:
        start = file.read(16)
    for magic, kind in OTHER_KINDS.items():
        if start.startswith(magic):
            raise ByHandError(f"{archive}: is a {kind} archive, which Python does not read")
    if begins_like_page(start):
        raise UserError(f"{archive}: is a web page and no archive; delete it and fetch it again")
    bounds = Bounds(archive)
    with told(archive):
        for member in _zipped(archive) if start.startswith(b"PK") else _tarred(archive):
            bounds.count(member.size)
            yield member


@contextmanager
def told(archive: Path) -> Iterator[None]:
    """What is wrong with an archive, in one line with its name. Errors of writing are not for here."""
    try:
        yield
    except NotImplementedError as error:
        # So zipfile tells of compressions that it does not know (Deflate64, say).
        raise ByHandError(f"{archive}: is packed in a way that Python does not read ({error})") from None
    except DAMAGED as error:
        # tarfile tells of every kind that it tried, a line each.
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        raise UserError(
            f"{archive}: is damaged, cut short or no archive ({reason}); delete it and fetch it again"
        ) from None


def _zipped(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as content:
        for info in content.infolist():
            if info.is_dir():
                continue
            # Zips made on Windows may have its separators.
            path = info.filename.replace("\\", "/")
            mode = info.external_attr >> 16
            oddity = "encrypted" if info.flag_bits & 1 else "a link" if stat.S_ISLNK(mode) else None
            yield Member(path, info.file_size, oddity or _odd(path), partial(content.open, info))


def _tarred(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive, tarinfo=_Header) as content:
        # `next`, and not iteration, so that a million members need not be kept.
        while (info := content.next()) is not None:
            setattr(content, "members", [])  # noqa: B010 (typeshed leaves it out)
            if info.isdir():
                continue
            oddity = "a link" if info.islnk() or info.issym() else None if info.isreg() else "no plain file"
            yield Member(info.name, info.size, oddity or _odd(info.name), partial(_plain, content, info))


class _Header(tarfile.TarInfo):
    """A header that is bounded, and whose damage is told: tarfile takes a damaged one, and a missing, for the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if isinstance(error, _END):
                raise
            raise tarfile.ReadError(str(error)) from None

    # The method that tarfile's source names for overriding.
    def _proc_member(self, tarfile_: tarfile.TarFile) -> Any:
        if self.type in EXTENDED and self.size > LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(tarfile_)  # type: ignore[misc]  # left out of typeshed


def _plain(content: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = content.extractfile(info)
    assert file is not None
    return file


def _odd(path: str) -> str | None:
    if path.startswith("/"):
        return "an absolute path"
    return "a path that leads outside" if ".." in path.split("/") else None
