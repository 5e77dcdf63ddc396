"""Small files written beside and swapped in, under one fixed name, so that a killed writer's remains are overwritten.

`tvqsr.files.written_beside` names the file after its process: right where several write at once, but what a killed one
leaves stays for good. Here a lock keeps others away.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def swap_json(path: Path, value: Any) -> None:
    """Write indented JSON in one step; the caller holds the lock of what it describes."""
    beside = path.with_name(f".{path.name}.part")
    with beside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(value, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
