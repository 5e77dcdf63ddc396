"""What unpacking may take: memory, room, bytes, members; and that it happens once."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from tests.fetch.archives import FILES, HR, Into, picture, refused, tarred, zipped
from tvqsr.errors import UserError
from tvqsr.fetch import bounds, decode
from tvqsr.fetch.unpack import unpack


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
