"""One attempt to get a file, or the rest of it, from one place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

import requests

from tvqsr.fetch.address import Place
from tvqsr.fetch.client import Client, begins_like_page
from tvqsr.fetch.expected import Expected
from tvqsr.fetch.faults import PassingError, RefusedError
from tvqsr.fetch.part import Origin, Part
from tvqsr.fetch.progress import Progress, size
from tvqsr.fetch.space import check_room
from tvqsr.fetch.sums import Summing, Sums


@dataclass(frozen=True)
class Received:
    """What is now in the part; `resumed` if its bytes came in more than one answer."""

    sums: Sums
    resumed: bool


@dataclass(frozen=True)
class Transfer:
    """A file on its way into its part."""

    name: str
    part: Part
    expected: Expected
    client: Client
    report: Callable[[str], None]

    def attempt(self, address: str, place: Place) -> Received:
        """Make the part whole.

        Raises PassingError, RefusedError, or UserError where the disk is full.
        """
        if self.part.is_whole():
            return self._already_whole()
        asked = self.part.headers(address, self.expected)
        with place.ask(self.client, asked) as response:
            if response.status_code == 416:
                return self._past_the_end(response, bool(asked))
            start, total = self._span(response, address, bool(asked))
            if start == 0:
                check_room(self.part.path.parent, total or self.expected.bytes or 0, self.name)
                self.part.begin(_origin(response, address, total))
            else:
                check_room(self.part.path.parent, (total or start) - start, self.name)
            return Received(self._stream(response, start, total), start > 0)

    def _already_whole(self) -> Received:
        self.report(f"{self.name}: all is here, checking it ({size(self.part.size())})")
        return Received(self._summing().sums(), resumed=True)

    def _past_the_end(self, response: requests.Response, asked: bool) -> Received:
        """The server has nothing after what is here: it is either whole or of another file."""
        end = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
        origin = self.part.origin()
        announced = origin.total if origin else None
        if end and int(end[1]) == self.part.size() and announced is None:
            return self._already_whole()
        self.part.discard()
        if asked:
            raise PassingError("no longer has a file of that length; starting again")
        raise RefusedError("answers 416")

    def _span(self, response: requests.Response, address: str, asked: bool) -> tuple[int, int | None]:
        """The byte that an answer starts at, and the length of the file. Raises if they do not fit what is here."""
        if response.status_code == 200:
            start, total = 0, _length(response)
        else:
            start, total = self._range(response, address, asked)
        wanted = self.expected.bytes
        if total is not None and wanted is not None and total != wanted:
            raise RefusedError(f"has {total} bytes instead of {wanted}{self.expected.first_seen or ''}")
        bounded = total is not None or response.headers.get("Transfer-Encoding", "").lower() == "chunked"
        if not bounded and wanted is None and not self.expected.has_hash:
            raise RefusedError("does not say how long the file is, so that a cut would not be seen")
        return start, total

    def _range(self, response: requests.Response, address: str, asked: bool) -> tuple[int, int | None]:
        """The same of a range. It must go on where the part ends, in the same file: not every server minds If-Range."""
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        start = int(found[1]) if found else -1
        total = int(found[2]) if found and found[2] != "*" else None
        here, origin = (self.part.size(), self.part.origin()) if asked else (0, None)
        if start != here or (origin and not origin.may_be(_origin(response, address, total))):
            self.part.discard()
            raise PassingError("answers with another range or another file; starting again")
        return start, total or (origin.total if origin else None)

    def _summing(self) -> Summing:
        """Sums of what is here."""
        summing = Summing(with_md5=self.expected.md5 is not None)
        summing.add_file(self.part.path)
        return summing

    def _stream(self, response: requests.Response, start: int, total: int | None) -> Sums:
        """Append a body to the part, and check its length. Returns the sums of the whole file."""
        if start:
            self.report(f"{self.name}: going on after {size(start)}")
        summing, progress = self._summing(), Progress(self.name, start, total, self.report)
        longest = total if total is not None else self.expected.bytes
        with self.part.path.open("ab") as file:
            for block in self.client.body(response):
                if summing.bytes == 0 and begins_like_page(block):
                    raise RefusedError("answers with a web page instead of the file")
                summing.add(block)
                if longest is not None and summing.bytes > longest:
                    self.part.discard()
                    raise RefusedError(f"sends more than {longest} bytes")
                file.write(block)
                progress.show(summing.bytes)
            file.flush()
            os.fsync(file.fileno())
        if longest is not None and summing.bytes < longest:
            raise PassingError(f"connection cut after {summing.bytes} of {longest} bytes")
        return summing.sums()


def _length(response: requests.Response) -> int | None:
    value = response.headers.get("Content-Length", "")
    chunked = "Transfer-Encoding" in response.headers
    return int(value) if value.isdecimal() and not chunked else None


def _origin(response: requests.Response, address: str, total: int | None) -> Origin:
    return Origin(address, total, response.headers.get("ETag"), response.headers.get("Last-Modified"))
