"""Archives that are damaged, or that mean harm: told, and nothing is left of them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.fetch.archives import HR, Into, message, picture, refused, tarred, with_member, zipped
from tvqsr.errors import UserError
from tvqsr.fetch import decode


def test_paths_that_lead_outside_are_refused(tmp_path: Path, into: Into) -> None:
    everything = {"HR": "**/{name}.png"}
    for number, (name, reason) in enumerate(
        {
            "../../evil.png": "../../evil.png is a path that leads outside",
            "..\\evil.png": "../evil.png is a path that leads outside",
            "a/../evil.png": "a/../evil.png is a path that leads outside",
            "/evil.png": "no member matches",
        }.items()
    ):
        refused(tmp_path, into, zipped(tmp_path / f"{number}.zip", {name: picture(1)}), reason, everything)
    refused(tmp_path, into, tarred(tmp_path / "e.tar", {"../evil.png": picture(1)}), "leads outside", everything)
    assert not list(tmp_path.rglob("evil*"))
    assert "unpack it by hand" in message(into, tmp_path / "0.zip", everything)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.FIFOTYPE, "no plain file"),
        (tarfile.CHRTYPE, "no plain file"),
    ],
)
def test_links_and_devices_are_refused(tmp_path: Path, into: Into, kind: bytes, reason: str) -> None:
    odd = tarfile.TarInfo("DIV2K_valid_HR/0802.png")
    odd.type, odd.linkname = kind, "/etc/passwd"
    refused(tmp_path, into, with_member(tmp_path / "a.tar", odd), f"DIV2K_valid_HR/0802.png is {reason}")
    odd.name = "unasked"
    assert into(with_member(tmp_path / "b.tar", odd)) == {"HR": ["0801"]}


def test_a_link_in_a_zip_is_refused(tmp_path: Path, into: Into) -> None:
    link = zipfile.ZipInfo("DIV2K_valid_HR/0801.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as content:
        content.writestr(link, "/etc/passwd")
    refused(tmp_path, into, tmp_path / "a.zip", "DIV2K_valid_HR/0801.png is a link")


def test_an_encrypted_zip_is_refused(tmp_path: Path, into: Into) -> None:
    """Python cannot write one: the flag is set in both headers."""
    archive = zipped(tmp_path / "a.zip", {"DIV2K_valid_HR/0801.png": picture(1)})
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    refused(tmp_path, into, archive, "0801.png is encrypted")


@pytest.mark.parametrize(
    ("start", "kind"), [(b"Rar!\x1a\x07\x01\x00", "RAR"), (b"7z\xbc\xaf\x27\x1c\x00\x04", "7-Zip")]
)
def test_other_kinds_are_for_the_user_to_unpack(tmp_path: Path, into: Into, start: bytes, kind: str) -> None:
    (tmp_path / "a.rar").write_bytes(start + bytes(100))
    place = tmp_path / "sets" / "valid" / "HR"
    refused(tmp_path, into, tmp_path / "a.rar", f"is a {kind} archive")
    assert f"unpack it by hand, as far as you trust it, into {place}" in message(into, tmp_path / "a.rar", HR)


def test_a_packing_that_python_does_not_read_is_for_the_user_to_unpack(tmp_path: Path, into: Into) -> None:
    archive = zipped(tmp_path / "a.zip", {"DIV2K_valid_HR/0801.png": picture(1)})
    content = bytearray(archive.read_bytes())
    content[8] = content[content.index(b"PK\x01\x02") + 10] = 9
    archive.write_bytes(content)
    refused(tmp_path, into, archive, "packed in a way that Python does not read")


def test_what_is_no_archive_is_told(tmp_path: Path, into: Into) -> None:
    for name, content, reason in (
        ("page.zip", b"<!DOCTYPE html><html>", "is a web page and no archive"),
        ("empty.tar", b"", "damaged, cut short or no archive"),
        ("text.tar.gz", b"just text" * 100, "no archive (file could not be opened successfully); delete"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path, into, tmp_path / name, reason)


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_archive_is_told(tmp_path: Path, into: Into, kind: str, share: float) -> None:
    files = {f"DIV2K_valid_HR/{i}.png": picture(i, side=40) for i in range(20)}
    archive = zipped(tmp_path / "a", files) if kind == "zip" else tarred(tmp_path / "a", files, kind)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    refused(tmp_path, into, archive, "damaged, cut short or no archive")


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:xz"])
def test_a_byte_that_flipped_is_noticed(tmp_path: Path, into: Into, kind: str) -> None:
    """By the archive's own sum or, in a tar, which has none, by the image's."""
    files = {f"DIV2K_valid_HR/{i}.png": picture(i, side=40) for i in range(3)}
    archive = zipped(tmp_path / "a", files) if kind == "zip" else tarred(tmp_path / "a", files, kind)
    content = bytearray(archive.read_bytes())
    content[len(content) // 5] ^= 0x10
    archive.write_bytes(content)
    refused(tmp_path, into, archive, "damaged")


def test_a_tar_that_ends_between_members_or_has_a_damaged_header_is_not_taken_for_a_shorter_one(
    tmp_path: Path, into: Into
) -> None:
    archive = tarred(tmp_path / "a.tar", {f"DIV2K_valid_HR/{i}.png": picture(1) for i in range(4)})
    content, step = archive.read_bytes(), 512 + (len(picture(1)) + 511) // 512 * 512
    assert content[2 * step :].startswith(b"DIV2K_valid_HR/2.png")
    archive.write_bytes(content[: 2 * step])
    refused(tmp_path, into, archive, "damaged, cut short or no archive")
    archive.write_bytes(content[: 2 * step] + b"X" + content[2 * step + 1 :])
    refused(tmp_path, into, archive, "damaged, cut short or no archive (bad checksum)")


@pytest.mark.parametrize("kind", ["zip", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_stretch_that_was_overwritten_is_told(tmp_path: Path, into: Into, kind: str, share: float) -> None:
    """Bitmaps of text, which compress well: the packing itself is what breaks."""
    letters = ((ROOT / "LICENSE").read_bytes() * 2)[:12_000]
    text = np.unpackbits(np.frombuffer(letters, np.uint8)).reshape(300, 320) * 255
    out = io.BytesIO()
    Image.fromarray(text).save(out, "BMP")
    files = {f"HR/{i}.bmp": out.getvalue()[:-i] + bytes(i) for i in range(1, 9)}
    archive = zipped(tmp_path / "a", files) if kind == "zip" else tarred(tmp_path / "a", files, kind)
    content = bytearray(archive.read_bytes())
    middle = int(len(content) * share)
    content[middle : middle + 300] = b"\xff" * 300
    archive.write_bytes(content)
    refused(tmp_path, into, archive, "damaged", {"HR": "HR/{name}.bmp"})


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_damaged_image_is_named_with_its_archive(tmp_path: Path, into: Into, kind: str) -> None:
    good, cut = picture(1, kind, 60), picture(2, kind, 60)[:-200]
    archive = zipped(tmp_path / "a.zip", {"HR/1.jpg": good, "HR/2.jpg": cut, "HR/3.jpg": good})
    refused(tmp_path, into, archive, f"{archive}: HR/2.jpg: is damaged", {"HR": "HR/{name}.jpg"})
    archive = zipped(tmp_path / "b.zip", {"HR/1.jpg": good, "HR/2.jpg": b"no image"})
    refused(tmp_path, into, archive, "HR/2.jpg: is damaged (it is no image)", {"HR": "HR/{name}.jpg"})


def test_a_png_of_which_only_a_checksum_is_wrong_is_damaged(tmp_path: Path) -> None:
    """Decoding alone passes over it."""
    content = bytearray(picture(1))
    end = content.index(b"IEND") - 8
    content[end + 3] ^= 1
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.zip: a\.png: is damaged"):
        decode.decode(path, "a.zip: a.png")
