"""Tables for papers and their bibliography: they compile, fit the page, and say what the CSV does."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.test_marks import frame
from tvqsr.plan import Plan
from tvqsr.plan.method import Paper
from tvqsr.report.bibliography import bibliography, cite_key, tex, year
from tvqsr.report.efficiency import latex as cost_latex
from tvqsr.report.scores import MEASURES
from tvqsr.report.tables import latex_texts, table_summary

PAGE = r"""\documentclass{article}\usepackage[textwidth=5.5in,textheight=9in]{geometry}
\usepackage{array,booktabs,longtable,url}\begin{document}
%s
\bibliographystyle{plain}\bibliography{methods}\end{document}
"""


@pytest.fixture
def every(workspace: Path) -> Plan:
    """All rows of `mini`, of all methods."""
    return Plan.load("mini", {"entries": "all"})


def summary_of(plan: Plan, protocols: int = 1) -> pd.DataFrame:
    """A table of 30 photos, each entry 0.1 ahead of the one before, under some protocols and a measure of codes."""
    photos = np.linspace(20, 30, 30)
    values = {entry: photos + 0.1 * number for number, entry in enumerate(plan.entries)}
    of_all = [frame(values).assign(protocol=f"p{number}", title=f"PSNR-{number}") for number in range(protocols)]
    of_all.append(frame(values).assign(protocol=next(iter(MEASURES)), title="Index accuracy"))
    return table_summary(plan, plan.tables["main"], pd.concat(of_all, ignore_index=True))


def test_best_and_second_are_set_apart_and_who_saw_hr_is_below_a_rule(tiny_plan: Plan) -> None:
    text = latex_texts(tiny_plan, "main", "photos_test", summary_of(tiny_plan))["tex"]
    first = text.split(r"\end{tabular}")[0]
    assert r"TVQ\&RAP & \textbf{25.60} \\" in first
    assert r" & \underline{25.40} \\" in first
    above, below = first.split(r"\midrule")[1:]
    assert "HR itself" in below
    assert "Bicubic" in above
    assert r"Main table; photos\_test: 30 photos. Part 1 of 2. Means over images and seeds (1 seed). Bold is" in first


def test_no_table_is_wider_than_a_page(every: Plan) -> None:
    texts = latex_texts(every, "main", "photos_test", summary_of(every, 8))
    columns = [line.count(" & ") for line in re.findall(r"\\toprule\n(.*)", texts["tex"])]
    assert set(columns) == {4, 1}
    assert {line.count(" & ") for line in re.findall(r"\\toprule\n(.*)", texts["intervals.tex"])} == {2, 3, 1}
    assert r"\begin{longtable}" in texts["tex"]
    assert r"\begin{longtable}" not in latex_texts(every, "rap", "photos_test", _only(every, "rap"))["tex"]


def _only(plan: Plan, table: str) -> pd.DataFrame:
    summary = summary_of(plan)
    return summary[summary.entry.isin(plan.tables[table].entries)]


def test_every_citation_is_in_the_bibliography(every: Plan) -> None:
    text = latex_texts(every, "main", "photos_test", summary_of(every))["tex"]
    cited = {key for keys in re.findall(r"\\cite\{(.*?)\}", text) for key in keys.split(",")}
    known = set(re.findall(r"@misc\{(.*?),", bibliography(every)))
    assert cited == known - {"tvqsr"}
    assert {"li2026texture", "oord2017neural", "esser2021taming", "lee2025auto"} <= cited
    assert text.count("cite{li2026texture}") == 1


def test_what_papers_are_keyed_and_dated_by() -> None:
    paper = Paper(url="https://arxiv.org/abs/1", venue="ECCVW 2018", title="The Émigré", authors=("Zoë de Ünal",))
    assert (cite_key(paper), year(paper)) == ("unal2018emigre", "2018")
    nobody = Paper(url="https://doi.org/10.1/x", venue="in press", title="On 3D")
    assert (cite_key(nobody), year(nobody)) == ("d", None)


def test_what_is_special_to_latex_is_escaped() -> None:
    assert tex(r"a_b & 5% #1 {x} ~ ^ $ \n") == (
        r"a\_b \& 5\% \#1 \{x\} \textasciitilde{} \textasciicircum{} \$ \textbackslash{}n"
    )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
def test_it_compiles_without_a_line_too_wide(every: Plan, workspace: Path) -> None:
    texts = latex_texts(every, "main", "photos_test", summary_of(every, 8))
    costs = {"Entry": ["A & B"], "Time (ms)": ["1.0 [0.9, 1.1]"], "Peak memory (MiB)": ["100"], "Device": ["cpu"]}
    content = "\n".join([*texts.values(), cost_latex(pd.DataFrame(costs))])
    (workspace / "page.tex").write_text(PAGE % content)
    (workspace / "methods.bib").write_text(bibliography(every))
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page"]
    for command in (latex, ["bibtex", "page"], latex, latex, latex):
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        assert result.returncode == 0, result.stdout[-2000:]
    assert not re.findall("Overfull|undefined", result.stdout)
