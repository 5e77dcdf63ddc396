"""Fetching an archive from servers that fail in every way that is known."""

from __future__ import annotations

import datetime
import email.utils
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fetch.faulty_server import Answer, FaultyServer
from tests.fetch.served import CONTENT, FILE, QUICK, TAGGED, WHOLE, Fetch, left, published, sha256, unpublished
from tvqsr.errors import UserError
from tvqsr.fetch.archive import fetch_archive
from tvqsr.fetch.client import retry_after
from tvqsr.fetch.retry import Patience


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(CONTENT + b"more"), f"has {len(CONTENT) + 4} bytes instead of {len(CONTENT)}"),
        (Answer(CONTENT[:-4]), f"has {len(CONTENT) - 4} bytes instead of {len(CONTENT)}"),
        (Answer(CONTENT + b"more", framing="chunked"), f"sends more than {len(CONTENT)} bytes"),
        (Answer(CONTENT[:-4], length=len(CONTENT), ranges=False), "connection cut; tried 4 times"),
        (Answer(CONTENT, length=len(CONTENT) - 4), f"has {len(CONTENT) - 4} bytes instead"),
        (
            Answer(CONTENT[:-4], framing="close", ranges=False),
            "connection cut after 299996 of 300000 bytes; tried 4 times",
        ),
        (Answer(CONTENT, length=10**15), f"has {10**15} bytes instead"),
        (Answer(status=403), r"answers 403, access refused"),
        (Answer(status=404), r"answers 404, not there"),
        (Answer(status=204), r"answers 204"),
        (Answer(status=416), r"answers 416"),
        (Answer(status=500), r"answers 500; tried 4 times"),
        (Answer(status=429, headers={"Retry-After": "4000"}), r"answers 429; asks to come back in 1:06:40"),
        (Answer(status=302, headers={"Location": "/a"}), r"redirects more than 5 times"),
        (Answer(status=302, headers={"Location": "file:///etc/passwd"}), r"cannot be asked \(InvalidSchema\)"),
        (Answer(b"<p>Hi", headers={"Content-Type": "text/html"}), "answers with a web page instead of the file"),
        (Answer(b" <!DOCTYPE html><p>" + CONTENT[:-19]), "answers with a web page instead of the file"),
    ],
)
def test_an_address_that_fails_is_named_with_the_reason(
    server: FaultyServer, fetch: Fetch, folder: Path, answer: Answer, reason: str
) -> None:
    server.answers["/a"] = [answer]
    with pytest.raises(UserError, match=reason) as raised:
        fetch(published(server.url("/a")))
    assert FILE not in left(folder)
    text = str(raised.value)
    assert "\n" not in text and server.url("/a") in text
    assert f"put it at {folder / FILE} ({len(CONTENT)} bytes, sha256 {sha256(CONTENT)})" in text
    server.answers["/b"] = [Answer(CONTENT)]
    assert fetch(published(server.url("/a"), server.url("/b"))).read_bytes() == CONTENT
    assert left(folder) == WHOLE


def test_what_may_pass_is_tried_again(server: FaultyServer, fetch: Fetch) -> None:
    server.answers["/a"] = [Answer(status=500), Answer(status=0), Answer(status=503), Answer(CONTENT)]
    assert fetch(published(server.url("/a"))).read_bytes() == CONTENT


def test_a_connection_closed_before_any_answer_is_tried_again(server: FaultyServer, fetch: Fetch) -> None:
    server.answers["/a"] = [Answer(status=0), Answer(CONTENT)]
    assert fetch(published(server.url("/a"))).read_bytes() == CONTENT


def test_what_will_not_pass_is_asked_for_once(server: FaultyServer, fetch: Fetch) -> None:
    for status in (403, 404):
        server.answers[f"/{status}"] = [Answer(status=status), Answer(CONTENT)]
        with pytest.raises(UserError):
            fetch(unpublished(server.url(f"/{status}")))
        assert len(server.asked(f"/{status}")) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(server: FaultyServer, fetch: Fetch, said: list[str], status: int) -> None:
    slept: list[float] = []
    server.answers["/a"] = [Answer(status=status, headers={"Retry-After": "7"}), Answer(status=status), Answer(CONTENT)]
    fetch(published(server.url("/a")), replace(QUICK, waits=(1, 3), sleep=slept.append))
    assert slept == [7, 3]
    assert f"{FILE}: answers {status}; trying again in 7 s" in said


def test_retry_after_may_be_a_date() -> None:
    date = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=100))
    waits = retry_after(date)
    assert waits is not None and 90 < waits <= 100
    assert retry_after("Thu, 01 Jan 1998 00:00:00 GMT") == 0
    assert retry_after("soon") is None and retry_after(None) is None


def test_a_stall_is_given_up_and_resumed(server: FaultyServer, fetch: Fetch, said: list[str]) -> None:
    server.answers["/a"] = [Answer(CONTENT, headers=TAGGED, block=100_000, pause=3), Answer(CONTENT, headers=TAGGED)]
    assert fetch(published(server.url("/a")), replace(QUICK, read=0.5)).read_bytes() == CONTENT
    assert any("nothing came for 0.5 s" in line for line in said)
    assert server.requests[1].headers["range"] == "bytes=100000-"


def test_a_slow_drip_is_given_up(server: FaultyServer, fetch: Fetch, said: list[str]) -> None:
    server.answers["/a"] = [Answer(CONTENT, block=1, pause=0.05), Answer(CONTENT)]
    assert fetch(published(server.url("/a")), replace(QUICK, window=0.3)).read_bytes() == CONTENT
    assert any("bytes came in" in line for line in said)


def test_no_network_is_told_at_once_in_one_line(fetch: Fetch, folder: Path) -> None:
    with pytest.raises(UserError) as raised:
        fetch(published("http://127.0.0.1:9/x.zip", "https://nowhere.invalid/x.zip"), Patience(waits=(1000,)))
    text = str(raised.value)
    assert "127.0.0.1:9/x.zip (no connection); nor from https://nowhere.invalid/x.zip (no connection)" in text
    assert str(folder / FILE) in text and "\n" not in text


def test_a_server_that_goes_away_midway_is_waited_for(server: FaultyServer, folder: Path) -> None:
    server.answers["/a"] = [Answer(CONTENT, headers=TAGGED, cut=100_000)]

    def stop(line: str) -> None:
        if "trying again" in line:
            server._server.server_close()

    with pytest.raises(UserError, match="no connection; tried 4 times"):
        fetch_archive(FILE, published(server.url("/a")), folder, stop, patience=QUICK)


def test_many_cuts_are_borne_as_long_as_the_file_grows(server: FaultyServer, fetch: Fetch) -> None:
    server.answers["/a"] = lambda request: Answer(CONTENT, headers=TAGGED, cut=20_000)
    assert fetch(published(server.url("/a")), replace(QUICK, waits=(0,), gain=10_000)).read_bytes() == CONTENT
    assert len(server.requests) == 15


def test_cuts_at_the_same_place_are_not_borne_for_ever(server: FaultyServer, fetch: Fetch) -> None:
    server.answers["/a"] = [Answer(CONTENT, ranges=False, cut=20_000)]
    with pytest.raises(UserError, match="tried 3 times"):
        fetch(published(server.url("/a")), replace(QUICK, waits=(0, 0), gain=10_000))
    # The first three bring it to the mark beyond which the waits begin anew.
    assert len(server.requests) <= 4
