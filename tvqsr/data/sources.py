"""Photos by name: files of the scikit-image wheel, checked archives, and the user's own folders."""

from __future__ import annotations

import importlib.metadata
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tvqsr.errors import UserError
from tvqsr.plan.catalogue import ArchiveSource, SkimageSource, photo_folders, source_of
from tvqsr.plan.folders import IMAGE_SUFFIXES, named_images, named_like
from tvqsr.plan.preset import DatasetSpec


@dataclass(frozen=True)
class Photos:
    """What is known of a dataset, and its files by name: HR, LR, or both; where both, the names are equal."""

    title: str
    licence: str
    hr: dict[str, Path]
    lr: dict[str, Path]


def obtain(dataset: DatasetSpec, data_folder: str, workspace: Path, report: Callable[[str], None]) -> Photos:
    """Make the photos of a dataset present and list them; what must be fetched or unpacked goes into `workspace`.

    Raises UserError for what is missing, saying where it belongs.
    """
    hr_folder, lr_folder = photo_folders(dataset, data_folder)
    if dataset.source is None:
        return _given(f"photos in {hr_folder or lr_folder}", "the user's own", hr_folder, lr_folder)
    source = source_of(dataset.source, "dataset")
    if isinstance(source, SkimageSource):
        return Photos(source.title, source.licence, _skimage_files(source), {})
    if isinstance(source, ArchiveSource):
        return Photos(source.title, source.licence, _archive_files(source, workspace, report), {})
    for folder in (hr_folder, lr_folder):
        if folder and not folder.is_dir():
            raise UserError(
                f"{folder}: no such folder; {source.title} ({source.photos} photos) cannot be fetched by a program: "
                f"get it at {source.url} and put it there, or name its place with `--config data_folder=DIR`"
                + (" (to train on photos of your own: `train_photos=DIR`)" if lr_folder is None else "")
            )
    found = _given(source.title, source.licence, hr_folder, lr_folder)
    if (count := len(found.hr or found.lr)) != source.photos:
        report(f"{source.title}: {count} photos found, {source.photos} expected; scores will not be comparable")
    return found


def _given(title: str, licence: str, hr_folder: Path | None, lr_folder: Path | None) -> Photos:
    """Photos of one or two folders. Raises UserError naming a file without partner.

    LR may be named like HR, or end in `x4` beyond that, as public sets have it.
    """
    hr, lr = (named_images(folder) if folder else {} for folder in (hr_folder, lr_folder))
    if hr_folder and lr_folder:
        lr = named_like(lr, hr)
        for ours, others, folder in ((hr, lr, lr_folder), (lr, hr, hr_folder)):
            if alone := sorted(set(ours) - set(others)):
                raise UserError(f"{ours[alone[0]]}: has no partner of that name in {folder}")
    return Photos(title, licence, hr, lr)


def _skimage_files(source: SkimageSource) -> dict[str, Path]:
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    version = importlib.metadata.version("scikit-image")
    for name in source.files:
        if not (folder / name).is_file():
            raise UserError(
                f"scikit-image {version} does not carry {name}; install the version that pyproject.toml names"
            )
    return {Path(name).stem: folder / name for name in sorted(source.files)}


def _archive_files(source: ArchiveSource, workspace: Path, report: Callable[[str], None]) -> dict[str, Path]:
    archive = _fetched(source, workspace / "downloads", report)
    folder = workspace / "unpacked"
    if not folder.is_dir():
        report(f"unpacking {archive.name}")
        beside = workspace / ".unpacked.part"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        _unpack(archive, beside)
        beside.rename(folder)
    return named_images(folder)


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
