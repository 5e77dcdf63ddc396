"""Verdicts on claims, judged again and compared."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pandas as pd

from tvqsr.report.claims import judge
from tvqsr.report.efficiency import cost_scores
from tvqsr.report.scores import load_scores
from tvqsr.verify.bundle import Bundle
from tvqsr.verify.outcome import Finding, failed, ok, told_of, unchecked
from tvqsr.verify.records import of_this_version
from tvqsr.verify.report import NO_SCORES, OTHER_WORDS

KEY = ["claim", "kind", "tested_on"]
"""Columns of claims.csv that name a row."""
NOT_MEASURED = "n/a"
HOLDS, REVERSED = ("ordering holds", "holds without interval"), ("ordering reversed", "reversed without interval")
OPPOSITE = ((HOLDS, REVERSED), (REVERSED, HOLDS))
OF_NUMBERS = ("undecided", "reproduced", "differs")
"""Verdicts, beside those on an order, that nobody can have without a number."""


def verdicts(bundle: Bundle) -> Iterator[Finding]:
    """Whether each verdict is what the scores give, by the claims and rules of this version."""
    path = bundle.plan.paths.claims
    if not bundle.holds["scores"]:
        yield unchecked(bundle.place(path), NO_SCORES)
    else:
        yield from told_of(bundle.place(path), _verdicts, bundle)


def _verdicts(bundle: Bundle) -> Iterator[Finding]:
    path = bundle.plan.paths.claims
    stored = pd.read_csv(path, dtype=str, keep_default_na=False)
    for _, row in stored[stored.duplicated(KEY)].drop_duplicates(KEY).iterrows():
        yield failed(_named(tuple(row[KEY])), f"has more than one row in {bundle.place(path)}")
    made, same_version = _judged(bundle), of_this_version(bundle)
    mine, theirs = ({tuple(row[KEY]): row for _, row in table.iterrows()} for table in (made, stored))
    claims = set(stored.claim)
    for key in dict.fromkeys([*theirs, *mine]):
        if key not in mine:
            yield unchecked(
                _named(key),
                "is no row of this version: a claim that it does not know, not on this set, or counted in another row",
            )
        elif key in theirs:
            yield same_verdict(_named(key), theirs[key], mine[key], same_version)
        elif same_version or (key[0] in claims and mine[key].verdict != "not run"):
            yield failed(_named(key), f"is left out of {bundle.place(path)}; the scores give `{mine[key].verdict}`")
        else:
            yield unchecked(_named(key), f"is not in the bundle's claims.csv; the scores give `{mine[key].verdict}`")


def _judged(bundle: Bundle) -> pd.DataFrame:
    """All verdicts, as a file of them is read."""
    scores = load_scores(bundle.plan)
    if bundle.plan.preset.efficiency:
        scores = pd.concat([scores, cost_scores(bundle.plan)], ignore_index=True)
    again = judge(bundle.plan, scores).to_csv(index=False)
    return pd.read_csv(io.StringIO(again), dtype=str, keep_default_na=False)


def _named(key: tuple[str, ...]) -> str:
    return " ".join(part for part in map(str, key) if part)


def same_verdict(subject: str, stored: pd.Series, made: pd.Series, same_version: bool) -> Finding:
    """Whether a row of claims.csv is what one made again is; where rules changed, its numbers still have to be."""
    for column in ("measured", "verdict"):
        if stored[column] != made[column]:
            rules = "" if same_version else " by this version's rules (another wrote it)"
            why = f"{column} is `{stored[column]}`, but the scores give `{made[column]}`{rules}"
            by_rules = column == "verdict" and not same_version and _may_differ(stored, made)
            return unchecked(subject, why) if by_rules else failed(subject, why)
    if same_version and stored.get("instead", "") != made["instead"]:
        counted, told = (row.get("instead") or "itself" for row in (made, stored))
        return failed(subject, f"counts by `{told}`, but by `{counted}` in this version")
    if stored["reported"] != made["reported"]:
        return unchecked(subject, f"published as `{made['reported']}` by this version, as `{stored['reported']}` there")
    if stored.get("why") == made["why"]:
        return ok(subject)
    if same_version:
        return failed(subject, f"why is `{stored.get('why')}`, but the scores give `{made['why']}`")
    return unchecked(subject, f"its reason {OTHER_WORDS}")


def _may_differ(stored: pd.Series, made: pd.Series) -> bool:
    """Whether rules of another version can give another verdict of the same numbers: not the reverse, nor of none."""
    if stored["measured"] == NOT_MEASURED:
        return stored["verdict"] not in (*HOLDS, *REVERSED, *OF_NUMBERS)
    return not any(stored["verdict"] in one and made["verdict"] in other for one, other in OPPOSITE)
