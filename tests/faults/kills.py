"""kill -9 at random moments of a whole small graph of jobs: `python -m tests.faults.kills --kills 50 --json LOG`.

After each kill the same command is run again, as a user would. When the graph is done, all weights, curves, images,
scores, tables and verdicts are compared with those of an undisturbed run, to the bit; then it starts anew, until there
were so many kills. Moments drawn over the whole graph fall into its long jobs; `--at STEP` waits until one of these
runs, and kills within its first seconds.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from PIL import Image
from safetensors.numpy import load_file

from tests.conftest import ROOT, TINY
from tvqsr.console import say
from tvqsr.files import write_json
from tvqsr.provenance import provenance
from tvqsr.rows import read_rows

SNAKEMAKE = Path(sys.executable).with_name("snakemake")
GRAPH = ("entries=[bicubic, vq_rec, tvqrap]", "training={iterations: 30}", "runtime={checkpoint_seconds: 0.3}")
"""Four trainings, three of which need one another, that write many checkpoints; images, scores and the report."""
CORES = "2"
KINDS = {"everything": 0.6, "the job": 0.2, "snakemake": 0.2}
"""What is killed, how often: with Snakemake alone gone, its jobs run on beside those of the next one."""
EARLIEST = 5.0
"""Seconds after the start: before, Snakemake plans."""
AIMED = 4.0
"""Most seconds after the start of a job that was waited for."""
LOCKED = "Directory cannot be locked"
LOOK = 0.05
"""Seconds between two looks at what runs."""


@dataclass(frozen=True)
class Moment:
    """When to kill what: seconds after the start of Snakemake or, given its step, of a job."""

    what: str
    seconds: float
    at: str = ""


@dataclass
class Kill:
    """One kill: how many seconds after the start, of what, and which jobs ran."""

    what: str
    seconds: float
    running: list[str]
    done: int
    """Outputs that were finished by then."""


@dataclass
class Round:
    """From nothing to a finished graph."""

    kills: list[Kill] = field(default_factory=list)
    reruns: int = 0
    unlocked: int = 0
    """How often the lock had to be taken off by hand: killed between taking and noting it."""
    differs: list[str] = field(default_factory=list)
    """Files that are not those of the undisturbed run."""


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """Snakemake on the small graph with results below a folder, in a process group of its own; told in `said.log`."""
    options = ["--snakefile", ROOT / "Snakefile", "--directory", folder, "--cores", CORES, *words]
    command = [SNAKEMAKE, *options, "--config", f"preset={TINY}", *GRAPH]
    environment = os.environ | {"PATH": f"{SNAKEMAKE.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    with (folder / "said.log").open("ab") as said:
        return subprocess.Popen([str(word) for word in command], stdout=said, stderr=said, env=environment)


def undisturbed(folder: Path) -> float:
    """Run the graph once, anew; returns the seconds it took."""
    began = time.perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if start(folder).wait() != 0:
        raise SystemExit((folder / "said.log").read_text()[-3000:])
    return time.perf_counter() - began


def killed_round(folder: Path, moments: Iterator[Moment], kills: int) -> Round:
    """Run the graph to its end, killed at such moments, so many times at most."""
    this = Round()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    while True:
        process = start(folder)
        moment, began = next(moments), time.perf_counter()
        try:
            if moment.at:
                _wait_for(process, moment.at)
            code = process.wait(moment.seconds if len(this.kills) < kills else None)
        except subprocess.TimeoutExpired:
            this.kills.append(_kill(process, folder, moment.what, time.perf_counter() - began))
            say(f"  {this.kills[-1]}")
        else:
            if code == 0:
                return this
            if not this.kills:
                raise SystemExit((folder / "said.log").read_text()[-3000:])
            if LOCKED in (folder / "said.log").read_text():
                this.unlocked += 1
                shutil.rmtree(folder / ".snakemake" / "locks")
        (folder / "said.log").unlink()
        this.reruns += 1


def _wait_for(process: subprocess.Popen[bytes], step: str) -> None:
    """Until a job of that step runs, or Snakemake has ended."""
    while process.poll() is None:
        if any(_step(child).startswith(f"{step} ") for child in _below(process.pid)):
            return
        time.sleep(LOOK)


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill(process: subprocess.Popen[bytes], folder: Path, what: str, seconds: float) -> Kill:
    engine = psutil.Process(process.pid)
    below = engine.children(recursive=True)
    jobs = [child for child in below if _step(child)]
    victims = {"everything": [engine, *below], "the job": jobs or [engine, *below], "snakemake": [engine]}[what]
    running = sorted({_step(job).strip() for job in jobs})
    done = len(list(folder.glob("results/*/*/**/*.*")))
    for victim in victims:
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()
    return Kill(what, round(seconds, 1), running, done)


def _step(process: psutil.Process) -> str:
    """`train vq.tokenizer-...` of a job's process; empty for any other."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return ""
    at = next((place for place, word in enumerate(words[:3]) if Path(word).name == "tvqsr"), None)
    if at is None or len(words) < at + 3 or not Path(words[0]).name.startswith("python"):
        return ""
    return " ".join([words[at + 1], *words[at + 3 : at + 5], ""])


def _of(folder: Path) -> list[psutil.Process]:
    """Jobs that a killed Snakemake left running in a folder."""
    return [process for process in psutil.process_iter() if _step(process) and _cwd(process) == folder.resolve()]


def _cwd(process: psutil.Process) -> Path | None:
    try:
        return Path(process.cwd())
    except psutil.Error:
        return None


COMPARED: dict[str, Callable[[Path], Any]] = {
    "runs/*/*/weights.safetensors": lambda path: {name: value.tobytes() for name, value in load_file(path).items()},
    "runs/*/*/curve.csv": Path.read_bytes,
    "images/*/*/*/*.png": lambda path: (path.read_bytes(), Image.open(path).tobytes()),
    "scores/*/*/*.parquet": lambda path: read_rows(path)[0].to_dict("list").__repr__(),
    "tables/*.*": Path.read_bytes,
    "claims.csv": Path.read_bytes,
    "data/*/*.u8": Path.read_bytes,
}
"""What is compared, and by what of it."""


def differing(one: Path, other: Path) -> tuple[list[str], Counter[str]]:
    """Files of two results folders that are not equal to the bit, or are in one alone; and how many were compared."""
    differs, counted = [], Counter[str]()
    for pattern, content in COMPARED.items():
        names = {path.relative_to(root) for root in (one, other) for path in root.glob(pattern)}
        for name in sorted(names):
            counted[pattern] += 1
            both = (one / name).is_file() and (other / name).is_file()
            if not both or content(one / name) != content(other / name):
                differs.append(str(name))
    return differs, counted


def moments_of(seed: int, within: float, steps: Sequence[str] = ()) -> Iterator[Moment]:
    """Without end: within so many seconds after the start or, given steps, in one after the other of these."""
    drawn = random.Random(seed)  # noqa: S311 (no secret)
    for step in itertools.cycle(steps or [""]):
        what = drawn.choices(list(KINDS), list(KINDS.values()))[0]
        yield Moment(what, drawn.uniform(0, AIMED) if step else drawn.uniform(EARLIEST, within), step)


def run(folder: Path, kills: int, moments: Iterator[Moment]) -> dict[str, Any]:
    """All kills, and what came of them."""
    if not (folder / "undisturbed" / "results" / "tiny" / "report.html").is_file():
        say(f"undisturbed: {undisturbed(folder / 'undisturbed'):.0f} s")
    counted = Counter[str]()
    rounds: list[Round] = []
    while sum(len(this.kills) for this in rounds) < kills:
        place = folder / f"round{len(rounds)}"
        this = killed_round(place, moments, kills - sum(len(before.kills) for before in rounds))
        psutil.wait_procs(_of(place))
        this.differs, counted = differing(*(root / "results" / "tiny" for root in (folder / "undisturbed", place)))
        rounds.append(this)
        say(f"round {len(rounds)}: {len(this.kills)} kills, {sum(counted.values())} files compared, {this.differs}")
        shutil.rmtree(place)
    all_kills = [kill for this in rounds for kill in this.kills]
    return {
        "kills": len(all_kills),
        "rounds": len(rounds),
        "unlocked_by_hand": sum(this.unlocked for this in rounds),
        "differing_files": [name for this in rounds for name in this.differs],
        "compared": dict(counted),
        "by_what": dict(Counter(kill.what for kill in all_kills)),
        "by_step": dict(Counter(name.split()[0] for kill in all_kills for name in kill.running or ["between jobs"])),
        "log": [asdict(this) for this in rounds],
        "made_by": provenance(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the log here")
    parser.add_argument("--within", type=float, default=30.0, metavar="SECONDS", help="after each start")
    parser.add_argument(
        "--at", action="append", default=[], metavar="STEP", help="in this step; may be given several times"
    )
    parser.add_argument("--work", type=Path, help="where to work; an undisturbed run that is there is taken as it is")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tvqsr-kills-") as work:
        moments = moments_of(options.seed, options.within, options.at)
        result = run(options.work or Path(work), options.kills, moments)
    if options.json:
        write_json(options.json, result)
    table = pd.Series(
        {
            key: str(result[key])
            for key in ("kills", "rounds", "by_what", "by_step", "unlocked_by_hand", "differing_files")
        }
    )
    print(table.to_string())
    if result["differing_files"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
