r"""Tables for papers: booktabs, means with marks and their protocols in the caption; with intervals, for an appendix.

They need `\usepackage{array,booktabs,longtable}` and `methods.bib`, and fit a text width of 5.5 in (NeurIPS, ICLR).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from tvqsr.plan import EntryPlan, Plan
from tvqsr.report.bibliography import cite_key, papers_of, tex
from tvqsr.report.cells import mean_of, spreads
from tvqsr.report.notes import protocol_told
from tvqsr.report.scores import MEASURES, row_of

LONG = 40
"""Rows above which a table is a `longtable`, which breaks over pages (and needs one column)."""
MEANS, INTERVALS = 6, 3
"""Columns that fit beside the entries' names: of means, and of means with intervals."""


@dataclass(frozen=True)
class Size:
    """How large a table is set."""

    font: str = r"\footnotesize"
    names: str = r"0.27\linewidth"
    """Width of the entries' names, which go on in the next line."""


NORMAL, SMALL = Size(), Size(r"\scriptsize", r"0.2\linewidth")


@dataclass(frozen=True)
class Table:
    """What a table shows; all of it LaTeX."""

    caption: str
    label: str
    header: Sequence[str]
    groups: Sequence[Sequence[Sequence[str]]]
    """Rows of cells, in groups that a rule parts."""
    size: Size = NORMAL


@dataclass(frozen=True)
class Told:
    """What a table is of, what is told of it once, and its label."""

    subject: str
    words: Sequence[str]
    label: str


def means(plan: Plan, summary: pd.DataFrame, protocols: Sequence[str], told: Told) -> str:
    """Means, the best bold and the second best underlined."""
    return _parts(plan, summary, _chunks(protocols, MEANS), told, _mean)


def intervals(plan: Plan, summary: pd.DataFrame, protocols: Sequence[str], told: Told) -> str:
    """Means with their 95% intervals over images and standard deviations over seeds."""
    return _parts(plan, summary, _chunks(protocols, INTERVALS), told, _with_interval, SMALL)


def _chunks(protocols: Sequence[str], width: int) -> list[list[str]]:
    """Protocols by table: scores of images first, then what is measured of codebooks, few enough for a page."""
    chunks = []
    for kind in ([p for p in protocols if p not in MEASURES], [p for p in protocols if p in MEASURES]):
        parts = -(-len(kind) // width)
        chunks += [kind[len(kind) * n // parts : len(kind) * (n + 1) // parts] for n in range(parts)]
    return chunks


def _parts(
    plan: Plan,
    summary: pd.DataFrame,
    chunks: Sequence[Sequence[str]],
    told: Told,
    cell: Callable[[pd.Series], str],
    size: Size = NORMAL,
) -> str:
    parts = []
    for number, chunk in enumerate(chunks, 1):
        of_parts = [f"Part {number} of {len(chunks)}."] if len(chunks) > 1 else []
        measured = summary[summary.protocol.isin(chunk) & summary["mean"].notna()].entry
        left_out = ["Entries without a number here are left out."] if set(summary.entry) - set(measured) else []
        words = [f"{told.subject}.", *of_parts, *(told.words if number == 1 else ()), *left_out]
        caption = " ".join([*map(tex, words), *(_definition(summary, protocol) for protocol in chunk)])
        header = ["Entry", *(_column(summary, protocol) for protocol in chunk)]
        groups = [
            [[name, *(cell(row_of(summary, entry, protocol)) for protocol in chunk)] for entry, name in rows]
            for rows in _rows(plan, summary[summary.entry.isin(measured)], cited=number == 1)
        ]
        label = f"tab:{told.label}" + (f"-{number}" if number > 1 else "")
        parts.append(booktabs(Table(caption, label, header, groups, size)))
    return "\n".join(parts)


def _rows(plan: Plan, summary: pd.DataFrame, cited: bool) -> list[list[tuple[str, str]]]:
    """(entry, name in LaTeX) of those that read LR and, apart, of those that were shown HR.

    `cited`: each method with its papers, where it is first named.
    """
    entries = [plan.entries[name] for name in dict.fromkeys(summary.entry)]
    groups = [[entry for entry in entries if entry.reads == reads] for reads in ("lr", "hr")]
    named: set[str] = set()
    return [
        [(entry.name, tex(entry.title) + _citation(entry, named if cited else None)) for entry in group]
        for group in groups
        if group
    ]


def _citation(entry: EntryPlan, named: set[str] | None) -> str:
    """Papers of an entry's method, unless they are among those that were `named` before."""
    if named is None or entry.method.name in named:
        return ""
    named.add(entry.method.name)
    keys = ",".join(cite_key(paper) for paper in papers_of(entry.method.spec))
    return rf"~\cite{{{keys}}}" if keys else ""


def _column(summary: pd.DataFrame, protocol: str) -> str:
    """Title, unit where it has one, and arrow, one below the other."""
    row = summary[summary.protocol == protocol].iloc[0]
    unit = ["(dB)"] if row.definition.startswith("dB") else []
    lines = [*tex(row.title).split(), *unit]
    lines[-1] += r" $\uparrow$" if row.higher_is_better else r" $\downarrow$"
    return stacked(lines)


def stacked(lines: Sequence[str]) -> str:
    """Lines in one cell of a header."""
    below_each_other = r"\\".join(lines)
    return rf"\shortstack[r]{{{below_each_other}}}" if len(lines) > 1 else lines[0]


def _definition(summary: pd.DataFrame, protocol: str) -> str:
    """`PSNR-Y: dB, BT.601 ..., crop 4.`"""
    rows = summary[summary.protocol == protocol]
    return tex(f"{rows.title.iloc[0]}: {protocol_told(rows, ('colours', 'rounding'))}.")


def _mean(row: pd.Series) -> str:
    around = {"best": r"\textbf{{{}}}", "second": r"\underline{{{}}}"}.get(row.get("mark", ""), "{}")
    return around.format(mean_of(row))


def _with_interval(row: pd.Series) -> str:
    return " ".join([_mean(row), *spreads(row)]).replace("±", r"$\pm$")


def booktabs(table: Table) -> str:
    """A float with `tabular`, or a `longtable` where the rows are many."""
    columns = rf"@{{}}>{{\raggedright\arraybackslash}}p{{{table.size.names}}}{'r' * (len(table.header) - 1)}@{{}}"
    header = " & ".join(table.header) + r" \\"
    body = "\n\\midrule\n".join("\n".join(" & ".join(row) + r" \\" for row in group) for group in table.groups)
    title = f"\\caption{{{table.caption}}}\n\\label{{{table.label}}}"
    if sum(map(len, table.groups)) > LONG:
        return _long(columns, header, body, title, table)
    return (
        f"\\begin{{table}}\n\\centering{table.size.font}\\setlength{{\\tabcolsep}}{{3pt}}\n"
        f"\\setlength{{\\abovecaptionskip}}{{0pt}}\\setlength{{\\belowcaptionskip}}{{4pt}}\n{title}\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{header}\n\\midrule\n{body}\n\\bottomrule\n"
        f"\\end{{tabular}}\n\\end{{table}}\n"
    )


def _long(columns: str, header: str, body: str, title: str, table: Table) -> str:
    again = f"\\multicolumn{{{len(table.header)}}}{{r@{{}}}}{{\\emph{{goes on}}}}\\\\"
    return (
        f"\\begingroup{table.size.font}\\setlength{{\\tabcolsep}}{{3pt}}\n\\begin{{longtable}}{{{columns}}}\n{title}\\\\\n"
        f"\\toprule\n{header}\n\\midrule\n\\endfirsthead\n\\toprule\n{header}\n\\midrule\n\\endhead\n"
        f"\\midrule\n{again}\n\\endfoot\n\\bottomrule\n\\endlastfoot\n{body}\n\\end{{longtable}}\n\\endgroup\n"
    )
