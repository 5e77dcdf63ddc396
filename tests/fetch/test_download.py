"""Fetching an archive: whole, by ranges, and what belongs together of what came in parts."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fetch.faulty_server import Answer, FaultyServer
from tests.fetch.served import CONTENT, FILE, QUICK, TAGGED, WHOLE, Fetch, left, published, sha256, unpublished
from tvqsr.errors import UserError
from tvqsr.files import read_json
from tvqsr.plan.archive import ArchiveSpec


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
