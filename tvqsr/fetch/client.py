"""Asking a server, and reading what it sends: every way in which that fails is one of two faults."""

from __future__ import annotations

import email.utils
import http.client
import time
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import requests
import urllib3

from tvqsr.fetch.faults import PassingError, RefusedError
from tvqsr.fetch.retry import Pace, Patience

BLOCK = 1 << 16
NEVER_MET = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
REASONS = {401: "access refused", 403: "access refused", 404: "not there", 410: "not there any more"}
BUSY = (408, 429, 500, 502, 503, 504)


class Bearer(requests.auth.AuthBase):
    """A token for one host. As `auth`, it beats a .netrc, and a redirect to another host does not take it along."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Client:
    """Requests of one fetch."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.session = requests.Session()
        self.session.max_redirects = patience.redirects
        # The file as it is, not compressed on its way: lengths, ranges and hashes are of the file.
        self.session.headers.update({"User-Agent": "tvqsr", "Accept-Encoding": "identity"})
        self.met: set[str] = set()

    def close(self) -> None:
        """Close its connections."""
        self.session.close()

    def get(self, url: str, headers: Mapping[str, str], auth: Bearer | None = None) -> requests.Response:
        """The answer to a request, its body not yet read; whatever its status.

        Raises RefusedError or PassingError if there is none. A host that cannot be reached is waited for only if it
        answered before: without a network the user is to learn so at once.
        """
        host = urlsplit(url).netloc
        times = (self.patience.connect, self.patience.read)
        try:
            response = self.session.get(url, headers=dict(headers), auth=auth, stream=True, timeout=times)
        except requests.exceptions.TooManyRedirects:
            raise RefusedError(f"redirects more than {self.patience.redirects} times") from None
        except requests.exceptions.SSLError:
            raise RefusedError("its certificate is not accepted") from None
        except requests.exceptions.ReadTimeout:
            raise PassingError(f"no answer within {self.patience.read:g} s") from None
        except requests.exceptions.ConnectionError as error:
            if not _never_met(error):
                raise PassingError("connection cut") from None
            if host in self.met:
                raise PassingError("no connection") from None
            raise RefusedError("no connection") from None
        except requests.exceptions.ChunkedEncodingError:
            raise PassingError("connection cut") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise RefusedError(f"cannot be asked ({type(error).__name__})") from None
        self.met.add(host)
        return response

    def body(self, response: requests.Response) -> Iterator[bytes]:
        """Blocks of a body as they come, not decompressed. Raises PassingError for a cut, a stall and a slow drip."""
        pace = Pace(self.patience)
        while block := self._block(response):
            pace.add(len(block))
            yield block

    def _block(self, response: requests.Response) -> bytes:
        try:
            return response.raw.read1(BLOCK, decode_content=False)
        except urllib3.exceptions.ReadTimeoutError:
            raise PassingError(f"nothing came for {self.patience.read:g} s") from None
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
            raise PassingError("connection cut") from None


def check_status(response: requests.Response) -> None:
    """Raise RefusedError or PassingError for a status other than 200, 206 (a range) and 416 (no such range)."""
    status = response.status_code
    if status in (200, 206, 416):
        return
    if status in BUSY:
        raise PassingError(f"answers {status}", retry_after(response.headers.get("Retry-After")))
    raise RefusedError(f"answers {status}" + (f", {REASONS[status]}" if status in REASONS else ""))


def retry_after(value: str | None) -> float | None:
    """Seconds to wait, of a number or a date (RFC 9110, section 10.2.3); None where neither is given."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def is_page(response: requests.Response) -> bool:
    """Whether an answer calls itself a web page."""
    return response.headers.get("Content-Type", "").lower().startswith(("text/html", "application/xhtml"))


def begins_like_page(data: bytes) -> bool:
    """Whether a file begins as web pages do, whatever its server calls it."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:14].lower().startswith((b"<!doctype html", b"<html"))


def _never_met(error: requests.exceptions.ConnectionError) -> bool:
    """Whether no connection came about at all, in contrast to one that was cut."""
    if isinstance(error, requests.exceptions.ProxyError | requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, urllib3.exceptions.MaxRetryError) and isinstance(cause.reason, NEVER_MET)
