"""Having images made again by a process of its own, within a time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tvqsr.plan import EntryPlan
from tvqsr.verify.bundle import Bundle


@dataclass
class Folder:
    """Images of an entry, seed and test set; those that are wanted, and what came of them."""

    entry: EntryPlan
    seed: int
    testset: str
    record: dict[str, Any]
    images: list[str]
    """All that can be made again."""
    wanted: list[str]
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    """What the network is, and, if all images were made again, how its codes are used."""
    equal: bool = True
    """Whether those made again are equal to the bit, so far."""
    wrong: str = ""
    failure: str = ""

    def __str__(self) -> str:
        return f"{self.entry.name} seed {self.seed} on {self.testset}"

    @property
    def on_cpu(self) -> bool:
        return self.record["device"] == "cpu"


def make(bundle: Bundle, folders: Sequence[Folder], place: Path, seconds: float) -> None:
    """Have the wanted images made in a process of its own, and note what came of it until the time was up."""
    requests = [
        {
            "entry": folder.entry.name,
            "seed": folder.seed,
            "testset": folder.testset,
            "images": folder.wanted,
            "threads": folder.record["threads"] if isinstance(folder.record["threads"], int) else 1,
        }
        for folder in folders
    ]
    command = [sys.executable, "-m", "tvqsr.verify.remaking", str(bundle.root.resolve()), str(place)]
    told, ended = place / "answers", ""
    with told.open("w") as answers, (place / "errors").open("w") as errors:
        try:
            done = subprocess.run(
                command,
                input=json.dumps(requests),
                text=True,
                stdout=answers,
                stderr=errors,
                timeout=seconds,
                check=False,
            )
            ended = f"its process ended with code {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            ended = f"not made again within {seconds:g} s (`--seconds S` gives more)"
    for line in told.read_text().splitlines():
        if line.endswith("}"):  # The last line of a process that was ended may be half of one.
            _note(folders, json.loads(line))
    for folder in folders:
        if ended and not folder.made and not folder.wrong and not folder.failure:
            folder.failure = ended


def _note(folders: Sequence[Folder], answer: dict[str, Any]) -> None:
    folder = folders[answer.pop("request")]
    if "image" in answer:
        folder.made[answer["image"]] = answer
    elif "wrong" in answer:
        folder.wrong = answer["wrong"]
    elif "failure" in answer:
        folder.failure = answer["failure"]
    else:
        folder.about = answer
