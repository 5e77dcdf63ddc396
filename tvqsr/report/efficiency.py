"""The table of costs: parameters, multiply-accumulates, time and memory per entry, as measured on one machine."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tvqsr.files import read_json, write_text
from tvqsr.plan import Plan
from tvqsr.report.tables import escaped

HEADING = (
    "One image in fp32, batch 1: LR 64 x 64 to 256 x 256, or HR 256 x 256 for entries that read HR. "
    "Parameters are those that inference holds. MACs are of convolutions, matrix products and attention. "
    "Time is the median [quartiles] after warming up."
)


def write_efficiency(plan: Plan) -> None:
    """Write `tables/efficiency.{csv,md,tex}` from every entry's measurement."""
    records = {name: read_json(plan.paths.efficiency(name)) for name in plan.entries}
    shown = grid(plan, records)
    told = notes(plan, records)
    rows = [_row(plan, name, record) for name, record in records.items()]
    write_text(plan.paths.efficiency_table("csv"), pd.DataFrame(rows).astype({"macs": "Int64"}).to_csv(index=False))
    bullets = "".join(f"- {line}\n" for line in told)
    write_text(
        plan.paths.efficiency_table("md"),
        f"{HEADING}\n\n{shown.to_markdown(index=False, disable_numparse=True)}\n\n{bullets}",
    )
    write_text(plan.paths.efficiency_table("tex"), latex(shown) + "".join(f"% {line}\n" for line in told))


def grid(plan: Plan, records: dict[str, Any]) -> pd.DataFrame:
    """One row per entry, formatted for readers; `n/a` where there is no number."""
    rows = []
    for name, record in records.items():
        time = record["milliseconds"]
        low, high = time["quartiles"]
        threads = f", {record['threads']} thread(s)" if record["device"] == "cpu" else ""
        rows.append(
            {
                "Entry": plan.entries[name].title,
                "Reads": record["reads"].upper(),
                "Parameters (M)": _number(record["parameters"]["inference"], 1e6, 2),
                "MACs (G)": _number(record["macs"], 1e9, 2),
                "Time (ms)": f"{time['median']:.1f} [{low:.1f}, {high:.1f}]",
                "Peak memory (MiB)": _number(record["peak_memory_mib"], 1, 0),
                "Device": f"{record['device']}{threads}",
            }
        )
    return pd.DataFrame(rows)


def notes(plan: Plan, records: dict[str, Any]) -> list[str]:
    """What the memory is, and why what is n/a is n/a: each line once, with the entries that it is about."""
    entries: dict[str, list[str]] = {}
    for name, record in records.items():
        title = plan.entries[name].title
        if record["peak_memory_of"]:
            entries.setdefault(f"Peak memory is the {record['peak_memory_of']}", []).append(title)
        for label, reason in (("MACs are", record["macs_reason"]), ("Peak memory is", record["peak_memory_reason"])):
            if reason:
                entries.setdefault(f"{label} n/a: {reason}", []).append(title)
    return [
        f"{line} ({', '.join(titles) if len(titles) < len(records) else 'all'})." for line, titles in entries.items()
    ]


def latex(shown: pd.DataFrame) -> str:
    r"""A booktabs table; needs `\usepackage{booktabs}`."""
    table = shown.map(escaped).rename(columns=escaped)
    return table.to_latex(
        index=False,
        caption=escaped(HEADING),
        label="tab:efficiency",
        column_format="l" + "r" * (table.shape[1] - 1),
    )


def _row(plan: Plan, name: str, record: dict[str, Any]) -> dict[str, Any]:
    """The numbers of an entry as they are, for programs."""
    low, high = record["milliseconds"]["quartiles"]
    return {
        "entry": name,
        "title": plan.entries[name].title,
        "reads": record["reads"],
        "input_side": record["input"][-1],
        "parameters": record["parameters"]["inference"],
        "macs": record["macs"],
        "milliseconds": record["milliseconds"]["median"],
        "milliseconds_q1": low,
        "milliseconds_q3": high,
        "timed_images": record["timed_images"],
        "peak_memory_mib": record["peak_memory_mib"],
        "device": record["device"],
        "threads": record["threads"],
    }


def _number(value: float | None, unit: float, digits: int) -> str:
    """In units, a plain 0 for nothing."""
    if value == 0:
        return "0"
    return "n/a" if value is None else f"{value / unit:.{digits}f}"
