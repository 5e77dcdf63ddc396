"""A published number counts once, however many places state it, and one of those counts that state it otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.test_claims import measured, with_entry
from tests.test_report import scores_of
from tvqsr.plan import Plan
from tvqsr.plan.claim_files import ClaimFile, claim_files
from tvqsr.report.check import failed
from tvqsr.report.claim import Claim
from tvqsr.report.claim_files import all_claims, read_claims
from tvqsr.report.claims import judge
from tvqsr.report.counted import Standing, sources, standings


def claim(name: str, number: float | None, trust: str = "primary", **more: Any) -> tuple[ClaimFile, Claim]:
    """A number of the entry `net` on Set5, stated by a file of that name."""
    source = {"url": f"https://example.org/{name}", "place": f"Table of {name}", "trust": trust}
    about = {"id": "psnr", "statement": "PSNR.", "dataset": "set5", "protocol": "psnr_y", "reported": {"net": number}}
    return ClaimFile(name, Path(f"{name}.yaml"), True), Claim.model_validate({**about, "source": source, **more})


def standing(*stated: tuple[ClaimFile, Claim]) -> dict[str, Standing]:
    """By file, of the number's row."""
    return {name.partition(".")[0]: found for (name, _), found in standings(stated).items()}


def test_equal_numbers_are_one_row_that_names_all_its_sources() -> None:
    found = standing(claim("b", 25.0, "digest"), claim("a", 25.0, "third party"), claim("c", 25.0))
    assert list(found) == ["c"]
    assert found["c"].instead == ""
    assert sources(found["c"].also) == [
        {"claim": f"{name}.psnr", "place": f"Table of {name}", "source": f"https://example.org/{name}", "trust": trust}
        for name, trust in (("a", "third party"), ("b", "digest"))
    ]


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        (claim("a", 25.0, "third party"), claim("b", 26.0), "b"),
        (claim("a", 25.0, "digest"), claim("b", 26.0, "third party"), "b"),
        (claim("a", 25.0), claim("b", 26.0), "a"),
        (claim("a", None), claim("b", 26.0, "digest"), "b"),
        (claim("a", 25.0, differs="of other photos"), claim("b", 26.0, "digest"), "b"),
    ],
)
def test_of_different_numbers_the_best_sources_counts_in_any_order(first: Any, second: Any, counts: str) -> None:
    for stated in ((first, second), (second, first)):
        found = standing(*stated)
        (other,) = {"a", "b"} - {counts}
        assert (found[counts].instead, found[other].instead) == ("", f"{counts}.psnr")


COLUMN: dict[str, Any] = {"reported": {"net": 0.21, "other": 0.25}}


@pytest.mark.parametrize("trust", ["primary", "digest"])
def test_of_a_number_printed_twice_the_one_with_more_digits_is_the_row(trust: str) -> None:
    fine: dict[str, Any] = {"reported": {"net": 0.2101, "third": 0.25}}
    both = [claim("a", None, trust, **COLUMN), claim("b", None, **fine)]
    for stated in (both, both[::-1]):
        found = standings(stated)
        assert found["b.psnr", "value of net"].instead == ""
        assert [one["claim"] for one in sources(found["b.psnr", "value of net"].also)] == ["a.psnr"]
        assert ("a.psnr", "value of net") not in found


@pytest.mark.parametrize(("number", "rows"), [(0.205, 1), (0.215, 1), (0.2049, 2), (0.2151, 2), (0.22, 2)])
def test_numbers_agree_within_half_a_unit_of_the_coarser_ones_digits(number: float, rows: int) -> None:
    fine = claim("b", None, reported={"net": number, "third": 0.1234})
    found = standings([claim("a", None, **COLUMN), fine])
    assert sum(kind == "value of net" for _, kind in found) == rows


def test_two_numbers_that_both_round_to_a_third_stay_two() -> None:
    stated = [
        claim(name, None, reported={"net": number, name: 0.1234}) for name, number in (("b", 0.2101), ("c", 0.2144))
    ]
    found = standings([claim("a", None, **COLUMN), *stated])
    assert sources(found["b.psnr", "value of net"].also)[0]["claim"] == "a.psnr"
    assert found["c.psnr", "value of net"] == Standing(instead="b.psnr")


def test_a_finer_number_of_another_protocol_is_not_the_row() -> None:
    fine = claim("b", None, differs="of other photos", reported={"net": 0.2101, "third": 0.1234})
    found = standings([claim("a", None, **COLUMN), fine])
    assert sources(found["a.psnr", "value of net"].also)[0]["claim"] == "b.psnr"


@pytest.mark.parametrize(
    "more", [{"dataset": "set14"}, {"protocol": "psnr_rgb"}, {"crop": 4}, {"multiple": 12}, {"hardware": "A100"}]
)
def test_another_set_protocol_border_cut_or_machine_is_another_number(more: dict[str, Any]) -> None:
    assert standing(claim("a", 25.0), claim("b", 25.0, **more)) == {"a": Standing(), "b": Standing()}


def test_the_same_ordering_counts_once_and_keeps_both_statements() -> None:
    sides: dict[str, Any] = {"better": "net", "worse": "other", "reported": {}}
    found = standing(claim("a", None, "digest", **sides), claim("b", None, **sides))
    assert found == {"b": Standing(), "a": Standing(instead="b.psnr")}
    turned = claim("b", None, better="other", worse="net", reported={})
    assert standing(claim("a", None, **sides), turned) == {"a": Standing(), "b": Standing()}


def test_every_shipped_number_is_told_by_a_row_and_counted_once() -> None:
    stated = [(file, claim) for file in claim_files({}) for claim in read_claims(file.path)]
    found = standings(stated)
    told = {(source["claim"], kind) for (_, kind), row in found.items() for source in sources(row.also)}
    all_rows = {(f"{file.name}.{claim.id}", f"value of {entry}") for file, claim in stated for entry in claim.reported}
    values = {key for key in found if key[1] != "ordering"}
    assert values | told == all_rows
    assert not values & told
    assert len(told) > 30
    cells: dict[Any, list[str]] = {}
    for file, claim in stated:
        for entry in claim.reported:
            row = found.get((f"{file.name}.{claim.id}", f"value of {entry}"))
            if row and not row.instead:
                cells.setdefault((entry, claim.dataset, claim.protocol, claim.hardware), []).append(claim.id)
    assert {key: ids for key, ids in cells.items() if len(ids) > 1} == {}
    assert all(found[row.instead, kind].instead == "" for (_, kind), row in found.items() if row.instead)
    # Known contradictions, and whose number counts.
    assert found["tvqrap_paper.main_fid", "value of resshift"].instead == "rsd_paper.fid_imagenet_test"
    assert found["rsd_paper.psnr_imagenet_test", "value of sinsr"].instead == "sinsr_readme.imagenet_psnr"
    # Printed with other digits: the finer counts, and the coarser is not judged by a looser tolerance beside it.
    assert ("tvqrap.main_lpips", "value of tvqrap") not in found
    assert found["tvqrap.rap_lpips", "value of tvqrap"].instead == ""


def test_the_same_counts_in_every_preset(tiny_plan: Plan, workspace: Path) -> None:
    assert standings(all_claims(tiny_plan)) == standings(all_claims(Plan.load("paper")))


def test_one_wrong_number_fails_once(workspace: Path) -> None:
    """SinSR's LPIPS is published four times, as three values: ours is none of them, and then the makers' own."""
    plan = Plan.load("paper", with_entry("sinsr"))
    for value, wrong, others in ((0.3, 1, {"differs"}), (0.2188, 0, {"differs", "reproduced"})):
        table = judge(plan, pd.DataFrame([measured("sinsr", "lpips_alex", "imagenet_test", value, decimals=4)]))
        mine = table[
            (table.entry == "sinsr") & (table.protocol == "lpips_alex") & (table.published_on == "imagenet_test")
        ]
        assert len(mine) == 3
        assert set(mine[mine.instead != ""].verdict) == others
        assert failed(mine) == wrong
        assert list(mine[mine.instead == ""].claim) == ["sinsr_readme.imagenet_lpips"]


def test_rows_of_verdicts_tell_their_standing(tiny_plan: Plan) -> None:
    rows = {(row["claim"], row["kind"]): row for row in judge(tiny_plan, scores_of(tiny_plan, {})).to_dict("records")}
    shared = rows["aesop.psnr_y_div2k_valid", "value of ldl"]
    assert [source["claim"] for source in sources(shared["also"])] == ["ldl.psnr_y_div2k_valid"]
    assert ("ldl.psnr_y_div2k_valid", "value of ldl") not in rows
    assert rows["tvqrap.tokenizer_fid", "ordering"]["instead"] == "tvqrap.codebook_whole"
