"""The main table of each test set, as CSV for programs, Markdown for readers and LaTeX for papers."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pandas as pd

from tvqsr.csv_files import write_csv
from tvqsr.errors import UserError
from tvqsr.files import write_text
from tvqsr.plan import Plan
from tvqsr.plan.preset import TableSpec
from tvqsr.plan.schema import suggestion
from tvqsr.report import latex
from tvqsr.report.cells import cell, emphasised, shown_protocols
from tvqsr.report.marks import mark_notes, marked
from tvqsr.report.notes import error_notes, incomplete_notes, notes, rivals
from tvqsr.report.scores import load_scores, row_of, summarise
from tvqsr.report.stored import read_table
from tvqsr.report.trainings import trainings
from tvqsr.statistics import BOOTSTRAP_FROM

SPREAD = (
    f"Mean over images [95% interval over images: Student's t of fewer than {BOOTSTRAP_FROM}, else bootstrap] "
    "± standard deviation over seeds."
)
KINDS = ("csv", "md", "tex", "intervals.tex")


def write_table(plan: Plan, name: str) -> None:
    """Write `tables/<table>.<test set>.*` of all `KINDS` for each test set. Raises UserError for an unknown table."""
    if name not in plan.tables:
        raise UserError(f"unknown table `{name}` of preset `{plan.name}`{suggestion(name, plan.tables)}")
    scores = load_scores(plan, plan.tables[name].entries)
    for testset in plan.table_sets(name):
        for kind, text in table_texts(plan, name, testset, scores).items():
            write = write_csv if kind == "csv" else write_text
            write(plan.paths.table(name, testset, kind), text)


def table_texts(plan: Plan, name: str, testset: str, scores: pd.DataFrame, bootstrap: bool = False) -> dict[str, str]:
    """A table on a test set in each of `KINDS`, from all scores of its entries; `bootstrap` as in `summarise`."""
    table = plan.tables[name]
    summary = table_summary(plan, table, scores[scores.testset == testset], bootstrap)
    return {
        "csv": summary.to_csv(index=False),
        "md": markdown(plan, table, testset, summary),
        **latex_texts(plan, name, testset, summary),
    }


def table_summary(plan: Plan, table: TableSpec, scores: pd.DataFrame, bootstrap: bool = False) -> pd.DataFrame:
    """One row per entry, in the table's order, and protocol: its summary, what it reads, its trainings and its mark."""
    found = summarise(scores, bootstrap)
    summary = pd.concat([found[found.entry == entry] for entry in table.entries], ignore_index=True)
    summary = summary.assign(
        reads=[plan.entries[entry].reads for entry in summary.entry],
        trainings=[trainings(plan, entry) for entry in summary.entry],
    )
    return marked(summary, scores, rivals(summary))


def grid(plan: Plan, summary: pd.DataFrame, formatted: Callable[[pd.Series], str] = cell) -> pd.DataFrame:
    """Entries by protocols, formatted, with what each entry reads and its number of seeds."""
    protocols = shown_protocols(summary)
    rows = []
    for name in dict.fromkeys(summary.entry):
        entry = plan.entries[name]
        row = {"Entry": entry.title, "Reads": entry.reads.upper(), "Seeds": str(len(entry.seeds))}
        for protocol in protocols:
            found = row_of(summary, entry.name, protocol)
            row[f"{found.title} {'↑' if found.higher_is_better else '↓'}"] = formatted(found)
        rows.append(row)
    return pd.DataFrame(rows)


def plain_words(plan: Plan, summary: pd.DataFrame) -> list[str]:
    """What a reader should not overlook: trained entries below bicubic, and predictors above their own tokenizer."""
    psnr = summary[summary.protocol == "psnr_y"].set_index("entry")["mean"].dropna()
    trained = [entry for entry in plan.entries.values() if entry.run and entry.reads == "lr" and entry.name in psnr]
    lines = []
    if "bicubic" in psnr and (below := [entry for entry in trained if psnr[entry.name] < psnr["bicubic"]]):
        who = (
            "No trained entry"
            if len(below) == len(trained)
            else f"{len(below)} of {len(trained)} trained entries do not"
        )
        verb = "reaches" if len(below) == len(trained) else "reach"
        lines.append(f"{who} {verb} bicubic's PSNR-Y ({psnr['bicubic']:.2f} dB).")
    above = [
        entry.title
        for entry, other in itertools.product(trained, plan.entries.values())
        if other.run is not None and entry.run is not None and other.run in entry.run.lineage()
        if other.reads == "hr" and other.name in psnr and psnr[entry.name] > psnr[other.name]
    ]
    if above:
        titles = "; ".join(dict.fromkeys(above))
        lines.append(f"Above their own tokenizer's reconstruction of HR, which is no ceiling here: {titles}.")
    return lines


def heading(plan: Plan, table: TableSpec, testset: str, summary: pd.DataFrame) -> str:
    """What the table shows, in words."""
    return f"{_subject(plan, table, testset, summary)}. {SPREAD} Rows that read HR were shown the answer."


def _subject(plan: Plan, table: TableSpec, testset: str, summary: pd.DataFrame) -> str:
    """`Main table; set14: 14 photos`."""
    track = plan.preset.track_of(testset)
    return f"{table.title}; {testset}{f' (track {track})' if track else ''}: {int(summary.photos.max())} photos"


def compact(plan: Plan, testset: str) -> str:
    """A table for the terminal: means over images and seeds, without intervals."""
    summary = read_table(plan.paths.table("main", testset, "csv"))
    means = grid(plan, summary.assign(low=float("nan"), error=float("nan"), seed_sd=float("nan")))
    return f"{testset}, means\n\n{means.to_markdown(index=False, disable_numparse=True)}"


def markdown(plan: Plan, table: TableSpec, testset: str, summary: pd.DataFrame) -> str:
    rows = grid(plan, summary, emphasised)
    numbers = [bool(pd.to_numeric(rows[column], errors="coerce").notna().all()) for column in rows]
    aligned = ["right" if of_numbers else "left" for of_numbers in numbers]
    # Read as numbers, 99.20 would lose its zero.
    shown = rows.to_markdown(index=False, disable_numparse=True, colalign=aligned)
    return f"{heading(plan, table, testset, summary)}\n\n{shown}\n\n" + "".join(
        f"- {line}\n" for line in [*plain_words(plan, summary), *notes(summary)]
    )


def latex_texts(plan: Plan, name: str, testset: str, summary: pd.DataFrame) -> dict[str, str]:
    """The table for a paper, and with intervals for its appendix."""
    measured = summary[summary["mean"].notna()]
    shown, subject = list(dict.fromkeys(measured.protocol)), _subject(plan, plan.tables[name], testset, summary)
    marks = mark_notes(summary, rivals(summary)) if "mark" in summary else []
    counts = sorted({len(plan.entries[entry].seeds) for entry in summary.entry}, reverse=True)
    seeds = f"{counts[0]} seed{'' if counts[0] == 1 else 's'}{'; controls one' if len(counts) > 1 else ''}"
    absent = summary[summary.protocol.isin(set(shown_protocols(summary)) - set(shown))].drop_duplicates("protocol")
    lacking = [f"{row.title} is n/a: {str(row.reason).partition(':')[0]}." for _, row in absent.iterrows()]
    lacking += incomplete_notes(summary)
    below = ["Below the rule: shown HR."] if set(summary.get("reads", ())) == {"lr", "hr"} else []
    means = latex.Told(
        subject, [f"Means over images and seeds ({seeds}).", *marks, *below, *lacking], f"{name}-{testset}"
    )
    spread = latex.Told(
        subject, [SPREAD, *error_notes(summary), *marks, *below, *lacking], f"{name}-{testset}-intervals"
    )
    return {
        "tex": latex.means(plan, summary, shown, means),
        "intervals.tex": latex.intervals(plan, summary, shown, spread),
    }
