"""`photos.parquet`: a prepared set as a table of photos, to be looked at with `datasets` or pushed to a Hub.

`load_dataset("parquet", data_files="results/mini/data/photos_test/photos.parquet")`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tvqsr.files import sha256, written_beside

FILE = "photos.parquet"
GROUP_BYTES, GROUP_ROWS = 64 * 2**20, 1000
"""Largest size of what is written, and held in memory, at a time."""


def write_parquet(
    folder: Path, images: Sequence[Mapping[str, Any]], files: Mapping[str, Mapping[str, Path]], embedded: bool
) -> str:
    """Write `FILE` of a prepared set; returns its SHA-256.

    A row holds what the manifest says of an image (`images`), and before that an image column for each kind of `files`
    (`hr`, `lr`; by name) that is there. The bytes of a test set's PNGs are `embedded`. A training set's photos are only
    referred to, by path, since they may be hundreds of gigabytes: its columns show photos as they lie in their files,
    before anything was `cut`, and show nothing where the files have gone. The same photos give the same bytes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features, Image

    kinds = [kind for kind in files if files[kind]]
    features = Features(
        {"name": _feature("")}
        | {kind: Image() for kind in kinds}
        | {key: _feature(value) for key, value in images[0].items() if key != "name"}
    )
    # Rows are streamed: `Dataset.to_parquet` would need all PNGs in memory.
    schema = features.arrow_schema
    rows = ({**image} | {kind: _cell(files[kind][image["name"]], embedded) for kind in kinds} for image in images)
    with written_beside(folder / FILE) as beside:
        with pq.ParquetWriter(beside, schema) as writer:
            for group in _groups(rows, kinds):
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
        written = sha256(beside)
    return written


def _feature(value: Any) -> Any:
    from datasets import Value

    if isinstance(value, dict):
        return {key: _feature(inner) for key, inner in value.items()}
    return Value("int32" if isinstance(value, int) else "string")


def _cell(file: Path, embedded: bool) -> dict[str, Any]:
    """An image as `datasets` stores it."""
    if embedded:
        return {"bytes": file.read_bytes(), "path": f"{file.parent.name}/{file.name}"}
    return {"bytes": None, "path": str(file.resolve())}


def _groups(rows: Iterator[dict[str, Any]], kinds: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(row[kind]["bytes"] or b"") for kind in kinds)
        if size >= GROUP_BYTES or len(group) == GROUP_ROWS:
            yield group
            group, size = [], 0
    if group:
        yield group
