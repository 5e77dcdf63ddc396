"""Rows of numbers as Parquet that is told from a damaged one: a digest of all that is read from it goes along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tvqsr.errors import UserError
from tvqsr.files import content_digest, written_beside

SEAL, ORIGIN = b"tvqsr.content_sha256", b"tvqsr.made_of"
UNREADABLE = (OSError, ValueError, LookupError, TypeError, MemoryError, pa.ArrowException)
"""What libraries raise for Parquet of which some byte is another one."""


def write_rows(path: Path, rows: pd.DataFrame, made_of: str) -> None:
    """Write rows in one step, with the digest of what they were made of."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    about = {SEAL: _digest(table, made_of).encode(), ORIGIN: made_of.encode()}
    with written_beside(path) as beside:
        pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), **about}), beside)


def read_rows(path: Path) -> tuple[pd.DataFrame, str | None]:
    """Rows, and the digest of what they were made of; None where they do not tell (of an earlier version).

    Raises UserError if the file is missing, damaged, or not what was written.
    """
    try:
        # Not mapped: a file that shrinks under its reader ends the process.
        table = pq.read_table(path, memory_map=False)
        about = table.schema.metadata or {}
        made_of, sealed = about.get(ORIGIN), about.get(SEAL)
        whole = sealed is None or sealed.decode() == _digest(table, made_of.decode() if made_of else "")
        rows = table.to_pandas()
    except FileNotFoundError:
        raise UserError(f"{path}: missing; run snakemake, which scores what is not scored") from None
    except UNREADABLE as error:
        raise UserError(
            f"{path}: damaged ({' '.join(str(error).split())}); delete it and run snakemake again"
        ) from None
    if not whole:
        raise UserError(f"{path}: damaged (it is not what was written there); delete it and run snakemake again")
    return rows, made_of.decode() if made_of else None


def images_digest(record: dict[str, Any]) -> str:
    """Digest of the images that a record lists: what scores are made of."""
    return content_digest({name: image.get("sha256") for name, image in record["images"].items()})


def _digest(table: pa.Table, made_of: str) -> str:
    # `repr`, since NaN and infinities are no JSON; Python's tells every bit of a number. What pandas notes of the
    # columns decides as what it gives them back.
    columns = [[field.name, str(field.type), repr(table[field.name].to_pylist())] for field in table.schema]
    return content_digest([made_of, columns, repr((table.schema.metadata or {}).get(b"pandas"))])
