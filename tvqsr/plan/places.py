"""Where sets of photos and the archives of them lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tvqsr.plan.catalogue import set_folder, sides_of
from tvqsr.plan.preset import DatasetSpec, Preset


@dataclass(frozen=True)
class Places:
    """Where sets and archives lie."""

    data: str = "datasets"
    archives_dir: str | None = None

    @classmethod
    def of(cls, preset: Preset) -> Places:
        return cls(preset.data_folder, preset.archives_dir)

    @property
    def archives(self) -> Path:
        return Path(self.archives_dir) if self.archives_dir else Path(self.data) / "archives"


def is_present(dataset: DatasetSpec, places: Places) -> bool:
    """Whether a set has all its folders, none of them empty; what they hold is not looked at."""
    root = set_folder(dataset, places.data)
    return root is not None and all(is_filled(root / side) for side in sides_of(dataset))


def is_filled(folder: Path) -> bool:
    """Whether a folder is there and holds anything."""
    return folder.is_dir() and any(folder.iterdir())
