"""An HTTP server on this machine that answers as a script says: well, or as badly as real ones do."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Answer:
    """What one request is answered with."""

    body: bytes = b""
    status: int = 200
    """0: the connection is closed without an answer."""
    headers: dict[str, str] = field(default_factory=dict)
    """ETag and Last-Modified are what If-Range is compared with."""
    ranges: bool = True
    """Whether Range is honoured."""
    minds_if_range: bool = True
    cut: int | None = None
    """Bytes of the body after which the connection is closed."""
    length: int | None = None
    """What Content-Length says, if not the truth."""
    framing: str = "length"
    """`length`, `chunked`, or `close` (the body ends with the connection)."""
    block: int = 1 << 16
    pause: float = 0.0
    """Seconds between blocks."""


@dataclass(frozen=True)
class Request:
    """What was asked."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class FaultyServer:
    """Answers by path: a list is worked through, and its last answer repeated; a function is asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer] | Callable[[Request], Answer]] = {}
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True
        self.address = f"http://{HOST}:{self._server.server_port}"

    def url(self, path: str) -> str:
        return self.address + path

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def next(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            script = self.answers.get(request.path, [Answer(b"no such page", 404)])
            if callable(script):
                return script(request)
            return script.pop(0) if len(script) > 1 else script[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                request = Request(parts.path, query, {key.lower(): value for key, value in self.headers.items()})
                self.close_connection = True
                with contextlib.suppress(ConnectionError):
                    answer = owner.next(request)
                    if answer.status:
                        self._give(answer, request)

            def _give(self, answer: Answer, request: Request) -> None:
                status, body, extra = ranged(answer, request)
                self.send_response(status)
                length = answer.length if answer.length is not None else len(body)
                framing = {"length": ("Content-Length", str(length)), "chunked": ("Transfer-Encoding", "chunked")}
                headers = dict([framing[answer.framing]]) if answer.framing in framing else {}
                for name, value in (headers | answer.headers | extra | {"Connection": "close"}).items():
                    self.send_header(name, value)
                self.end_headers()
                chunked = answer.framing == "chunked"
                for block in _blocks(body[: answer.cut], answer):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
                    self.wfile.flush()
                if chunked and answer.cut is None:
                    self.wfile.write(b"0\r\n\r\n")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name upstream)
                """Nothing: the tests look at `requests`."""

        return Handler

    def __enter__(self) -> FaultyServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def ranged(answer: Answer, request: Request) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers by RFC 9110: the whole, the rest, or 416."""
    wanted = request.headers.get("range")
    condition = request.headers.get("if-range")
    validators = [answer.headers.get(name) for name in ("ETag", "Last-Modified")]
    stale = condition is not None and condition not in validators and answer.minds_if_range
    if answer.status != 200 or wanted is None or not answer.ranges or stale:
        return answer.status, answer.body, {}
    start, whole = int(wanted.removeprefix("bytes=").removesuffix("-")), len(answer.body)
    if start >= whole:
        return 416, b"", {"Content-Range": f"bytes */{whole}"}
    return 206, answer.body[start:], {"Content-Range": f"bytes {start}-{whole - 1}/{whole}"}


def _blocks(body: bytes, answer: Answer) -> Iterator[bytes]:
    for start in range(0, len(body), answer.block):
        if start:
            time.sleep(answer.pause)
        yield body[start : start + answer.block]
