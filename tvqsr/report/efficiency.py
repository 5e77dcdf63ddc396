"""The table of costs: parameters, multiply-accumulates, time and memory per entry, as measured on one machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from tvqsr.files import read_json, write_text
from tvqsr.plan import Plan
from tvqsr.report.bibliography import tex
from tvqsr.report.latex import Table, booktabs, stacked

COST_SET = "input_64"
_COSTS: dict[str, tuple[str, int, Callable[[dict[str, Any]], float | None]]] = {
    "parameters_m": ("Parameters as the authors count them, millions", 2, lambda r: r["parameters"]["counted"] / 1e6),
    "gmacs": ("MACs, billions", 1, lambda r: None if r["macs"] is None else r["macs"] / 1e9),
    "milliseconds": ("Milliseconds per image", 1, lambda r: r["milliseconds"]["median"]),
}
"""Protocol -> title, decimals, value from an entry's record."""

WHOLE = dict.fromkeys(("input_side", "parameters", "parameters_counted", "macs", "threads"), "Int64")
"""Columns of whole numbers, some of which may be absent."""

HEADING = (
    "One image in fp32, batch 1: LR 64 x 64 to 256 x 256, or HR 256 x 256 for entries that read HR. "
    "Parameters are those that inference holds; counted are, beside them, those that the authors' model carries along. "
    "MACs are of convolutions, matrix products and attention. "
    "Time is the median [quartiles] after warming up."
)


def write_efficiency(plan: Plan) -> None:
    """Write `tables/efficiency.{csv,md,tex}` from every entry's measurement."""
    for kind, text in efficiency_texts(plan).items():
        write_text(plan.paths.efficiency_table(kind), text)


def efficiency_texts(plan: Plan) -> dict[str, str]:
    """The table of costs in each kind of file."""
    records = cost_records(plan)
    shown = grid(plan, records)
    told = notes(plan, records)
    rows = [_row(plan, name, record) for name, record in records.items()]
    bullets = "".join(f"- {line}\n" for line in told)
    return {
        "csv": pd.DataFrame(rows).astype(WHOLE).to_csv(index=False),
        "md": f"{HEADING}\n\n{shown.to_markdown(index=False, disable_numparse=True)}\n\n{bullets}",
        "tex": latex(shown) + "".join(f"% {line}\n" for line in told),
    }


def cost_records(plan: Plan) -> dict[str, Any]:
    """Every entry's measurement."""
    return {name: read_json(plan.paths.efficiency(name)) for name in plan.entries}


def cost_scores(plan: Plan) -> pd.DataFrame:
    """The costs as scores of the set `input_64`, for claims."""
    rows = []
    for name, record in cost_records(plan).items():
        where = {"entry": name, "seed": plan.entries[name].seeds[0], "testset": COST_SET, "image": "(set)"}
        for protocol, (title, decimals, value) in _COSTS.items():
            about = {"protocol": protocol, "title": title, "decimals": decimals, "definition": title}
            of_all = {"higher_is_better": False, "crop": 0, "device": record["device"]}
            missing = record.get("not_measured")
            rows.append(where | about | of_all | {"reason": missing, "value": None if missing else value(record)})
    return pd.DataFrame(rows).astype({"value": "float64", "reason": "string"})


def grid(plan: Plan, records: dict[str, Any]) -> pd.DataFrame:
    """One row per entry, formatted for readers; `n/a` where there is no number."""
    rows = []
    for name, record in records.items():
        threads = f", {record['threads']} thread(s)" if record["device"] == "cpu" else ""
        rows.append(
            {
                "Entry": plan.entries[name].title,
                "Reads": record["reads"].upper(),
                "Parameters (M)": _number(record["parameters"]["inference"], 1e6, 2),
                "Counted (M)": _number(record["parameters"]["counted"], 1e6, 2),
                "MACs (G)": _number(record["macs"], 1e9, 2),
                "Time (ms)": _time(record["milliseconds"]),
                "Peak memory (MiB)": _number(record["peak_memory_mib"], 1, 0),
                "Device": f"{record['device'] or 'n/a'}{threads}",
            }
        )
    return pd.DataFrame(rows)


def notes(plan: Plan, records: dict[str, Any]) -> list[str]:
    """What the memory is, and why what is n/a is n/a: each line once, with the entries that it is about."""
    entries: dict[str, list[str]] = {}
    for name, record in records.items():
        title = plan.entries[name].title
        if "not_measured" in record:
            entries.setdefault(f"Cost is n/a: {record['not_measured']}", []).append(title)
            continue
        if record["peak_memory_of"]:
            entries.setdefault(f"Peak memory is the {record['peak_memory_of']}", []).append(title)
        for label, reason in (("MACs are", record["macs_reason"]), ("Peak memory is", record["peak_memory_reason"])):
            if reason:
                entries.setdefault(f"{label} n/a: {reason}", []).append(title)
    return [
        f"{line} ({', '.join(titles) if len(titles) < len(records) else 'all'})." for line, titles in entries.items()
    ]


def latex(shown: pd.DataFrame) -> str:
    """The table for a paper; the device is in the caption where it is one for all."""
    devices = [device for device in dict.fromkeys(shown.Device) if device != "n/a"]
    caption = HEADING if len(devices) != 1 else f"{HEADING} All on {devices[0]}."
    left_out = ["Device"] if len(devices) == 1 else []
    table = shown.drop(columns=left_out)
    rows = [[tex(str(cell)) for cell in row] for row in table.itertuples(index=False)]
    header = ["Entry", *(stacked(tex(name).split()) for name in table.columns[1:])]
    return booktabs(Table(tex(caption), "tab:efficiency", header, [rows]))


def _row(plan: Plan, name: str, record: dict[str, Any]) -> dict[str, Any]:
    """The numbers of an entry as they are, for programs."""
    time = record["milliseconds"] or {"median": None, "quartiles": [None, None]}
    return {
        "entry": name,
        "title": plan.entries[name].title,
        "reads": record["reads"],
        "input_side": record["input"][-1] if record["input"] else None,
        "parameters": record["parameters"]["inference"],
        "parameters_counted": record["parameters"]["counted"],
        "macs": record["macs"],
        "milliseconds": time["median"],
        "milliseconds_q1": time["quartiles"][0],
        "milliseconds_q3": time["quartiles"][1],
        "timed_images": record["timed_images"],
        "peak_memory_mib": record["peak_memory_mib"],
        "device": record["device"],
        "threads": record["threads"],
    }


def _time(milliseconds: dict[str, Any] | None) -> str:
    if milliseconds is None:
        return "n/a"
    low, high = milliseconds["quartiles"]
    return f"{milliseconds['median']:.1f} [{low:.1f}, {high:.1f}]"


def _number(value: float | None, unit: float, digits: int) -> str:
    """In units, a plain 0 for nothing."""
    if value == 0:
        return "0"
    return "n/a" if value is None else f"{value / unit:.{digits}f}"
