"""Google Drive and the Hugging Face Hub, as far as a server on this machine can stand for them.

The pages follow what people posted of Drive's: a form `download-form` with hidden fields, and a page about its quota.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fetch.faulty_server import Answer, FaultyServer, Request
from tvqsr.errors import UserError
from tvqsr.fetch.archive import fetch_archive
from tvqsr.fetch.drive import confirmed_address
from tvqsr.fetch.faults import RefusedError
from tvqsr.fetch.retry import Patience
from tvqsr.plan.archive import ArchiveSpec

FILE, ID = "photos.zip", "1NhmpON2dB2LjManfX6uIj8Pj_Jx6N-6l"
CONTENT = np.random.default_rng(7).bytes(100_000)
HTML = {"Content-Type": "text/html; charset=utf-8"}
QUICK = Patience(waits=(0,), connect=20, read=20)
WARNING = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<p>photos.zip (3.1G) is too large for Google to scan for viruses.</p>
<form action="/search"><input type="hidden" name="q" value="not this one"></form>
<form id="download-form" action="{action}" method="get">
<input type="submit" id="uc-download-link" value="Download anyway"/>
<input type="hidden" name="id" value="{id}"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="a1-b2&amp;c3">
</form><input type="hidden" name="later" value="nor this"></body></html>"""
QUOTA = """<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>
<p>Sorry, you can't view or download this file at this time.</p>
<p>Too many users have viewed or downloaded this file recently.</p></body></html>"""
SIGN_IN = "<!doctype html><html><head><title>Sign in - Google Accounts</title></head></html>"


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


def from_drive(server: FaultyServer, folder: Path) -> Path:
    spec = ArchiveSpec(addresses=(f"drive:{ID}",), sha256=hashlib.sha256(CONTENT).hexdigest())
    return fetch_archive(FILE, spec, folder, print, patience=QUICK, drive=server.address)


def page(text: str, status: int = 200) -> Answer:
    return Answer(text.encode(), status, HTML)


def test_a_small_file_comes_at_once(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/download"] = [Answer(CONTENT)]
    assert from_drive(server, tmp_path).read_bytes() == CONTENT
    assert [request.query for request in server.requests] == [{"id": ID, "export": "download"}]


def confirming(*files: Answer) -> Callable[[Request], Answer]:
    """Answers of Drive for a large file: the page, and to whom comes from it, the next of `files`."""
    rest = list(files)

    def answer(request: Request) -> Answer:
        if request.query.get("uuid") != "a1-b2&c3":
            return page(WARNING.format(action="/download", id=ID))
        return rest.pop(0) if len(rest) > 1 else rest[0]

    return answer


def test_the_confirmation_page_of_a_large_file_is_followed(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/download"] = confirming(Answer(CONTENT))
    assert from_drive(server, tmp_path).read_bytes() == CONTENT
    assert server.requests[-1].query == {"id": ID, "export": "download", "confirm": "t", "uuid": "a1-b2&c3"}


def test_a_large_file_that_was_cut_is_resumed_behind_the_page(server: FaultyServer, tmp_path: Path) -> None:
    tags = {"Last-Modified": "Tue, 01 Sep 2026 10:00:00 GMT"}
    first, second = Answer(CONTENT, headers=tags, cut=40_000), Answer(CONTENT, headers=tags)
    server.answers["/download"] = confirming(first, second)
    assert from_drive(server, tmp_path).read_bytes() == CONTENT
    assert server.requests[-1].headers["range"] == "bytes=40000-"
    assert server.requests[-1].headers["if-range"] == tags["Last-Modified"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (page(QUOTA), "too many people fetched it lately (its quota): try again in a day"),
        (page(QUOTA, 403), "too many people fetched it lately"),
        (page(SIGN_IN), "asks to sign in: the file is not shared with everybody"),
        (page("<html><body>You need access. Request access</body></html>", 403), "not shared with everybody"),
        (page("<html>nothing known</html>", 404), "answers 404, not there"),
        (page("<html>nothing known</html>"), "answers with a web page that is not known"),
        (page("<html>ill</html>", 500), "answers 500; tried 2 times"),
        # Only the first MiB of a page is read: what follows would be long in coming.
        (
            replace(page("<html>" + "x" * (3 << 20)), block=1 << 20, pause=30),
            "answers with a web page that is not known",
        ),
        (Answer(b"<html>a page that calls itself a file"), "answers with a web page instead of the file"),
    ],
)
@pytest.mark.parametrize("confirmed", [False, True])
def test_what_is_not_the_file_is_told_in_plain_words_and_never_saved(
    server: FaultyServer, tmp_path: Path, answer: Answer, reason: str, confirmed: bool
) -> None:
    server.answers["/download"] = confirming(answer) if confirmed else [answer]
    with pytest.raises(UserError) as raised:
        from_drive(server, tmp_path)
    assert reason in str(raised.value) and "\n" not in str(raised.value)
    assert f"https://drive.google.com/file/d/{ID}/view" in str(raised.value)
    assert not (tmp_path / FILE).exists()


def test_a_page_that_leads_to_itself_is_followed_once(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/download"] = [page(WARNING.format(action="/download", id=ID))]
    with pytest.raises(UserError, match="a web page that is not known"):
        from_drive(server, tmp_path)
    assert len(server.requests) == 2


def test_a_form_that_leads_elsewhere_is_not_followed() -> None:
    text = WARNING.format(action="https://evil.example/download", id=ID)
    with pytest.raises(RefusedError, match=r"leads elsewhere \(evil\.example\)"):
        confirmed_address(text, "https://drive.usercontent.google.com/download?id=1")
    real = WARNING.format(action="https://drive.usercontent.google.com/download", id=ID)
    assert confirmed_address(real, "https://drive.usercontent.google.com/download?id=1") == (
        f"https://drive.usercontent.google.com/download?id={ID}&export=download&confirm=t&uuid=a1-b2%26c3"
    )


@pytest.fixture
def hub(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> FaultyServer:
    """A server that stands for the Hub; a token is known."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    return server


def from_hub(folder: Path) -> Path:
    spec = ArchiveSpec(addresses=("hub:owner/set/data/a b.zip@refs/pr/1",))
    return fetch_archive(FILE, spec, folder, print, patience=QUICK)


PLACE = "/datasets/owner/set/resolve/refs%2Fpr%2F1/data/a%20b.zip"


def test_a_file_of_the_hub_comes_by_a_redirect_that_does_not_take_the_token_along(
    hub: FaultyServer, tmp_path: Path
) -> None:
    with FaultyServer() as elsewhere:
        elsewhere.answers["/blob"] = [Answer(CONTENT)]
        hub.answers[PLACE] = [Answer(status=302, headers={"Location": elsewhere.url("/blob")})]
        assert from_hub(tmp_path).read_bytes() == CONTENT
        assert hub.requests[0].headers["authorization"] == "Bearer hf_secret"
        assert "authorization" not in elsewhere.requests[0].headers


def test_a_file_of_the_hub_is_resumed_where_the_redirect_leads(hub: FaultyServer, tmp_path: Path) -> None:
    tags = {"ETag": '"abc"'}
    hub.answers["/blob"] = [Answer(CONTENT, headers=tags, cut=40_000), Answer(CONTENT, headers=tags)]
    hub.answers[PLACE] = [Answer(status=302, headers={"Location": "/blob"})]
    assert from_hub(tmp_path).read_bytes() == CONTENT
    assert hub.asked("/blob")[1].headers["range"] == "bytes=40000-"


def test_the_token_goes_to_the_hub_alone(hub: FaultyServer, tmp_path: Path) -> None:
    hub.answers["/a"] = [Answer(CONTENT)]
    fetch_archive(FILE, ArchiveSpec(addresses=(hub.url("/a"),)), tmp_path, print, patience=QUICK)
    assert "authorization" not in hub.requests[0].headers


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (
            401,
            "GatedRepo",
            "is given to those who accept its terms: do so at {}/datasets/owner/set, then run `hf auth login`",
        ),
        (403, "GatedRepo", "is given to those who accept its terms"),
        (401, "RepoNotFound", "no such data set on the Hub, or a private one"),
        (404, "EntryNotFound", "no such file in that data set"),
        (404, "RevisionNotFound", "no such revision in that data set"),
        (403, "", "answers 403: access refused"),
        (404, "", "answers 404, not there"),
        (500, "", "answers 500; tried 2 times"),
    ],
)
def test_the_hub_s_refusals_are_told_in_plain_words(
    hub: FaultyServer, tmp_path: Path, status: int, code: str, reason: str
) -> None:
    hub.answers[PLACE] = [Answer(b"{}", status, {"X-Error-Code": code} if code else {})]
    with pytest.raises(UserError) as raised:
        from_hub(tmp_path)
    assert reason.format(hub.address) in str(raised.value)
    assert "hf_secret" not in str(raised.value)


def test_a_page_of_the_hub_is_not_the_file(hub: FaultyServer, tmp_path: Path) -> None:
    hub.answers[PLACE] = [page("Log in")]
    with pytest.raises(UserError, match="answers with a web page instead of the file"):
        from_hub(tmp_path)


def test_the_endpoint_of_the_hub_may_be_another() -> None:
    program = "from tvqsr.fetch.hub import hub_file; print(hub_file('owner/set/a.zip@main').url)"
    out = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"HF_ENDPOINT": "https://mirror.example"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout == "https://mirror.example/datasets/owner/set/resolve/main/a.zip\n"
