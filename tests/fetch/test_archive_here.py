"""An archive that is there: put by hand, or fetched before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fetch.faulty_server import Answer, FaultyServer
from tests.fetch.served import CONTENT, FILE, NOWHERE, OTHER, Fetch, published, sha256
from tvqsr.errors import UserError
from tvqsr.files import read_json, write_json
from tvqsr.plan.archive import ArchiveSpec


def test_a_file_put_there_by_hand_is_checked_once(
    tmp_path: Path, fetch_once: Fetch, hashed: list[Path], said: list[str]
) -> None:
    (tmp_path / FILE).write_bytes(CONTENT)
    assert fetch_once(published(*NOWHERE)) == tmp_path / FILE
    record = read_json(tmp_path / f"{FILE}.json")
    assert (record["address"], record["trust"], record["sha256"]) == (None, "published", sha256(CONTENT))
    assert len(hashed) == 1
    fetch_once(published(*NOWHERE))
    assert len(hashed) == 1
    os.utime(tmp_path / FILE)
    fetch_once(published(*NOWHERE))
    assert len(hashed) == 2


def test_a_wrong_file_put_there_by_hand_is_named_and_stays(
    tmp_path: Path, fetch_once: Fetch, hashed: list[Path]
) -> None:
    (tmp_path / FILE).write_bytes(OTHER)
    with pytest.raises(UserError, match=rf"{FILE}: has sha256 {sha256(OTHER)} instead of sha256 {sha256(CONTENT)}"):
        fetch_once(published(*NOWHERE))
    assert len(hashed) == 1
    (tmp_path / FILE).write_bytes(b"short")
    with pytest.raises(UserError, match=rf"{FILE}: has 5 bytes instead of {len(CONTENT)}"):
        fetch_once(published(*NOWHERE))
    assert len(hashed) == 1
    assert (tmp_path / FILE).read_bytes() == b"short" and not (tmp_path / f"{FILE}.json").exists()


def test_a_file_that_changed_on_the_disk_is_noticed(tmp_path: Path, fetch_once: Fetch) -> None:
    (tmp_path / FILE).write_bytes(CONTENT)
    fetch_once(published(*NOWHERE))
    (tmp_path / FILE).write_bytes(OTHER)
    with pytest.raises(UserError, match="instead of"):
        fetch_once(published(*NOWHERE))


def test_what_is_not_published_is_trusted_once_and_checked_ever_after(
    tmp_path: Path, fetch_once: Fetch, served: tuple[FaultyServer, ArchiveSpec], said: list[str]
) -> None:
    server, unpublished = served
    fetch_once(unpublished)
    before = read_json(tmp_path / f"{FILE}.json") | {"date": "2020-02-03T04:05:06+00:00"}
    write_json(tmp_path / f"{FILE}.json", before)
    assert before["trust"] == "first use"
    assert any("trusted on first use" in line and sha256(CONTENT) in line for line in said)
    (tmp_path / FILE).unlink()
    fetch_once(unpublished)
    after = read_json(tmp_path / f"{FILE}.json")
    assert after | {"checked_mtime_ns": 0} == before | {"checked_mtime_ns": 0}
    (tmp_path / FILE).unlink()
    server.answers["/a"] = [Answer(OTHER)]
    with pytest.raises(UserError) as raised:
        fetch_once(unpublished)
    advice = f"as on 2020-02-03 when it was first seen (to trust the new one, delete {tmp_path / FILE}.json)"
    assert advice in str(raised.value) and sha256(OTHER) in str(raised.value)
    (tmp_path / FILE).write_bytes(OTHER)
    with pytest.raises(UserError, match="to trust the new one, delete"):
        fetch_once(unpublished)
    (tmp_path / f"{FILE}.json").unlink()
    fetch_once(unpublished)
    assert read_json(tmp_path / f"{FILE}.json")["sha256"] == sha256(OTHER)


def test_a_hash_published_later_counts_for_more_than_the_record(
    tmp_path: Path, fetch_once: Fetch, served: tuple[FaultyServer, ArchiveSpec]
) -> None:
    server, unpublished = served
    fetch_once(unpublished)
    fetch_once(ArchiveSpec(addresses=unpublished.addresses, sha256=sha256(CONTENT)))
    assert read_json(tmp_path / f"{FILE}.json")["trust"] == "published"
    with pytest.raises(UserError, match=f"instead of sha256 {sha256(OTHER)}"):
        fetch_once(published(*NOWHERE, content=OTHER))
    (tmp_path / FILE).unlink()
    server.answers["/a"] = [Answer(OTHER)]
    fetch_once(ArchiveSpec(addresses=unpublished.addresses, sha256=sha256(OTHER)))
    assert read_json(tmp_path / f"{FILE}.json")["sha256"] == sha256(OTHER)


def test_a_damaged_record_is_named(tmp_path: Path, fetch_once: Fetch) -> None:
    (tmp_path / FILE).write_bytes(CONTENT)
    for content in ("{", "[]", '{"bytes": 3}'):
        (tmp_path / f"{FILE}.json").write_text(content)
        with pytest.raises(UserError, match=rf"{FILE}\.json.*delete it"):
            fetch_once(published(*NOWHERE))


def test_nothing_published_is_said_where_it_is_to_be_got_by_hand(fetch_once: Fetch) -> None:
    with pytest.raises(UserError, match=r"\(size and hash are not published\)$"):
        fetch_once(ArchiveSpec(addresses=NOWHERE))


def test_an_unknown_kind_of_address_is_named(fetch_once: Fetch) -> None:
    for address in ("ftp://there/a.zip", "drive:", "hub:owner/name@main", "hub:owner/name/file.zip"):
        with pytest.raises(UserError, match=address):
            fetch_once(ArchiveSpec(addresses=(address,)))


def test_a_file_that_is_all_here_needs_no_network(
    tmp_path: Path, fetch_once: Fetch, served: tuple[FaultyServer, ArchiveSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process leaves it that is stopped after the last byte."""
    server, unpublished = served
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("tvqsr.fetch.archive.recorded", _stopped)
        fetch_once(unpublished)
    assert not (tmp_path / FILE).exists()
    assert fetch_once(unpublished).read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert read_json(tmp_path / f"{FILE}.json")["address"] == server.url("/a")


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt
