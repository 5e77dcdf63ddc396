"""Single bits turned round and files cut off, and what the steps make of them: `python -m tests.faults.damage RESULTS`.

RESULTS are finished ones. Each damaged file is read by what reads it in the workflow. It may be refused by name, or be
made anew; or what was read is what was written (a space in JSON). Anything else is a fault of ours.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tvqsr.csv_files import read_csv
from tvqsr.data.crops import CropSampler
from tvqsr.data.manifest import check_file, read_pairs
from tvqsr.errors import UserError
from tvqsr.files import read_json, write_json
from tvqsr.plan.stored import record, stored_plan
from tvqsr.provenance import provenance
from tvqsr.rows import read_rows
from tvqsr.train.checkpoint import read_state
from tvqsr.train.weights import load_trained

Reader = Callable[[Path, Path], Any]
"""Of results and a file in them: what a step gets of the file."""


plan_of = cache(stored_plan)
"""For readers of other files than the plan itself."""


def _weights(results: Path, file: Path) -> Any:
    plan = plan_of(results)
    trained = load_trained(plan, plan.run(file.parent.parent.name), int(file.parent.name.removeprefix("seed")))
    return {name: tensor.numpy().tobytes() for name, tensor in trained.weights.items()}


def _store(_: Path, file: Path) -> Any:
    plan = plan_of(file.parents[2])
    run = next(iter(plan.runs.values()))
    sampler = CropSampler(file.parent, run.training, 0, with_lr=False)
    for photo in sampler.photos:
        sampler._check_once(photo)
    return [[part.tobytes() for part in photo.pixels or ()] for photo in sampler.photos]


def _made_png(_: Path, file: Path) -> Any:
    check_file(file, read_json(file.with_name("run.json"))["images"][file.stem]["sha256"])
    return file.read_bytes()


def _test_png(_: Path, file: Path) -> Any:
    return [pair.lr().tobytes() for pair in read_pairs(file.parents[1])]


READERS: dict[str, tuple[str, Reader]] = {
    "plan": ("plan.json", lambda results, _: record(stored_plan(results))),
    "manifest": ("data/photos_test/manifest.json", lambda _, file: read_json(file)),
    "overlap": ("data/photos_train/overlap.json", lambda _, file: read_json(file)),
    "training's record": ("runs/vq.tokenizer-*/seed0/run.json", lambda _, file: read_json(file)),
    "images' record": ("images/vq/seed0/photos_test/run.json", lambda _, file: read_json(file)),
    "weights": ("runs/vq.tokenizer-*/seed0/weights.safetensors", _weights),
    "checkpoint": ("runs/vq.tokenizer-*/seed0/state/checkpoint.pt", lambda _, file: repr(read_state(file))),
    "scores": ("scores/vq/seed0/photos_test.parquet", lambda _, file: repr(read_rows(file)[0].to_dict("list"))),
    "table": ("tables/main.photos_test.csv", lambda _, file: read_csv(file).to_csv()),
    "verdicts": ("claims.csv", lambda _, file: read_csv(file).to_csv()),
    "curve": ("runs/vq.tokenizer-*/seed0/curve.csv", lambda _, file: read_csv(file).to_csv()),
    "pixel store": ("data/photos_train/hr.u8", _store),
    "test photo": ("data/photos_test/LR/*.png", _test_png),
    "made image": ("images/vq/seed0/photos_test/*.png", _made_png),
}
"""Kinds of files: where one is, and what reads it."""


@dataclass(frozen=True)
class Damage:
    """A bit of a byte turned round; or, without one, the file cut off before that byte."""

    position: int
    bit: int | None

    def of(self, content: bytes) -> bytes:
        if self.bit is None:
            return content[: self.position]
        changed = content[self.position] ^ (1 << self.bit)
        return content[: self.position] + bytes([changed]) + content[self.position + 1 :]


def damages(size: int, flips: int, cuts: int, seed: int) -> Iterator[Damage]:
    """So many of each, or one at every byte where there are no more; of more than a few, the file's ends are
    among them.
    """
    drawn = random.Random(seed)  # noqa: S311 (no secret)
    ends = {*range(min(16, size)), *range(max(0, size - 16), size)}
    for count, cut in ((flips, False), (cuts, True)):
        inner = range(size) if size <= count else drawn.sample(range(size), count)
        for position in sorted({*inner, *ends}):
            yield Damage(position, None if cut else drawn.randrange(8))


def outcome(reader: Reader, results: Path, file: Path, whole: Any) -> str:
    """`refused`, `harmless`, `made anew`, or what went wrong."""
    try:
        found = reader(results, file)
    except UserError as error:
        named = file.name in str(error) or str(file.parent) in str(error)
        return "refused" if named else f"WRONG: refused without its name: {error}"
    except Exception as error:  # noqa: BLE001 (any other is what is looked for)
        return f"WRONG: {type(error).__name__}: {str(error)[:200]}"
    if found == whole:
        return "harmless"
    return "made anew" if found in (None, "None") else "WRONG: read as something else"


def swept(results: Path, kind: str, flips: int, cuts: int, seed: int = 0) -> Counter[str]:
    """Outcomes of all damages of one file of a kind, which is whole again afterwards."""
    pattern, reader = READERS[kind]
    file = next(results.glob(pattern))
    content, whole = file.read_bytes(), reader(results, file)
    counted = Counter[str]()
    try:
        for damage in damages(len(content), flips, cuts, seed):
            file.write_bytes(damage.of(content))
            counted[outcome(reader, results, file, whole)] += 1
    finally:
        file.write_bytes(content)
    return counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--flips", type=int, default=5000, help="of each file, at most")
    parser.add_argument("--cuts", type=int, default=500, help="of each file, at most")
    parser.add_argument("--json", type=Path, help="write the counts here")
    options = parser.parse_args()
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="tvqsr-damage-") as work:
        copy = Path(work) / options.results.name
        shutil.copytree(options.results, copy)
        for kind in READERS:
            told[kind] = dict(swept(copy, kind, options.flips, options.cuts))
            print(f"{kind}: {told[kind]}", flush=True)
    if options.json:
        write_json(options.json, {"outcomes": told, "made_by": provenance()})
    if any(name.startswith("WRONG") for counts in told.values() for name in counts):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
