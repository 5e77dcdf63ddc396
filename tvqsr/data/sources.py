"""Photos by name: files of the scikit-image wheel, checked archives, and the user's own folders."""

from __future__ import annotations

import importlib.metadata
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.plan.catalogue import ArchiveSource, SkimageSource, source_of
from tvqsr.plan.folders import IMAGE_SUFFIXES, image_files
from tvqsr.plan.preset import DatasetSpec


@dataclass(frozen=True)
class Photos:
    """Where the files of a dataset lie, and what is known about them."""

    title: str
    licence: str
    files: list[Path]


def obtain(dataset: DatasetSpec, workspace: Path, report: Callable[[str], None]) -> Photos:
    """Make the photos of a dataset present and list them; what must be fetched or unpacked goes into `workspace`."""
    if dataset.folder is not None:
        return Photos(f"photos in {dataset.folder}", "the user's own", image_files(Path(dataset.folder)))
    source = source_of(dataset.source or "", "dataset")
    if isinstance(source, SkimageSource):
        return Photos(source.title, source.licence, _skimage_files(source))
    return Photos(source.title, source.licence, _archive_files(source, workspace, report))


def _skimage_files(source: SkimageSource) -> list[Path]:
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    version = importlib.metadata.version("scikit-image")
    for name in source.files:
        if not (folder / name).is_file():
            raise UserError(
                f"scikit-image {version} does not carry {name}; install the version that pyproject.toml names"
            )
    return [folder / name for name in sorted(source.files)]


def _archive_files(source: ArchiveSource, workspace: Path, report: Callable[[str], None]) -> list[Path]:
    archive = _fetched(source, workspace / "downloads", report)
    folder = workspace / "unpacked"
    if not folder.is_dir():
        report(f"unpacking {archive.name}")
        beside = workspace / ".unpacked.part"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        _unpack(archive, beside)
        beside.rename(folder)
    return image_files(folder)


def _fetched(source: ArchiveSource, folder: Path, report: Callable[[str], None]) -> Path:
    import pooch

    name = source.url.rsplit("/", 1)[-1]
    report(f"fetching {name} ({source.bytes / 1e9:.2f} GB) from {source.url}")
    try:
        path = pooch.retrieve(
            source.url,
            f"sha256:{source.sha256}",
            fname=name,
            path=folder,
            downloader=pooch.HTTPDownloader(timeout=60, progressbar=False),
        )
    except (OSError, ValueError) as error:
        # pooch raises ValueError for a wrong hash, requests' errors are OSErrors.
        reason = str(error).splitlines()[0][:200]
        raise UserError(
            f"{source.url}: cannot be fetched ({reason}); "
            f"put the file by hand at {folder / name}, sha256 {source.sha256}"
        ) from None
    return Path(path)


def _unpack(archive: Path, folder: Path) -> None:
    """Write the images of a zip flat into `folder`: member paths are never followed, so none can lead outside."""
    with zipfile.ZipFile(archive) as content:
        for member in content.infolist():
            name = Path(member.filename).name
            if member.is_dir() or Path(name).suffix.lower() not in IMAGE_SUFFIXES or name.startswith("."):
                continue
            with content.open(member) as source, (folder / name).open("xb") as target:
                shutil.copyfileobj(source, target)
