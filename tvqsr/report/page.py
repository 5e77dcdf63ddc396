"""`report.html`: one page that needs nothing else, neither network nor files beside it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape

from tvqsr import __version__
from tvqsr.data.apart import told
from tvqsr.files import read_json, write_text
from tvqsr.plan import EntryPlan, Plan
from tvqsr.plan.method import Method
from tvqsr.provenance import provenance
from tvqsr.report.efficiency import HEADING, cost_records
from tvqsr.report.efficiency import grid as cost_grid
from tvqsr.report.efficiency import notes as cost_notes
from tvqsr.report.tables import grid, heading, notes, plain_words

FIGURE_CAPTIONS = {
    "strip": "The same textured crop of every test photo: LR enlarged by blocks, each entry (first seed), HR.",
    "plane": "Perception against distortion; bars are 95% bootstrap intervals over images, hollow markers read HR.",
    "curves": "Losses over the iterations (running means), a line style for each seed.",
    "codebook": "Reconstruction of HR against the size of the codebook; bars are 95% bootstrap intervals over images.",
    "codes": "How often each code is decoded on the test set; a flat line is even use.",
    "cost": "Parameters used in inference, and time on the machine named below, against quality.",
}


def write_page(plan: Plan) -> None:
    """Render the page from the tables, figures, verdicts and records of a plan."""
    environment = Environment(
        loader=PackageLoader("tvqsr.report"),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html")
    write_text(plan.paths.report, template.render(**_content(plan)))


def _content(plan: Plan) -> dict[str, Any]:
    runs = [_run_row(plan, run, seed) for run, seed in plan.made()]
    return {
        "name": plan.name,
        "preset": plan.preset,
        "version": __version__,
        "tables": _tables(plan),
        "costs": _costs(plan) if plan.preset.efficiency else None,
        "figures": [
            {"name": name, "caption": _caption(plan, name), "data": _inlined(plan.paths.figure(name))}
            for name in plan.figures
        ],
        "orderings": _orderings(pd.read_csv(plan.paths.claims, keep_default_na=False)),
        "claims": pd.read_csv(plan.paths.claims, keep_default_na=False).to_dict("records"),
        "methods": [{"spec": method.spec, "variants": variants(plan, method)} for method in plan.methods.values()],
        "datasets": {name: read_json(plan.paths.manifest(name)) for name in plan.used_datasets},
        "runs": runs,
        "given": [
            _given_row(plan, entry, testset)
            for entry in plan.entries.values()
            if entry.given
            for testset in plan.test_sets(entry.name)
        ],
        "overlaps": told(plan),
        "made_by": provenance(),
    }


def _caption(plan: Plan, figure: str) -> str:
    """What a figure shows, of which table, and what of it is left out for want of room."""
    kind, _, table = figure.partition(".")
    of_table = f"{plan.tables[table].title}. " if table else ""
    shown, rows = len(plan.figure_entries(figure)), len(plan.tables[table or "main"].entries)
    rest = f" {rows - shown} further rows of the table are left out." if kind != "codebook" and shown < rows else ""
    return f"{of_table}{FIGURE_CAPTIONS[kind]}{rest}"


def _orderings(claims: pd.DataFrame) -> dict[str, list[str]]:
    """Verdict -> statements of the orderings, decided ones first."""
    orderings = claims[claims.kind == "ordering"]
    verdicts = (
        *("ordering holds", "ordering reversed", "holds without interval", "reversed without interval"),
        *("undecided", "not run"),
    )
    found = {verdict: orderings[orderings.verdict == verdict] for verdict in verdicts}
    return {
        verdict: [f"{row.statement} ({row.protocol})" for row in rows.itertuples()]
        for verdict, rows in found.items()
        if len(rows)
    }


def variants(plan: Plan, method: Method) -> list[str]:
    """What this method's runs chose among choices that its `method.yaml` explains, a sentence each."""
    sentences: dict[str, None] = {}
    for run in plan.runs.values():
        if run.method.name != method.name:
            continue
        for name, setting in run.spec.settings.items():
            if isinstance(setting.choices, dict):
                sentences[f"{name} {run.settings[name]}: {setting.choices[str(run.settings[name])]}"] = None
    return list(sentences)


def _tables(plan: Plan) -> list[dict[str, Any]]:
    """All tables in order; a line beside one that stood beside another before is not said again."""
    tables = [_table(plan, name, testset) for name in plan.tables for testset in plan.table_sets(name)]
    said: set[str] = set()
    for table in tables:
        for part in ("words", "notes"):
            table[part] = [line for line in table[part] if line not in said]
        said.update(table["words"], table["notes"])
    return tables


def _table(plan: Plan, name: str, testset: str) -> dict[str, Any]:
    summary = pd.read_csv(plan.paths.table(name, testset, "csv"))
    rows = grid(plan, summary)
    return {
        "testset": testset,
        "heading": heading(plan, plan.tables[name], testset, summary),
        "columns": list(rows.columns),
        "rows": rows.values.tolist(),
        "words": plain_words(plan, summary),
        "notes": notes(summary),
    }


def _costs(plan: Plan) -> dict[str, Any]:
    records = cost_records(plan)
    rows = cost_grid(plan, records)
    return {
        "heading": HEADING,
        "columns": list(rows.columns),
        "rows": rows.values.tolist(),
        "notes": cost_notes(plan, records),
    }


def _inlined(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _given_row(plan: Plan, entry: EntryPlan, testset: str) -> dict[str, str]:
    """What is known of the checkpoint or the outputs that an entry was given for a test set."""
    record = read_json(plan.paths.images_record(entry.name, entry.seeds[0], testset))
    given, told = record["given"], []
    if given["kind"] == "checkpoint":
        told = [f"{name}: {value}" for name, value in given["about"].items() if value]
        told += [f"{record['parameters'] / 1e6:.2f} M parameters", f"sha256 {given['sha256']}"]
    else:
        told = [f"{len(record['images'])} images, sha256 of each in run.json", "parameters and time n/a"]
        if left_out := given["left_out"]:
            told.append(f"of no test photo and left out: {', '.join(left_out[:10])}{', ...' if left_out[10:] else ''}")
    return {"title": entry.title, "testset": testset, "path": given["path"], "told": "; ".join(told)}


def _run_row(plan: Plan, run: str, seed: int) -> dict[str, Any]:
    record = read_json(plan.paths.run_record(run, seed))
    git = record["made_by"]["git"]
    machine = record["made_by"]["machine"]
    gpu = machine["gpu"]["name"] if machine["gpu"] else None
    common = {
        "run": run,
        "seed": seed,
        "parameters": f"{record['parameters'] / 1e6:.2f} M",
        "machine": gpu or machine["cpu"],
        "commit": (git["commit"][:9] + (" + changes" if git["dirty"] else "")) if git else "no git",
    }

    def told(key: str) -> str:
        last = record["training"]["last_phase"]
        return f"{record['training'][key]}, then {last[key]}" if last else str(record["training"][key])

    if plan.runs[run].released:
        return common | dict.fromkeys(("iterations", "batch", "crop", "wall", "rate", "memory"), "released")
    return common | {
        "iterations": told("iterations"),
        "batch": told("batch_size"),
        "crop": told("hr_crop"),
        "wall": f"{record['wall_seconds']:.0f} s",
        "rate": f"{record['images_per_second']:.1f}",
        "memory": f"{record['peak_memory_mib']:.0f} MiB",
    }
