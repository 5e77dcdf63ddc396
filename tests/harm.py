"""What a file of weights may hold that runs code when it is unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Harm:
    """Leaves a file `harmed` in the working directory, once it is read carelessly."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("harmed"),))
