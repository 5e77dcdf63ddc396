"""Reading the files of claims: single ones under `claims`, published tables under `tables`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tvqsr.console import say
from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.claim_files import ClaimFile, claim_files
from tvqsr.plan.method import Method
from tvqsr.plan.schema import parse, read_yaml, suggestion
from tvqsr.report.claim import Claim
from tvqsr.report.claim_table import ClaimTable, claims_of_table

PARTS = ("claims", "tables")


def read_claims(path: Path) -> list[Claim]:
    """Claims of a file: the single ones, then those that its tables stand for.

    Raises UserError naming file, claim or table, and key or row.
    """
    content = read_yaml(path)
    if not content:
        raise UserError(f"{path}: expected a list under `claims` or `tables`, found nothing")
    for key, value in content.items():
        if key not in PARTS:
            raise UserError(f"{path}: unknown key `{key}`{suggestion(str(key), PARTS)}")
        if not isinstance(value, list):
            raise UserError(f"{path}: expected a list under `{key}`")
    claims = [parse(Claim, one, f"{path}: claim {number}") for number, one in enumerate(content.get("claims", []), 1)]
    for number, one in enumerate(content.get("tables", []), 1):
        where = f"{path}: table {number}"
        claims += claims_of_table(parse(ClaimTable, one, where), where)
    return claims


def claims_of(method: Method) -> list[Claim]:
    """Claims beside a method's `method.yaml`; none if there is no `claims.yaml`. Raises UserError as `read_claims`."""
    path = method.folder / "claims.yaml"
    return read_claims(path) if path.is_file() else []


def all_claims(plan: Plan) -> Iterator[tuple[ClaimFile, Claim]]:
    """Every published claim with its file: those of the methods in use first.

    Raises UserError for a damaged file of a method in use; that of another is told and left out.
    """
    for file in claim_files(plan.methods):
        try:
            claims = read_claims(file.path)
        except UserError as error:
            if file.used:
                raise
            say(f"claims of {file.name}, which preset {plan.name} does not use, are left out: {error}")
            continue
        yield from ((file, claim) for claim in claims)
