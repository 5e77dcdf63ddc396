"""Fetching an archive from servers that fail in every way that is known."""

from __future__ import annotations

import datetime
import email.utils
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.faulty_server import Answer, FaultyServer
from tvqsr.errors import UserError
from tvqsr.fetch.archive import fetch_archive
from tvqsr.fetch.client import retry_after
from tvqsr.fetch.retry import Patience
from tvqsr.files import read_json
from tvqsr.plan.archive import ArchiveSpec

FILE = "photos.zip"
CONTENT = np.random.default_rng(5).bytes(300_000)
TAGGED = {"ETag": '"one"'}
QUICK = Patience(waits=(0, 0, 0), connect=20, read=20, redirects=5)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archives"


@pytest.fixture
def fetch(folder: Path, said: list[str]) -> Callable[..., Path]:
    def fetch(spec: ArchiveSpec, patience: Patience = QUICK) -> Path:
        return fetch_archive(FILE, spec, folder, said.append, patience=patience)

    return fetch


Fetch = Callable[..., Path]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def published(*addresses: str, content: bytes = CONTENT) -> ArchiveSpec:
    return ArchiveSpec(addresses=addresses, bytes=len(content), sha256=sha256(content))


def unpublished(*addresses: str) -> ArchiveSpec:
    return ArchiveSpec(addresses=addresses)


def left(folder: Path) -> set[str]:
    """What lies there but for the empty lock."""
    return {path.name for path in folder.iterdir()} - {f".{FILE}.lock"}


WHOLE = {FILE, f"{FILE}.json"}


def test_a_file_comes_whole_and_is_recorded(server: FaultyServer, fetch: Fetch, folder: Path, said: list[str]) -> None:
    server.answers["/a"] = [Answer(CONTENT)]
    path = fetch(published(server.url("/a")))
    assert path == folder / FILE and path.read_bytes() == CONTENT
    assert left(folder) == WHOLE
    record = read_json(folder / f"{FILE}.json")
    assert record["address"] == server.url("/a")
    assert (record["bytes"], record["sha256"], record["trust"]) == (len(CONTENT), sha256(CONTENT), "published")
    assert abs(datetime.datetime.fromisoformat(record["date"]).timestamp() - path.stat().st_mtime) < 60
    assert any("as published" in line for line in said)
    fetch(published(server.url("/a")))
    assert len(server.requests) == 1


def test_an_md5_is_enough_to_be_published(server: FaultyServer, fetch: Fetch, folder: Path) -> None:
    server.answers["/a"] = [Answer(CONTENT)]
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    fetch(ArchiveSpec(addresses=(server.url("/a"),), md5=md5))
    record = read_json(folder / f"{FILE}.json")
    assert (record["trust"], record["md5"]) == ("published", md5)
    with pytest.raises(UserError, match=f"has md5 {md5} instead of md5 {'0' * 32}"):
        fetch(ArchiveSpec(addresses=(server.url("/a"),), md5="0" * 32))


@pytest.mark.parametrize("headers", [TAGGED, {"Last-Modified": "Tue, 01 Sep 2026 10:00:00 GMT"}])
@pytest.mark.parametrize("trusted", [True, False])
def test_a_file_cut_at_random_comes_whole_by_ranges(
    server: FaultyServer, fetch: Fetch, folder: Path, headers: dict[str, str], trusted: bool
) -> None:
    cuts = np.random.default_rng(11).integers(1, 60_000, 5)
    server.answers["/a"] = [Answer(CONTENT, headers=headers, cut=int(cut)) for cut in cuts] + [
        Answer(CONTENT, headers=headers)
    ]
    spec = published(server.url("/a")) if trusted else unpublished(server.url("/a"))
    path = fetch(spec, replace(QUICK, waits=(0,) * 5))
    assert path.read_bytes() == CONTENT
    asked = server.asked("/a")
    starts = [int(one.headers["range"][6:-1]) for one in asked[1:]]
    assert len(starts) == 5 and starts == sorted(starts) and starts[0] > 0
    assert {one.headers["if-range"] for one in asked[1:]} == set(headers.values())
    assert left(folder) == WHOLE


def test_what_a_stopped_fetch_left_is_used_by_the_next(server: FaultyServer, fetch: Fetch, folder: Path) -> None:
    server.answers["/a"] = [Answer(CONTENT, headers=TAGGED, cut=100_000)]
    with pytest.raises(UserError):
        fetch(published(server.url("/a")), replace(QUICK, waits=()))
    assert FILE not in left(folder)
    server.answers["/a"] = [Answer(CONTENT, headers=TAGGED)]
    assert fetch(published(server.url("/a"))).read_bytes() == CONTENT
    assert server.requests[-1].headers["range"] == "bytes=100000-"


def test_another_mirror_goes_on_where_the_first_was_cut_if_a_hash_is_known(
    server: FaultyServer, fetch: Fetch, folder: Path
) -> None:
    server.answers["/a"] = [Answer(CONTENT, headers=TAGGED, cut=100_000), Answer(status=404)]
    server.answers["/b"] = [Answer(CONTENT, headers={"ETag": '"other"'})]
    assert fetch(published(server.url("/a"), server.url("/b"))).read_bytes() == CONTENT
    (asked,) = server.asked("/b")
    assert asked.headers["range"] == "bytes=100000-" and "if-range" not in asked.headers


def test_without_a_hash_another_mirror_starts_anew(server: FaultyServer, fetch: Fetch) -> None:
    server.answers["/a"] = [Answer(CONTENT, headers=TAGGED, cut=100_000), Answer(status=404)]
    server.answers["/b"] = [Answer(CONTENT[::-1], headers=TAGGED)]
    assert fetch(unpublished(server.url("/a"), server.url("/b"))).read_bytes() == CONTENT[::-1]
    assert "range" not in server.asked("/b")[0].headers


def test_a_joint_of_two_files_is_noticed_and_fetched_in_one_go(server: FaultyServer, fetch: Fetch) -> None:
    server.answers["/a"] = [Answer(CONTENT[::-1], cut=100_000), Answer(CONTENT)]
    assert fetch(published(server.url("/a"))).read_bytes() == CONTENT
    assert ["range" in one.headers for one in server.requests] == [False, True, False]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_changed_between_attempts_is_fetched_from_its_beginning(
    server: FaultyServer, fetch: Fetch, ranges: bool
) -> None:
    server.answers["/a"] = [
        Answer(CONTENT[::-1], headers=TAGGED, cut=100_000),
        Answer(CONTENT, headers={"ETag": '"two"'}, ranges=ranges),
    ]
    assert fetch(unpublished(server.url("/a"))).read_bytes() == CONTENT


@pytest.mark.parametrize("headers", [{"ETag": '"two"'}, {"ETag": '"one"', "Last-Modified": "changed"}])
def test_a_server_that_does_not_mind_if_range_is_seen_through(
    server: FaultyServer, fetch: Fetch, headers: dict[str, str]
) -> None:
    first = {"ETag": '"one"', "Last-Modified": "before"}
    server.answers["/a"] = [
        Answer(CONTENT[::-1], headers=first, cut=100_000),
        Answer(CONTENT, headers=headers, minds_if_range=False),
    ]
    assert fetch(unpublished(server.url("/a"))).read_bytes() == CONTENT


def test_a_weak_etag_does_not_tell_that_the_rest_belongs_to_the_part(server: FaultyServer, fetch: Fetch) -> None:
    weak = {"ETag": 'W/"one"'}
    server.answers["/a"] = [Answer(CONTENT[::-1], headers=weak, cut=9), Answer(CONTENT, headers=weak)]
    assert fetch(unpublished(server.url("/a"))).read_bytes() == CONTENT


def test_a_range_that_starts_elsewhere_is_not_appended(server: FaultyServer, fetch: Fetch) -> None:
    wrong = {"Content-Range": f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}"}
    server.answers["/a"] = [
        Answer(CONTENT, headers=TAGGED, cut=100_000),
        Answer(CONTENT[5:], 206, wrong | TAGGED),
        Answer(CONTENT, headers=TAGGED),
    ]
    assert fetch(unpublished(server.url("/a"))).read_bytes() == CONTENT


def test_a_file_that_became_shorter_answers_416(server: FaultyServer, fetch: Fetch) -> None:
    short = CONTENT[:50_000]
    server.answers["/a"] = [Answer(CONTENT, headers=TAGGED, cut=100_000), Answer(short, headers=TAGGED)]
    assert fetch(unpublished(server.url("/a"))).read_bytes() == short
    assert [one.headers.get("range") for one in server.requests] == [None, "bytes=100000-", None]


def test_a_file_that_became_as_short_as_the_part_is_fetched_anew(server: FaultyServer, fetch: Fetch) -> None:
    """Its tag did not change; its bytes did."""
    short = CONTENT[::-1][:100_000]
    server.answers["/a"] = [Answer(CONTENT, headers=TAGGED, cut=100_000), Answer(short, headers=TAGGED)]
    assert fetch(unpublished(server.url("/a"))).read_bytes() == short


def test_a_part_that_is_all_of_the_file_answers_416(server: FaultyServer, fetch: Fetch) -> None:
    """The length was not told at first, and the end of the chunks was cut off."""
    server.answers["/a"] = [
        Answer(CONTENT, headers=TAGGED, framing="chunked", cut=len(CONTENT)),
        Answer(CONTENT, headers=TAGGED),
    ]
    assert fetch(unpublished(server.url("/a"))).read_bytes() == CONTENT
    assert server.requests[-1].headers["range"] == f"bytes={len(CONTENT)}-" and len(server.requests) == 2


def test_chunks_are_a_length_but_a_closed_connection_is_none(server: FaultyServer, fetch: Fetch, folder: Path) -> None:
    server.answers["/a"] = [Answer(CONTENT, framing="close")]
    with pytest.raises(UserError, match="does not say how long the file is"):
        fetch(unpublished(server.url("/a")))
    assert FILE not in left(folder)
    assert fetch(published(server.url("/a"))).read_bytes() == CONTENT
    (folder / FILE).unlink()
    (folder / f"{FILE}.json").unlink()
    server.answers["/a"] = [Answer(CONTENT, framing="chunked", cut=70_000), Answer(CONTENT, framing="chunked")]
    assert fetch(unpublished(server.url("/a"))).read_bytes() == CONTENT


def test_wrong_bytes_are_removed_and_the_next_mirror_asked(
    server: FaultyServer, fetch: Fetch, folder: Path, said: list[str]
) -> None:
    server.answers["/a"] = [Answer(CONTENT[::-1])]
    server.answers["/b"] = [Answer(CONTENT)]
    assert fetch(published(server.url("/a"), server.url("/b"))).read_bytes() == CONTENT
    wrong = f"{server.url('/a')} (has sha256 {sha256(CONTENT[::-1])} instead of sha256 {sha256(CONTENT)})"
    assert any(wrong in line for line in said)
    assert len(server.asked("/a")) == 1
    assert read_json(folder / f"{FILE}.json")["address"] == server.url("/b")


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
