"""`report.html`: one page that needs nothing else, neither network nor files beside it."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from tvqsr import __version__
from tvqsr.csv_files import read_csv
from tvqsr.data.apart import told
from tvqsr.files import read_json, write_text
from tvqsr.plan import Plan
from tvqsr.provenance import provenance
from tvqsr.report.page.answer import answer
from tvqsr.report.page.assets import assets, embedded
from tvqsr.report.page.crops import cut_crops, said_of
from tvqsr.report.page.plots import figures, plotted
from tvqsr.report.page.records import given_rows, run_rows, variants
from tvqsr.report.page.tables import cost_table, score_tables
from tvqsr.report.page.verdicts import choices, judged

__all__ = ["LIMIT_BYTES", "variants", "write_page"]

LIMIT_BYTES = 15_000_000
"""Size that the page never exceeds: it shows fewer crops instead, and says so."""
MARGIN_BYTES = 50_000
"""Kept free for what is said of the crops."""


def write_page(plan: Plan) -> None:
    """Render the page from the tables, scores, images, verdicts and records of a plan."""
    environment = Environment(
        loader=PackageLoader("tvqsr.report"),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html")
    content = _content(plan)
    # All but the crops first: they get the room that is left.
    taken = len(template.render(content, crops=Markup(""), cropped=said_of({}, {})).encode())
    crops, whole = cut_crops(plan, LIMIT_BYTES - MARGIN_BYTES - taken)
    page = template.render(content, crops=embedded(crops), cropped=said_of(crops, whole))
    write_text(plan.paths.report, page)


def _content(plan: Plan) -> dict[str, Any]:
    plots = plotted(plan)
    titles = {name: about["title"] for name, about in plots["protocols"].items()}
    claims = judged(read_csv(plan.paths.claims, keep_default_na=False, dtype=str))
    return {
        "name": plan.name,
        "preset": plan.preset,
        "version": __version__,
        "assets": assets(),
        "answer": answer(claims, titles),
        "tables": score_tables(plan),
        "costs": cost_table(plan) if plan.preset.efficiency else None,
        "claims": claims,
        "choices": choices(claims),
        "plots": embedded(plots),
        "figures": figures(plan),
        "methods": [{"spec": method.spec, "variants": variants(plan, method)} for method in plan.methods.values()],
        "datasets": {name: read_json(plan.paths.manifest(name)) for name in plan.used_datasets},
        "runs": run_rows(plan),
        "given": given_rows(plan),
        "overlaps": told(plan),
        "made_by": provenance(),
    }
