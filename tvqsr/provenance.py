"""Where, when and with what something was computed: written beside every artefact as `run.json`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PACKAGES = (
    "torch",
    "torchvision",
    "lightning-fabric",
    "numpy",
    "scikit-image",
    "pillow",
    "lpips",
    "pyiqa",
    "pandas",
    "snakemake",
    "spandrel",
)


def provenance() -> dict[str, Any]:
    """Code version, package versions and machine. GPU and driver only where torch is already loaded and sees one."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git": checkout(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "machine": {"system": platform.platform(), "cpu": _cpu(), "cores": os.cpu_count(), "gpu": _gpu()},
    }


def peak_memory_mib() -> float:
    """Peak resident memory of this process, in MiB, with the pages of a pixel store that it has touched: file cache."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def checkout() -> dict[str, Any] | None:
    """Commit of the code that runs, and whether it differs from it; None outside a checkout."""
    folder = Path(__file__).resolve().parent.parent

    def ask(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _gpu() -> dict[str, Any] | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return {
        "name": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "driver": _nvidia_driver(),
        "peak_memory_mib": round(torch.cuda.max_memory_allocated() / 2**20, 1),
    }


def _nvidia_driver() -> str | None:
    try:
        return Path("/proc/driver/nvidia/version").read_text().splitlines()[0]
    except OSError:
        return None
