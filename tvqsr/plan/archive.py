"""An archive that holds photos, wherever it can be had."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from tvqsr.plan.schema import Strict, tuple_of


class ArchiveSpec(Strict):
    """One file: its addresses, and what it must be.

    What is null is not published: it is recorded when the file is first fetched, and checked ever after.
    """

    addresses: Annotated[tuple[str, ...], BeforeValidator(tuple_of), Field(min_length=1)]
    """Mirrors of the same bytes, the preferred one first: `https://...`, `drive:ID` of a file on Google Drive, or
    `hub:OWNER/NAME/PATH@REVISION` of a file in a data set on the Hugging Face Hub (a commit, or `main`)."""
    bytes: Annotated[int, Field(gt=0)] | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")] | None = None
    """All of it, or its first digits where no more is published."""
    md5: Annotated[str, Field(pattern="^[0-9a-f]{32}$")] | None = None
