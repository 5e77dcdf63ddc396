"""Addresses of the catalogue, and how each kind is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import requests

from tvqsr.errors import UserError
from tvqsr.fetch.client import Client, check_status, is_page
from tvqsr.fetch.drive import DRIVE, DriveFile
from tvqsr.fetch.faults import RefusedError
from tvqsr.fetch.hub import hub_file


class Place(Protocol):
    """Where a file is."""

    @property
    def browser(self) -> str:
        """The address at which a person finds it."""

    def ask(self, client: Client, headers: Mapping[str, str]) -> requests.Response:
        """The answer that holds the file, or says that there is no such range of it.

        Raises RefusedError or PassingError.
        """


class WebFile:
    """A file behind a plain address."""

    def __init__(self, url: str) -> None:
        self.browser = url

    def ask(self, client: Client, headers: Mapping[str, str]) -> requests.Response:
        response = client.get(self.browser, headers)
        check_status(response)
        if is_page(response):
            raise RefusedError("answers with a web page instead of the file")
        return response


def place_of(address: str, drive: str = DRIVE) -> Place:
    """What an address of the catalogue stands for; `drive` is where Google Drive is asked. Raises UserError."""
    kind, _, rest = address.partition(":")
    if kind in ("http", "https"):
        return WebFile(address)
    if kind == "drive" and rest:
        return DriveFile(rest, drive)
    if kind == "hub":
        return hub_file(rest)
    raise UserError(
        f"{address}: no address that is known; expected https://..., drive:ID or hub:OWNER/NAME/PATH@REVISION"
    )
