"""Records: whether each is there, complete, and of what the plan says; and what is known of the code behind them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from tvqsr.errors import UserError
from tvqsr.files import read_json, sha256
from tvqsr.plan import EntryPlan, Run
from tvqsr.plan.schema import parse
from tvqsr.plan.training import Training
from tvqsr.provenance import checkout
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.outcome import Finding, compared, failed, told_of, unchecked

MADE_BY = ("time", "command", "git", "python", "packages", "machine")


def made_images(bundle: Bundle) -> list[tuple[EntryPlan, int, str]]:
    """Entry, seed and test set of every folder of images."""
    return [
        (entry, seed, testset)
        for entry in bundle.plan.entries.values()
        for seed, testset in product(entry.seeds, bundle.plan.test_sets(entry.name))
    ]


def provenance(bundle: Bundle) -> Iterator[Finding]:
    """Whether each record tells all of what it is about, and which code made them."""
    paths, places = bundle.plan.paths, []
    for name, seed in bundle.plan.made():
        places.append(paths.run_record(name, seed))
        yield from told_of(bundle.place(places[-1]), _of_run, bundle, bundle.plan.runs[name], seed)
    for entry, seed, testset in made_images(bundle):
        places.append(paths.images_record(entry.name, seed, testset))
        yield from told_of(bundle.place(places[-1]), _of_images, bundle, entry, seed, testset)
    yield from _code({bundle.place(path): part(path, "made_by") for path in places})


def _of_run(bundle: Bundle, run: Run, seed: int) -> Iterator[Finding]:
    path = bundle.plan.paths.run_record(run.name, seed)
    record, subject = read_json(path), bundle.place(path)
    expected: dict[str, Any] = {"run": run.name, "seed": seed, "settings": dict(run.settings)}
    if run.released:
        yield _agrees(subject, record, expected)
        yield compared(subject, len(record["released"]["sha256"]) == 64, "does not say which file was released")
        return
    # Earlier versions did not write what came later: as plan.json's, it is taken for the default.
    training = parse(Training, record["training"], subject).model_dump(mode="json")
    told = expected | {"training": run.training.model_dump(mode="json"), "dataset": run.dataset}
    yield _agrees(subject, record | {"training": training}, told)
    if lacking := sorted({"data", *run.needs} - set(record["inputs_sha256"])):
        yield failed(subject, f"has no hash of its inputs {', '.join(lacking)}")
    curve = bundle.plan.paths.curve(run.name, seed)
    if curve.is_file():
        yield compared(bundle.place(curve), _last(curve) == record["final"], f"does not end as {path.name} says")
    manifest = bundle.plan.paths.manifest(run.dataset)
    if manifest.is_file() and record["inputs_sha256"]["data"] != sha256(manifest):
        yield failed(subject, f"was trained on another {run.dataset} than the bundle's")


def _last(curve: Path) -> dict[str, float]:
    """Losses of the last line of a curve."""
    with curve.open(encoding="utf-8", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    return {name: float(value) for name, value in last.items() if value}


def _of_images(bundle: Bundle, entry: EntryPlan, seed: int, testset: str) -> Iterator[Finding]:
    path = bundle.plan.paths.images_record(entry.name, seed, testset)
    run = entry.run.name if entry.run else None
    expected = {"entry": entry.name, "run": run, "seed": seed, "testset": testset, "reads": entry.reads}
    yield _agrees(bundle.place(path), read_json(path), expected)


def _agrees(subject: str, record: dict[str, Any], expected: dict[str, Any]) -> Finding:
    """Whether a record says what the plan does, and who made it, with all that belongs to that."""
    if wrong := [key for key, value in expected.items() if record[key] != value]:
        return failed(subject, f"is not of what plan.json says: it differs in {', '.join(wrong)}")
    lacking = [key for key in MADE_BY if key not in record["made_by"]]
    return compared(subject, not lacking, f"`made_by` lacks {', '.join(lacking)}")


def _code(made_by: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    """What is known of the code that made the records."""
    commits = set()
    for subject, made in made_by.items():
        git = made.get("git")
        if not isinstance(git, dict):
            yield unchecked(subject, "no git commit recorded: by which code it was made is not known")
            continue
        commit = str(git.get("commit"))[:9]
        commits.add(commit)
        if git.get("dirty"):
            yield unchecked(subject, f"made by commit {commit} with uncommitted changes, which are not known")
    if len(commits) > 1:
        yield unchecked(
            "commits", f"the records are of {len(commits)} commits, not of one: {', '.join(sorted(commits))}"
        )


@cache
def own_commit() -> str | None:
    """Commit of this installation; None if it is of none, or changed since."""
    git = checkout()
    return str(git["commit"]) if git and not git["dirty"] else None


def of_this_version(bundle: Bundle) -> bool:
    """Whether all records say that they were made by the very commit that checks them: then all words are its own."""
    paths = bundle.plan.paths
    places = [paths.images_record(entry.name, seed, testset) for entry, seed, testset in made_images(bundle)]
    places += [paths.run_record(name, seed) for name, seed in bundle.plan.made()]
    made = [part(path, "made_by").get("git") for path in places if path.is_file()]
    return {git.get("commit") if isinstance(git, dict) else None for git in made} == {own_commit() or ""}


def part(path: Path, key: str) -> dict[str, Any]:
    """A mapping in a record; empty where there is none, which the record's own check tells."""
    try:
        record = read_json(path) if path.is_file() else {}
    except UserError:
        record = {}
    found = record.get(key) if isinstance(record, dict) else None
    return found if isinstance(found, dict) else {}
