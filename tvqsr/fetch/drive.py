"""Files that somebody shared on Google Drive: its confirmation page is followed, its refusals told in plain words.

How Drive answers (seen in public threads of 2024 to 2026, gdown's among them; not documented by Google): a file that is
too large for its virus scan comes behind a page with a form `download-form`, whose hidden fields (id, export, confirm,
uuid, at) make the address that gives the file. A file asked for too often gives a page `Quota exceeded` instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

import requests

from tvqsr.fetch.client import Client, check_status, is_page
from tvqsr.fetch.faults import RefusedError

DRIVE = "https://drive.usercontent.google.com"
LONGEST_PAGE = 1 << 20
"""Bytes of a page that are read; the real ones have a few thousand."""
OVER_QUOTA = (
    "quota exceeded",
    "too many users have viewed or downloaded",
    "exceeded the sharing quota",
    "download quota",
)
PRIVATE = ("you need access", "request access", "<title>sign in", "sign in - google accounts")


class DriveFile:
    """A shared file by its ID."""

    def __init__(self, file_id: str, base: str = DRIVE) -> None:
        self.url = f"{base}/download?{urlencode({'id': file_id, 'export': 'download'})}"
        self.browser = f"https://drive.google.com/file/d/{file_id}/view"

    def ask(self, client: Client, headers: Mapping[str, str]) -> requests.Response:
        """The answer that holds the file. Raises RefusedError or PassingError."""
        response = client.get(self.url, headers)
        if not is_page(response):
            check_status(response)
            return response
        page = _text(client, response)
        confirmed = confirmed_address(page, self.url)
        if confirmed is None:
            raise _refusal(response, page)
        response = client.get(confirmed, headers)
        if is_page(response):
            raise _refusal(response, _text(client, response))
        check_status(response)
        return response


def confirmed_address(page: str, base: str) -> str | None:
    """The address that a confirmation page's form leads to, None if there is no such form.

    Raises RefusedError for a form that leads to another host than `base`.
    """
    form = _Form()
    form.feed(page)
    if form.action is None:
        return None
    target = urljoin(base, form.action)
    if urlsplit(target).netloc != urlsplit(base).netloc:
        raise RefusedError(f"its confirmation page leads elsewhere ({urlsplit(target).netloc})")
    return f"{target.split('?')[0]}?{urlencode(form.fields)}"


class _Form(HTMLParser):
    """Action and hidden fields of the form `download-form`."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and found.get("id") == "download-form" and found.get("action"):
            self.action, self._inside = found["action"], True
        elif tag == "input" and self._inside and found.get("type") == "hidden" and found.get("name"):
            self.fields[str(found["name"])] = found.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"


def _text(client: Client, response: requests.Response) -> str:
    """A page, as far as it is read at all."""
    content = b""
    with response:
        for block in client.body(response):
            content += block
            if len(content) >= LONGEST_PAGE:
                break
    return content[:LONGEST_PAGE].decode("utf-8", "replace")


def _refusal(response: requests.Response, page: str) -> Exception:
    """Why Drive gives a page instead of the file."""
    words = page.lower()
    if any(phrase in words for phrase in OVER_QUOTA):
        return RefusedError(
            "Google Drive gives it to nobody for now, since too many people fetched it lately (its quota): "
            "try again in a day, or get it in a browser where you are signed in"
        )
    signs_in = urlsplit(response.url).hostname == "accounts.google.com"
    if signs_in or response.status_code in (401, 403) or any(phrase in words for phrase in PRIVATE):
        return RefusedError("Google Drive asks to sign in: the file is not shared with everybody")
    try:
        check_status(response)
    except Exception as fault:  # noqa: BLE001 (whichever of the two faults it is)
        return fault
    return RefusedError("Google Drive answers with a web page that is not known, instead of the file")
