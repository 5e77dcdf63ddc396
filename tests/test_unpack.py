"""Photos out of archives: whole ones, damaged ones, and those that mean harm."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tvqsr.errors import UserError
from tvqsr.fetch import bounds, decode
from tvqsr.fetch.pattern import Pattern
from tvqsr.fetch.unpack import unpack

HR = {"HR": "DIV2K_valid_HR/{name}.png"}


def picture(seed: int, kind: str = "PNG", side: int = 12) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as content:
        for name, data in files.items():
            content.writestr(name, data)
    return path


PACK: dict[str, Callable[[bytes], bytes]] = {
    "w": bytes,
    "w:gz": gzip.compress,
    "w:bz2": bz2.compress,
    "w:xz": lzma.compress,
}


def tarred(path: Path, files: Mapping[str, bytes], kind: str = "w") -> Path:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as content:
        for name, data in files.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.size, info.type = len(data), tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            content.addfile(info, io.BytesIO(data))
    path.write_bytes(PACK[kind](plain.getvalue()))
    return path


def with_member(path: Path, info: tarfile.TarInfo) -> Path:
    """A tar of one photo and one odd member."""
    with tarfile.open(path, "w") as content:
        good = tarfile.TarInfo("DIV2K_valid_HR/0801.png")
        good.size = len(picture(1))
        content.addfile(good, io.BytesIO(picture(1)))
        content.addfile(info)
    return path


Into = Callable[..., dict[str, list[str]]]


@pytest.fixture
def into(tmp_path: Path) -> Into:
    def into(archive: Path, patterns: Mapping[str, str] = HR) -> dict[str, list[str]]:
        return unpack(archive, tmp_path / "sets" / "valid", patterns, print)

    return into


def below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


PAIRS = {
    "DIV2K_valid_HR/": b"",
    "DIV2K_valid_HR/folder.png/": b"",
    "DIV2K_valid_HR/0801.png": picture(1),
    "DIV2K_valid_HR/0802.PNG": picture(2),
    "DIV2K_valid_LR_bicubic/X4/0801x4.png": picture(3, side=3),
    "DIV2K_valid_LR_bicubic/X4/0802x4.png": picture(4, side=3),
    "DIV2K_valid_LR_bicubic/X2/0801x2.png": picture(5),
    "__MACOSX/DIV2K_valid_HR/._0801.png": b"rubbish",
    "readme.txt": b"read me",
}
FILES = {name: data for name, data in PAIRS.items() if data}


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_pairs_are_written_flat_by_kind_with_the_bytes_of_the_archive(tmp_path: Path, into: Into, kind: str) -> None:
    archive = zipped(tmp_path / "a", PAIRS) if kind == "zip" else tarred(tmp_path / "a", PAIRS, kind)
    names = into(archive, HR | {"LR": "DIV2K_valid_LR_bicubic/X4/{name}x4.png"})
    assert names == {"HR": ["0801", "0802"], "LR": ["0801", "0802"]}
    assert below(tmp_path / "sets" / "valid") == {
        "HR/0801.png": picture(1),
        "HR/0802.png": picture(2),
        "LR/0801.png": picture(3, side=3),
        "LR/0802.png": picture(4, side=3),
    }
    assert {path.name for path in (tmp_path / "sets").iterdir()} == {"valid", ".valid.lock"}


@pytest.mark.parametrize(
    ("pattern", "member", "name"),
    [
        ("HR/{name}.png", "HR/a.png", "a"),
        ("HR/{name}.png", "HR/a.b.PNG", "a.b"),
        ("HR/{name}.png", "hr/a.png", None),
        ("HR/{name}.png", "HR/b/a.png", None),
        ("HR/{name}.png", "x/HR/a.png", None),
        ("HR/{name}.png", "HR/a.jpg", None),
        ("HR/{name}.png", "HR/a.pngx", None),
        ("HR/{name}.png", "HRX/a.png", None),
        ("**/Test/4/{name}_HR.png", "RealSR(V3)/Canon/Test/4/Canon_001_HR.png", "Canon_001"),
        ("**/Test/4/{name}_HR.png", "Test/4/Canon_001_HR.png", "Canon_001"),
        ("**/Test/4/{name}_HR.png", "xTest/4/Canon_001_HR.png", None),
        ("**/Test/4/{name}_HR.png", "Test/4/Canon_001_LR4.png", None),
        ("*/{name}.png", "a/b.png", "b"),
        ("*/{name}.png", "b.png", None),
        ("*/{name}.png", "a/c/b.png", None),
        ("a*/img_*_{name}.png", "a1/img_7_x.png", "x"),
        ("**/{name}.*", "val/ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000001"),
        ("**/{name}.*", "a.bmp", "a"),
        ("**/{name}.*", "a.txt", None),
        ("**/{name}.*", "__MACOSX/._a.png", None),
        ("**/{name}.*", "a/.hidden.png", None),
        ("**/{name}.*", "a/b\\c.png", None),
        ("**/{name}.*", "a/b\n.png", None),
        ("**/{name}.*", "a/b\0.png", None),
        ("**/{name}.*", f"{'x' * 300}.png", None),
        ("{name}.+", "a.+", UserError),
        ("(a)/{name}.png", "(a)/b.png", "b"),
        ("(a)/{name}.png", "a/b.png", None),
        ("HR/*.png", "", UserError),
        ("{name}/{name}.png", "", UserError),
        ("HR/{name}", "", UserError),
        ("HR/{name}.txt", "", UserError),
    ],
)
def test_patterns(pattern: str, member: str, name: str | type[Exception] | None) -> None:
    if name is UserError:
        with pytest.raises(UserError, match="expected a pattern with one"):
            Pattern(pattern)
    else:
        assert Pattern(pattern).name(member) == name


def test_windows_separators_are_separators(tmp_path: Path, into: Into) -> None:
    assert into(zipped(tmp_path / "a.zip", {"DIV2K_valid_HR\\0801.png": picture(1)})) == {"HR": ["0801"]}


def test_two_members_of_one_name_are_both_named(tmp_path: Path, into: Into) -> None:
    archive = zipped(tmp_path / "a.zip", {"a/1.png": picture(1), "b/1.jpg": picture(2, "JPEG")})
    with pytest.raises(UserError, match=r"a\.zip: a/1\.png and b/1\.jpg are both `1` of HR"):
        into(archive, {"HR": "**/{name}.*"})
    with pytest.raises(UserError, match=r"a/1\.png is of two kinds, HR and LR"):
        into(archive, {"HR": "a/{name}.png", "LR": "**/{name}.png"})


def test_a_pattern_that_matches_nothing_is_named_with_what_there_is(tmp_path: Path, into: Into) -> None:
    archive = zipped(tmp_path / "a.zip", {f"x/{i}.png": picture(i) for i in range(5)})
    with pytest.raises(
        UserError,
        match=r"a\.zip: no member matches `DIV2K_valid_HR/\{name\}\.png` \(HR\); it has x/0\.png, x/1\.png, x/2\.png$",
    ):
        into(archive)


def test_a_second_archive_adds_a_kind_and_what_is_there_stays(tmp_path: Path, into: Into) -> None:
    """DIV2K's HR and LR are two zips; what a stopped run had finished is not unpacked again."""
    into(zipped(tmp_path / "hr.zip", FILES))
    other = zipped(tmp_path / "lr.zip", FILES | {"DIV2K_valid_HR/0801.png": picture(99)})
    names = into(other, HR | {"LR": "DIV2K_valid_LR_bicubic/X4/{name}x4.png"})
    assert names == {"HR": ["0801", "0802"], "LR": ["0801", "0802"]}
    assert (tmp_path / "sets/valid/HR/0801.png").read_bytes() == picture(1)
    shutil.rmtree(tmp_path / "sets/valid/HR")
    (tmp_path / "sets/valid/HR").mkdir()
    into(other)
    assert (tmp_path / "sets/valid/HR/0801.png").read_bytes() == picture(99)


def refused(tmp_path: Path, into: Into, archive: Path, reason: str, patterns: Mapping[str, str] = HR) -> None:
    """Unpacking ends with one line that names the archive, and leaves nothing."""
    with pytest.raises(UserError) as raised:
        into(archive, patterns)
    text = str(raised.value)
    assert str(archive) in text and reason in text and "\n" not in text
    assert {path.name for path in (tmp_path / "sets").iterdir()} <= {".valid.lock"}


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
    assert "unpack it by hand" in _message(into, tmp_path / "0.zip", everything)


def _message(into: Into, archive: Path, patterns: Mapping[str, str]) -> str:
    with pytest.raises(UserError) as raised:
        into(archive, patterns)
    return str(raised.value)


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
    assert f"unpack it by hand, as far as you trust it, into {place}" in _message(into, tmp_path / "a.rar", HR)


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
    text = np.unpackbits(np.frombuffer(Path(__file__).read_bytes()[:12_000], np.uint8)).reshape(300, 320) * 255
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


def test_every_image_is_decoded_and_no_more_wait_than_the_cores_can_do(
    tmp_path: Path, into: Into, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    most = [0]
    real = decode.decode

    def slow(image: Path, told: str) -> None:
        time.sleep(0.002)
        most[0] = max(most[0], len(list(image.parent.iterdir())) - len(seen))
        seen.append(image.name)
        real(image, told)

    monkeypatch.setattr(decode, "decode", slow)
    into(zipped(tmp_path / "a.zip", {f"DIV2K_valid_HR/{i}.png": picture(i) for i in range(80)}))
    assert sorted(seen) == sorted(f"{i}.png" for i in range(80))
    assert most[0] <= (decode.AHEAD + 1) * len(os.sched_getaffinity(0)) + 3


def test_bombs_are_stopped(tmp_path: Path, into: Into, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = {"HR": "{name}.png"}
    zeros = zipped(tmp_path / "a.zip", {f"{i}.png": bytes(30 * 2**20) for i in range(4)})
    refused(tmp_path, into, zeros, "unpacks to more than 104.9 MB", everything)
    with lzma.open(tmp_path / "b.tar.xz", "w") as out:
        info = tarfile.TarInfo("1.png")
        info.size = 10**13
        out.write(info.tobuf())
    refused(tmp_path, into, tmp_path / "b.tar.xz", "unpacks to more than 104.9 MB", everything)
    monkeypatch.setattr(bounds, "MEMBERS", 3)
    many = zipped(tmp_path / "c.zip", {f"{i}.png": picture(i) for i in range(4)})
    refused(tmp_path, into, many, "holds more than 3 files", everything)
    monkeypatch.setattr(bounds, "IMAGE", 500)
    large = zipped(tmp_path / "d.zip", {"1.png": picture(1, side=30)})
    refused(tmp_path, into, large, "1.png has 2.", everything)


def test_a_header_that_declares_gigabytes_is_not_read(tmp_path: Path, into: Into) -> None:
    """Tar's extended headers are read into memory; a long path, which they are for, passes."""
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        with lzma.open(tmp_path / "a.tar.xz", "w") as out:
            info = tarfile.TarInfo("header")
            info.type, info.size = kind, 8 * 10**9
            out.write(tarfile.TarInfo("empty").tobuf() + info.tobuf() + bytes(5120))
        refused(
            tmp_path, into, tmp_path / "a.tar.xz", "damaged, cut short or no archive (a header of 8000000000 bytes)"
        )
    long = "long/" * 60
    assert into(tarred(tmp_path / "b.tar", {f"{long}DIV2K_valid_HR/1.png": picture(1)}), {"HR": "**/{name}.png"})


def test_the_sets_that_are_real_are_within_bounds(tmp_path: Path) -> None:
    """12 GB of PNG in a zip (Flickr2K), 1.28 million photos in a tar (ImageNet)."""
    archive = tmp_path / "a"
    archive.touch()
    os.truncate(archive, 12 * 10**9)
    flickr = bounds.Bounds(archive)
    for _ in range(2650):
        flickr.count(4_600_000)
    os.truncate(archive, 150 * 10**9)
    imagenet = bounds.Bounds(archive)
    for _ in range(1_281_167):
        imagenet.count(115_000)
    bounds.check_image(archive, "large.png", 100 * 10**6)


def test_a_bound_grows_with_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "a"
    archive.touch()
    os.truncate(archive, 50 * 10**6)
    bound = bounds.Bounds(archive)
    bound.count(49 * 10**8)
    with pytest.raises(UserError, match=r"unpacks to more than 5\.00 GB"):
        bound.count(2 * 10**8)


def test_a_member_with_more_than_it_declares_is_damaged(tmp_path: Path, into: Into) -> None:
    archive = zipped(tmp_path / "a.zip", {"DIV2K_valid_HR/0801.png": picture(1, side=30)})
    content = bytearray(archive.read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = (600).to_bytes(4, "little")
    archive.write_bytes(content)
    refused(tmp_path, into, archive, "damaged")


def test_room_is_asked_for_before_anything_is_written(
    tmp_path: Path, into: Into, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(tmp_path / "a.zip", FILES)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(UserError, match=r"a\.zip: needs .* more in .*, where 100\.0 B are free"):
        into(archive)


def test_a_limit_met_while_writing_leaves_nothing(tmp_path: Path) -> None:
    archive = zipped(
        tmp_path / "a.zip", {"DIV2K_valid_HR/1.png": picture(1), "DIV2K_valid_HR/2.png": picture(1, side=90)}
    )
    program = (
        "import resource, sys; from pathlib import Path; from tvqsr.fetch.unpack import unpack\n"
        "from tvqsr.errors import UserError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        f"try: unpack(Path(sys.argv[1]), Path(sys.argv[2]), {HR!r}, print)\n"
        "except UserError as error: sys.exit(str(error))"
    )
    command = [sys.executable, "-c", program, str(archive), str(tmp_path / "sets" / "valid")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1 and "a.zip: no more can be written to" in ended.stderr
    assert {path.name for path in (tmp_path / "sets").iterdir()} == {".valid.lock"}


def test_two_at_once_unpack_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "a.zip", {f"DIV2K_valid_HR/{i}.png": picture(i) for i in range(20)})
    real = decode.decode

    said: list[str] = []

    def held(image: Path, told: str) -> None:
        """Nothing is decoded before the second thread has said that it waits."""
        for _ in range(10_000):
            if any("waiting" in line for line in said):
                break
            time.sleep(0.01)
        real(image, told)

    monkeypatch.setattr(decode, "decode", held)
    both = [threading.Thread(target=unpack, args=(archive, tmp_path / "set", HR, said.append)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sum("unpacking 20 images" in line for line in said) == 1
    assert sum("waiting" in line for line in said) == 1
    assert len(list((tmp_path / "set" / "HR").iterdir())) == 20
