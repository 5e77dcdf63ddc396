"""Nonsense for the command line: `python -m tests.faults.fuzz --rounds 2000`. What it must never get is a traceback.

Presets with keys changed, removed, or of another kind; YAML with characters changed; image files with bytes changed or
cut off. Each is given to the step that reads it; the answer is success, or one line and code 2.
"""

from __future__ import annotations

import argparse
import io
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from tests.conftest import TINY
from tvqsr.cli import main as tvqsr

VALUES: list[Any] = [
    None, True, 0, -1, 10**30, 1.5, float("nan"), float("inf"), "", "x", "../..", "é\u202e\0", [], [None], [[]], {},
    {"a": 1}, {1: 2}, "2026-01-01", [1, "a", None], "!!python/name:os.system", "a" * 5000, ["psnr_y"] * 3,
]  # fmt: skip
"""What may stand where something else is expected."""
MARKS = "{}[]:,-#&*!|>'\"%@`\n\t \0é0"


def preset(drawn: random.Random, folder: Path) -> list[str]:
    """A preset with one to three keys replaced, removed or added, anywhere in it."""
    content = yaml.safe_load(TINY.read_text())
    for _ in range(drawn.randint(1, 3)):
        _change(drawn, content)
    try:
        text = yaml.safe_dump(content)
    except yaml.YAMLError:
        text = repr(content)
    (folder / "fuzzed.yaml").write_text(text)
    return ["plan", "--preset", "fuzzed.yaml"]


def _change(drawn: random.Random, content: Any) -> None:
    """Change something at a random depth."""
    while isinstance(content, dict) and content:
        key = drawn.choice(list(content))
        if not isinstance(content[key], dict) or not content[key] or drawn.random() < 0.3:
            break
        content = content[key]
    if not isinstance(content, dict) or not content:
        return
    how = drawn.choice(["replace", "remove", "add", "rename"])
    if how == "replace":
        content[key] = drawn.choice(VALUES)
    elif how == "remove":
        del content[key]
    elif how == "add":
        content[drawn.choice(["x", "extends", "given", "title", "training", 5, None])] = drawn.choice(VALUES)
    else:
        content[f"{key}_"] = content.pop(key)


def text(drawn: random.Random, folder: Path) -> list[str]:
    """A preset's YAML with some characters changed, or lines shuffled."""
    lines = TINY.read_text().splitlines()
    if drawn.random() < 0.2:
        drawn.shuffle(lines)
    characters = list("\n".join(lines))
    for _ in range(drawn.randint(1, 6)):
        characters[drawn.randrange(len(characters))] = drawn.choice(MARKS)
    (folder / "fuzzed.yaml").write_bytes("".join(characters).encode("utf-8", "surrogateescape"))
    return ["plan", "--preset", "fuzzed.yaml"]


def image(drawn: random.Random, folder: Path) -> list[str]:
    """An image file in some format with bytes changed, cut off, or put twice."""
    kind = drawn.choice(["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "AVIF", "DDS", "JPEG2000"])
    pixels = np.random.default_rng(drawn.randrange(2**32)).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    content = bytearray(file.getvalue())
    for _ in range(drawn.randint(1, 8)):
        content[drawn.randrange(min(len(content), drawn.choice([64, 10**9])))] = drawn.randrange(256)
    if drawn.random() < 0.3:
        del content[drawn.randrange(len(content)) :]
    (folder / "hr").mkdir(exist_ok=True)
    for old in (folder / "hr").iterdir():
        old.unlink()
    (folder / "hr" / f"a.{ENDINGS.get(kind, kind.lower())}").write_bytes(content)
    step = drawn.choice(["score", "degrade", "overlap"])
    if step == "score":
        return ["score", "--sr", "hr", "--hr", "hr", "--protocol", "psnr_y", "--crop", "0", "--threads", "1"]
    return ["degrade", "bicubic", "hr", "lr"] if step == "degrade" else ["overlap", "hr", "hr", "--threads", "1"]


ENDINGS = {"JPEG": "jpg", "GIF": "png", "PPM": "png", "AVIF": "png", "DDS": "png", "JPEG2000": "png"}
"""Where it is not the format's own: a file's ending need not tell what it is."""
FUZZERS: dict[str, Callable[[random.Random, Path], list[str]]] = {"preset": preset, "text": text, "image": image}


def answer(words: list[str]) -> str:
    """`done`, `refused`, or what is wrong with the answer."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = tvqsr(words)
    except SystemExit as stop:
        code = int(stop.code or 0) if isinstance(stop.code, int | None) else 1
    except BaseException as error:  # noqa: BLE001 (what is looked for)
        return f"WRONG: {type(error).__name__}: {' '.join(str(error).split())[:150]}"
    if code in (0, 1) and words[0] == "overlap":
        return "done"
    lines = [line for line in err.getvalue().splitlines() if line.startswith("tvqsr: error: ")]
    if code == 2 and len(lines) == 1:
        return "refused"
    return "done" if code == 0 else f"WRONG: code {code}, {len(lines)} lines of errors: {err.getvalue()[-150:]}"


def fuzzed(kind: str, rounds: int, seed: int) -> dict[str, list[int]]:
    """Answers to so many pieces of nonsense, each with the numbers of those that got it."""
    answers: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory(prefix="tvqsr-fuzz-") as work, chdir(work):
        for number in range(rounds):
            drawn = random.Random(f"{kind} {seed} {number}")  # noqa: S311 (no secret)
            answers.setdefault(answer(FUZZERS[kind](drawn, Path(work))), []).append(number)
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wrong = Counter[str]()
    for kind in FUZZERS:
        answers = fuzzed(kind, options.rounds, options.seed)
        for what, numbers in sorted(answers.items(), key=lambda item: -len(item[1])):
            print(f"{kind}: {len(numbers)} {what} (the first: {numbers[0]})", flush=True)
            wrong[kind] += len(numbers) if what.startswith("WRONG") else 0
    if wrong.total():
        raise SystemExit(1)


if __name__ == "__main__":
    main()
