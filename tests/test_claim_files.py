"""Files of claims: what a table in them stands for, what is refused, and what the shipped ones name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tvqsr.errors import UserError
from tvqsr.plan import Plan
from tvqsr.plan.catalogue import catalogue
from tvqsr.plan.claim_files import PUBLISHED, claim_files
from tvqsr.plan.protocols import WEIGHTS
from tvqsr.report.claim_files import all_claims, claims_of, read_claims
from tvqsr.report.scores import MEASURES

TABLE = """
tables:
  - source: {url: "https://example.org", place: "Table 1", trust: primary}
    id: "{column}_{set}"
    statement: "{column} on {set}, blind."
    columns: {psnr: {protocol: psnr_y, title: PSNR-Y, crop: 4, tolerance: 1}, lpips: lpips_alex}
    sets: {bsd: {dataset: bsds100, title: BSD100, multiple: 12, differs: "of another draw"}}
    also: {mine: [mine_released]}
    numbers:
      bsd: {mine: [25, 0.16], theirs: [25.95, null]}
      set5: {theirs: [30, 0.1]}
"""


def written(folder: Path, text: str) -> Path:
    (folder / "claims.yaml").write_text(text)
    return folder / "claims.yaml"


def test_a_table_stands_for_a_claim_of_each_set_and_column(tmp_path: Path) -> None:
    claims = {claim.id: claim for claim in read_claims(written(tmp_path, TABLE))}
    assert list(claims) == ["psnr_bsd", "lpips_bsd", "psnr_set5", "lpips_set5"]
    psnr, lpips = claims["psnr_bsd"], claims["lpips_bsd"]
    assert psnr.reported == {"mine": 25.0, "mine_released": 25.0, "theirs": 25.95}
    assert (psnr.statement, psnr.dataset, psnr.protocol) == ("PSNR-Y on BSD100, blind.", "bsds100", "psnr_y")
    assert (psnr.crop, psnr.tolerance, psnr.multiple, psnr.differs) == (4, 1.0, 12, "of another draw")
    assert lpips.reported == {"mine": 0.16, "mine_released": 0.16, "theirs": None}
    assert (lpips.statement, lpips.protocol, lpips.crop) == ("LPIPS on BSD100, blind.", "lpips_alex", None)
    assert (claims["lpips_set5"].dataset, claims["lpips_set5"].differs) == ("set5", None)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mine: [25, 0.16]", "mine: [25]", "table 1: numbers.bsd.mine: 1 numbers for 2 columns (psnr, lpips)"),
        ("mine: [25, 0.16]", "mine: [25, x]", "table 1: `numbers.bsd.mine.1`: input should be a valid number"),
        ("sets: {bsd:", "sets: {bds:", "table 1: sets: `bds` has no numbers; did you mean `bsd`?"),
        ("also: {mine:", "also: {mein:", "table 1: also: `mein` has no numbers; did you mean `mine`?"),
        ("{column}_{set}", "{row}_{set}", "table 1: `id`: value error, `{column}` and `{set}` are what it may contain"),
        ("protocol: psnr_y", "protocl: psnr_y", "table 1: `columns.psnr.protocol` is missing"),
        ("trust: primary", "trust: hearsay", "table 1: `source.trust`: input should be 'primary'"),
        ("crop: 4", "crop: four", "table 1: `columns.psnr.crop`: input should be a valid integer"),
        ("tables:", "table:", "unknown key `table`; did you mean `tables`?"),
        ("bsd: {mine: [25, 0.16], theirs: [25.95, null]}", "bsd: 25", "table 1: `numbers.bsd`"),
    ],
)
def test_a_wrong_table_is_named_with_its_row(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TABLE
    path = written(tmp_path, TABLE.replace(old, new))
    with pytest.raises(UserError) as error:
        read_claims(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_wrong_claim_is_named(tiny_plan: Plan, tmp_path: Path) -> None:
    written(tmp_path, "claims:\n  - {id: a, statment: b}\n")
    method = replace(next(iter(tiny_plan.methods.values())), folder=tmp_path)
    with pytest.raises(UserError, match=r"claims\.yaml: claim 1: (unknown key `statment`|`statement` is missing)"):
        claims_of(method)


@pytest.mark.parametrize("text", ["{}", "claims: 1", "tables: {a: b}"])
def test_a_file_without_lists_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="expected a list under `"):
        read_claims(written(tmp_path, text))


def test_a_damaged_file_breaks_those_presets_alone_that_use_its_method(
    tiny_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken").mkdir()
    written(tmp_path / "broken", "claims: [{id: a}]")
    known = {"broken": tmp_path / "broken"} | {name: m.folder for name, m in tiny_plan.methods.items()}
    monkeypatch.setattr("tvqsr.plan.claim_files.method_folders", lambda: known)
    names = {file.name for file, _ in all_claims(tiny_plan)}
    assert "tvqrap" in names and "broken" not in names
    assert "claims of broken, which preset tiny does not use, are left out: " in capsys.readouterr().err
    tiny_plan.methods["broken"] = replace(tiny_plan.methods["vq"], folder=tmp_path / "broken")
    with pytest.raises(UserError, match=r"broken/claims\.yaml: claim 1: "):
        list(all_claims(tiny_plan))


def test_an_edited_number_changes_the_key_of_verdicts_alone(tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    before, page = tiny_plan.claims_key(), tiny_plan.page_key()
    assert tiny_plan.claims_key() == before
    path, read = next(PUBLISHED.glob("rsd*.yaml")), Path.read_text
    original = read(path, encoding="utf-8")

    def edited(self: Path, *args: str, **kwargs: str) -> str:
        return original.replace("25.01", "25.02") if self == path else read(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", edited)
    assert tiny_plan.claims_key() != before
    assert tiny_plan.page_key() == page


FOREIGN_SETS = {"imagenet_val_128", "celeba_test", "ost300", "input_128", "training"} | {
    f"{name}_x2" for name in ("set5", "set14", "bsds100", "urban100", "manga109")
}
"""Sets that others reported on and that no preset can have: their values are judged nowhere."""
FOREIGN_PROTOCOLS = {"memory_mb", "gpu_hours", "autoencoder_parameters_m"}
"""What others reported and the suite does not measure."""


def test_every_claim_names_a_protocol_an_entry_and_a_set_that_exist(workspace: Path) -> None:
    plan = Plan.load("paper", {"entries": "all"})
    protocols = {*WEIGHTS, *MEASURES, "parameters_m", "milliseconds", "gmacs"}
    sets = {*plan.preset.test_on, "input_64", *catalogue()} | FOREIGN_SETS
    for file, claim in all_claims(plan):
        named = {*claim.reported, *filter(None, (claim.better, claim.worse))}
        assert claim.protocol in protocols | (FOREIGN_PROTOCOLS if file.outside else set()), claim.id
        assert claim.dataset in sets, claim.id
        assert file.outside or named <= set(plan.entries), claim.id
        if claim.dataset in plan.preset.test_on and claim.reported and claim.protocol in WEIGHTS and not file.outside:
            assert claim.protocol in plan.protocols_on(claim.dataset), claim.id
        if any(value is not None for value in claim.reported.values()) and not claim.differs:
            assert claim.tolerance or claim.dataset in FOREIGN_SETS or claim.protocol in FOREIGN_PROTOCOLS, claim.id
        if claim.crop is not None:
            assert claim.protocol.startswith(("psnr", "ssim", "ae_psnr")), claim.id
            if claim.dataset in plan.preset.test_on:
                assert plan.crop_on(claim.dataset) == claim.crop, claim.id


def test_every_shipped_claim_has_a_source_and_an_id_of_its_own() -> None:
    files = claim_files({})
    assert len({file.name for file in files}) == len(files)
    ids: list[str] = []
    for file in files:
        claims = read_claims(file.path)
        ids += [f"{file.name}.{claim.id}" for claim in claims]
        assert all(claim.source.url.startswith("https://") and claim.source.place for claim in claims)
        assert all((claim.better is None) == (claim.worse is None) for claim in claims)
    assert len(set(ids)) == len(ids)
    assert set(ids) >= {"tvqrap.tokenizer_psnr", "tvqrap.rap_lpips", "tvqrap.main_lpips", "aesop.psnr_y_set14"}
