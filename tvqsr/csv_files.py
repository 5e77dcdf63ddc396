"""CSV files with their SHA-256 beside them, as `sha256sum --check` reads it, so that no changed digit is believed."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvqsr.errors import UserError
from tvqsr.files import write_text

if TYPE_CHECKING:
    import pandas as pd

AGAIN = "delete it and run snakemake again"


def digest_of(path: Path) -> Path:
    """Where the digest of a CSV file is."""
    return path.with_name(f"{path.name}.sha256")


def write_csv(path: Path, text: str) -> None:
    """Write a CSV file, after its digest: in between, the file that was there counts as damaged."""
    write_text(digest_of(path), f"{hashlib.sha256(text.encode()).hexdigest()}  {path.name}\n")
    write_text(path, text)


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """A CSV file that a step of ours wrote, read by pandas with such options.

    Without a digest (of an earlier version, published, written by hand) it is taken as it is.
    Raises UserError if it is missing, damaged, or not what was written.
    """
    import pandas as pd  # not where one only writes: trainings do

    try:
        content, digest = path.read_bytes(), digest_of(path)
        if digest.is_file() and not digest.read_text(encoding="utf-8").startswith(hashlib.sha256(content).hexdigest()):
            raise UserError(f"{path}: damaged, or changed by hand (its SHA-256 is not that in {digest.name}); {AGAIN}")
        return pd.read_csv(io.BytesIO(content), **options)
    except FileNotFoundError:
        raise UserError(f"{path}: missing; run snakemake to the end first") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: damaged ({' '.join(str(error).split())}); {AGAIN}") from None
