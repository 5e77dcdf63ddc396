"""How far a number may lie from the published one: less where nothing was trained, and how that is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tvqsr.plan import Plan
from tvqsr.plan.claim_files import claim_files
from tvqsr.report.claim import Claim
from tvqsr.report.claim_files import all_claims, read_claims
from tvqsr.report.tolerance import RECOMPUTED, tolerance_of

SOURCE: dict[str, Any] = {"url": "https://example.org", "place": "Table 1", "trust": "primary"}


def claim_of(**given: Any) -> Claim:
    return Claim.model_validate({"id": "a", "statement": "b", "source": SOURCE, "dataset": "set5", **given})


@pytest.mark.parametrize(
    ("protocol", "own", "trained", "expected"),
    [
        ("psnr_y", 0.3, True, 0.3),
        ("psnr_y", 0.3, False, 0.05),
        ("psnr_y", 0.01, False, 0.01),
        ("psnr_y", None, False, 0.05),
        ("psnr_y", None, True, None),
        ("lpips_alex", 0.005, False, 0.002),
        ("parameters_m", 0.6, False, 0.6),
    ],
)
def test_only_what_was_trained_here_may_be_as_far_away_as_training_again_allows(
    protocol: str, own: float | None, trained: bool, expected: float | None
) -> None:
    claim = claim_of(protocol=protocol, tolerance=own)
    assert tolerance_of(claim, trained) == expected


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"a": 0.6, "b": 0.7}, 0.05),
        ({"a": 0.6, "b": 0.712}, 0.002),
        ({"a": 0.6}, 0.002),
        ({"a": 0.12, "b": 0.3}, 0.005),
    ],
)
def test_no_number_is_told_nearer_than_it_is_printed(reported: dict[str, float], expected: float) -> None:
    claim = claim_of(protocol="ssim_y", reported=reported)
    assert tolerance_of(claim, trained=False) == pytest.approx(expected)


AGAIN = (("femasr_released", "stablesr_drealsr"), ("bsrgan", "stablesr_realsr"))
"""Released weights and photos that two groups computed numbers of, independently."""


def test_two_groups_with_the_same_weights_and_photos_differ_by_no_more() -> None:
    """Otherwise one of their publications would fail by the other's.."""
    found = defaultdict(list)
    for file in claim_files({}):
        for claim in read_claims(file.path):
            for entry, value in claim.reported.items():
                if (entry, claim.dataset) in AGAIN and value is not None:
                    found[claim.protocol, entry].append(value)
    pairs = {key: values for key, values in found.items() if len(values) > 1 and key[0] in RECOMPUTED}
    assert len(pairs) == 9
    for (protocol, _), (one, other) in pairs.items():
        assert abs(one - other) <= RECOMPUTED[protocol], protocol


def printed(node: Any) -> Iterator[tuple[str, str, str]]:
    """(protocol, entry, number as it is written) of a file of claims, those of tables included."""
    for claim in node.get("claims", []):
        yield from ((claim["protocol"], entry, text) for entry, text in claim.get("reported", {}).items())
    for table in node.get("tables", []):
        protocols = [column if isinstance(column, str) else column["protocol"] for column in table["columns"].values()]
        for rows in table["numbers"].values():
            for entry, row in rows.items():
                cells = row if isinstance(row, list) else [row]
                yield from ((protocol, entry, text) for protocol, text in zip(protocols, cells, strict=True))


def test_numbers_are_printed_finely_enough_to_be_judged_so(workspace: Path) -> None:
    """Half a unit of the last digit is at most a quarter of the tolerance, of every number that it may judge."""
    plan = Plan.load("paper", {"entries": "all"})
    trained = {name for name, entry in plan.entries.items() if entry.run and not entry.run.released}
    apart = {
        (claim.protocol, entry, value)
        for _, claim in all_claims(plan)
        if claim.differs
        for entry, value in claim.reported.items()
    }
    checked = 0
    for file in claim_files({}):
        # As text, for a number does not tell how many of its digits were printed.
        for protocol, entry, text in printed(yaml.load(file.path.read_text(), yaml.BaseLoader)):  # noqa: S506
            if protocol not in RECOMPUTED or entry in trained or text == "null":
                continue
            if (protocol, entry, float(text)) in apart:
                continue
            half_a_unit = 0.5 * 10.0 ** -len(text.partition(".")[2])
            assert half_a_unit <= RECOMPUTED[protocol] / 4 + 1e-12, (file.name, protocol, entry, text)
            checked += 1
    assert checked > 400
