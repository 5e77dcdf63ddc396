"""BibTeX of the methods that a preset shows, and of this suite; tables cite by these keys."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from tvqsr import __version__
from tvqsr.files import write_text
from tvqsr.plan import Plan
from tvqsr.plan.method import MethodSpec, Paper

SUITE = "tvqsr"
"""Key of the suite itself."""


def write_bibliography(plan: Plan) -> None:
    """Write `tables/methods.bib`."""
    write_text(plan.paths.bibliography, bibliography(plan))


def bibliography(plan: Plan) -> str:
    """An entry for each paper of the methods shown, each once, in their order; the suite's own last."""
    papers = {cite_key(paper): paper for method in plan.methods.values() for paper in papers_of(method.spec)}
    entries = [_entry(key, paper) for key, paper in papers.items()]
    title = "tvqsr: reproduction and benchmark suite of texture vector-quantised super-resolution"
    own = {"key": SUITE, "title": f"{{{title}}}", "note": f"Version {__version__}"}
    return "\n".join([*entries, _written("misc", SUITE, own)])


def papers_of(spec: MethodSpec) -> tuple[Paper, ...]:
    """What to cite for a method."""
    return (*((spec.paper,) if spec.paper else ()), *spec.builds_on)


def cite_key(paper: Paper) -> str:
    """`li2026texture`: first author's last name, year, first word of the title; without authors, year and word."""
    author = paper.authors[0].split()[-1] if paper.authors else ""
    words = [word for word in re.findall(r"[a-z]+", _ascii(paper.title)) if word not in ("a", "an", "the", "on")]
    return f"{re.sub(r'[^a-z]', '', _ascii(author))}{year(paper) or ''}{words[0] if words else ''}"


def year(paper: Paper) -> str | None:
    """The year that a venue ends in."""
    found = re.findall(r"\b(?:19|20)\d\d\b", paper.venue)
    return found[-1] if found else None


def _entry(key: str, paper: Paper) -> str:
    # Braces keep the capitals of names in titles.
    fields = {"title": f"{{{tex(paper.title)}}}", "howpublished": tex(paper.venue), "url": paper.url}
    if paper.authors:
        fields["author"] = " and ".join(tex(name) for name in paper.authors)
    if found := year(paper):
        fields["year"] = found
    return _written("misc", key, fields | dict(_identifiers(paper.url)))


def _identifiers(url: str) -> Iterator[tuple[str, str]]:
    if arxiv := re.fullmatch(r"https?://arxiv\.org/abs/([\w.]+)", url):
        yield from (("eprint", arxiv[1]), ("archiveprefix", "arXiv"))
    if doi := re.fullmatch(r"https?://doi\.org/(.+)", url):
        yield "doi", doi[1]


def _written(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}}}\n"


_TEX: dict[str, str | int | None] = {character: f"\\{character}" for character in "&%_#$"}
_TEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "{": r"\{", "}": r"\}"}


def tex(text: str) -> str:
    """Text for LaTeX, with what is special to it escaped."""
    return text.translate(str.maketrans(_TEX))


def _ascii(text: str) -> str:
    """Small letters without their accents."""
    return unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
