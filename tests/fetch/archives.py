"""Archives made for tests, and how their refusal looks."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tvqsr.errors import UserError

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


def refused(tmp_path: Path, into: Into, archive: Path, reason: str, patterns: Mapping[str, str] = HR) -> None:
    """Unpacking ends with one line that names the archive, and leaves nothing."""
    with pytest.raises(UserError) as raised:
        into(archive, patterns)
    text = str(raised.value)
    assert str(archive) in text and reason in text and "\n" not in text
    assert {path.name for path in (tmp_path / "sets").iterdir()} <= {".valid.lock"}


def message(into: Into, archive: Path, patterns: Mapping[str, str]) -> str:
    with pytest.raises(UserError) as raised:
        into(archive, patterns)
    return str(raised.value)
