"""Whether the plan is what its preset gives: entries under their methods, runs under the names of their settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tvqsr.plan import EntryPlan, Run
from tvqsr.plan.catalogue import dataset_identity
from tvqsr.plan.digest import digest
from tvqsr.plan.entries import plan_entry
from tvqsr.plan.given import marked
from tvqsr.plan.paths import PLAN_FILE
from tvqsr.plan.preset import DatasetSpec, EntrySpec
from tvqsr.plan.runs import LPIPS_PRESENT, RunBuilder
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.extent import own_preset
from tvqsr.verify.outcome import Finding, compared, failed, ok, told_of, unchecked
from tvqsr.verify.records import of_this_version

OTHER_RULES = "is not what this version makes of the preset in plan.json, which another version wrote"


def resolved(bundle: Bundle) -> Iterator[Finding]:
    """Whether each entry is what the preset declares, and each run is named by what it computes."""
    same_version = of_this_version(bundle)
    for name, run in bundle.plan.runs.items():
        yield from told_of(name, _named, bundle, run)
    builder = RunBuilder(_portable(bundle), PLAN_FILE)
    for name, entry in bundle.plan.entries.items():
        for finding in told_of(f"entry {name}", _entry, bundle, entry, builder):
            other = finding.status == "failed" and not same_version
            yield unchecked(finding.subject, f"{OTHER_RULES}: {finding.why}") if other else finding
    yield from _titles(bundle)


def _portable(bundle: Bundle) -> Any:
    """The preset, with no folder of theirs in it: planning would look into it."""
    preset = bundle.plan.preset
    here = DatasetSpec(source="skimage_train")
    sets = {name: here if spec.folder or spec.lr_folder else spec for name, spec in preset.datasets.items()}
    return preset.model_copy(update={"datasets": sets})


def _named(bundle: Bundle, run: Run) -> Iterator[Finding]:
    """Whether the digest in a run's name is that of what the plan says it computes."""
    subject = f"{run.name} (digest)"
    computes: dict[str, Any] = {"method": run.method.name, "stage": run.stage, "settings": dict(run.settings)}
    if run.released:
        identity = run.spec.released.identity if run.spec.released else None
        computes["released"] = identity
    else:
        spec = bundle.plan.preset.datasets[run.dataset]
        if spec.folder or spec.lr_folder:
            yield unchecked(subject, "names the maker's own photos, which are not here")
            return
        computes |= {"training": run.training.model_dump(mode="json"), "data": dataset_identity(spec, PLAN_FILE)}
    computes["needs"] = {name: need.name for name, need in run.needs.items()}
    if digest(computes) == run.digest:
        yield ok(subject)
    elif of_this_version(bundle):
        yield failed(subject, "is not the digest of what plan.json says that it computes")
    else:
        yield unchecked(subject, OTHER_RULES)


def _entry(bundle: Bundle, entry: EntryPlan, builder: RunBuilder) -> Iterator[Finding]:
    subject = f"entry {entry.name}"
    spec = bundle.plan.preset.entries.get(entry.name)
    if spec is None:
        yield failed(subject, "is not in the preset")
        return
    made = plan_entry(builder, entry.name, spec, PLAN_FILE)
    wrong = [key for key in ("title", "seeds", "reads", "given") if getattr(made, key) != getattr(entry, key)]
    wrong += ["method"] if made.method.name != entry.method.name else []
    wrong += _runs(made.run, entry.run, bundle, spec)
    yield compared(subject, not wrong, f"differs from the preset in {', '.join(dict.fromkeys(wrong))}")


def _runs(made: Run | None, stored: Run | None, bundle: Bundle, spec: EntrySpec) -> list[str]:
    """In what the runs behind an entry differ; whether LPIPS was at hand, the machine decides."""
    if made is None or stored is None:
        return [] if made is stored else ["run"]
    mine, theirs = made.lineage(), stored.lineage()
    if [(run.method.name, run.stage) for run in mine] != [(run.method.name, run.stage) for run in theirs]:
        return ["run"]
    free = _set_by_machine(bundle, spec)
    wrong = []
    for one, other in zip(mine, theirs, strict=True):
        about = f"{one.method.name}.{one.stage}"
        keys = one.settings.keys() | other.settings.keys()
        wrong += [f"{about}.{key}" for key in sorted(keys - free) if one.settings.get(key) != other.settings.get(key)]
        wrong += [f"{about}.{key}" for key in ("training", "dataset") if getattr(one, key) != getattr(other, key)]
    return wrong


def _set_by_machine(bundle: Bundle, spec: EntrySpec) -> set[str]:
    """Settings whose value is whatever was there."""
    changes = [*spec.stages.values(), *(stage for of in bundle.plan.preset.methods.values() for stage in of.values())]
    return {key for change in changes for key, value in change.settings.items() if value == LPIPS_PRESENT}


def _titles(bundle: Bundle) -> Iterator[Finding]:
    """Titles are the preset's own words, and need not tell of which method a row is; ours are known here."""
    ours, theirs = own_preset(bundle), bundle.plan.preset.entries
    own = {
        name: entry
        for name, entry in bundle.plan.entries.items()
        if entry.title != marked(entry.method.spec.title, entry.method)
        and not (ours and name in theirs and ours.entries.get(name) == theirs[name])
    }
    if own:
        told = ", ".join(f"`{entry.title}` is of `{entry.method.name}`" for entry in own.values())
        yield unchecked("titles", f"are the preset's words: {told}")
