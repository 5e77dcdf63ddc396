"""Whether the published claims hold, told at the console and by the exit code."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Command
from tvqsr.plan import Plan
from tvqsr.report.check import failed, read_verdicts, select

COLUMNS = ["claim", "kind", "verdict", "measured", "reported", "why", "published_on", "tested_on"]


def write(results: Path, *verdicts: str) -> None:
    rows = [
        [f"m.c{number}", "ordering", verdict, f"a {number}.5", "b 1", f"because {number}", "set", "photos"]
        for number, verdict in enumerate(verdicts)
    ]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(results / "claims.csv", index=False)


@pytest.mark.parametrize("verdict", ["ordering holds", "reproduced", "undecided", "protocol differs", "not run"])
def test_what_does_not_speak_against_a_claim_passes(results: Path, tvqsr: Command, verdict: str) -> None:
    write(results, "ordering holds", verdict)
    assert tvqsr("check", results).returncode == 0


@pytest.mark.parametrize("verdict", ["differs", "ordering reversed", "reversed without interval"])
def test_a_claim_that_was_run_and_fails_is_told_last_and_by_the_exit_code(
    results: Path, tvqsr_alone: Command, verdict: str
) -> None:
    write(results, verdict, "ordering holds", "not run")
    done = tvqsr_alone("check", results)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "ordering holds  m.c1, ordering on photos: a 1.5; published: b 1"
    assert lines[2] == f"{verdict.upper()}  m.c0, ordering on photos: a 0.5; published: b 1"
    assert lines[3] == "    because 0"
    assert f"1 {verdict}" in lines[-1]
    assert "m.c2" not in done.stdout


def test_claims_that_were_not_run_are_told_on_request(results: Path, tvqsr: Command) -> None:
    write(results, "not run")
    assert "m.c0" not in tvqsr("check", results).stdout
    assert "because 0" in tvqsr("check", results, "--everything").stdout
    assert "because 0" in tvqsr("check", results, "--all").stdout
    assert "because 0" in tvqsr("check", results, "--verdict", "not run").stdout


def test_unfinished_results_say_what_makes_them(tiny_plan: Plan, results: Path, tvqsr: Command) -> None:
    done = tvqsr("check", results)
    assert done.returncode == 2
    assert "claims.csv: missing" in done.stderr


def write_of(results: Path, *rows: tuple[str, str, str, str]) -> None:
    """[method, entry, verdict, why] of each."""
    table = [
        [f"m.c{n}", f"value of {entry}", verdict, "1.5", "1", why, "set5", "set5", method, entry]
        for n, (method, entry, verdict, why) in enumerate(rows)
    ]
    pd.DataFrame(table, columns=[*COLUMNS, "method", "entry"]).to_csv(results / "claims.csv", index=False)


@pytest.mark.parametrize(
    ("methods", "wanted", "rows", "wrong"),
    [
        ([], [], [0, 1, 2], 1),
        (["x"], [], [0, 2], 1),
        (["b"], [], [2], 0),
        (["m"], [], [0, 1, 2], 1),
        (["a"], ["reproduced", "differs"], [0, 1], 1),
        (["a"], ["reproduced"], [1], 0),
    ],
)
def test_rows_are_chosen_by_method_file_entry_and_verdict(
    results: Path, methods: list[str], wanted: list[str], rows: list[int], wrong: int
) -> None:
    write_of(results, ("a", "x", "differs", "w"), ("a", "y", "reproduced", "w"), ("b", "x", "reproduced", "w"))
    chosen = select(read_verdicts(results), methods, wanted)
    assert list(chosen.claim) == [f"m.c{row}" for row in rows]
    assert failed(chosen) == wrong


def test_the_exit_code_is_of_the_chosen_rows(results: Path, tvqsr: Command, tvqsr_alone: Command) -> None:
    write_of(results, ("a", "x", "differs", "w"), ("b", "y", "reproduced", "w"))
    assert tvqsr_alone("check", results, "--method", "x").returncode == 1
    assert tvqsr("check", results, "--method", "y").returncode == 0


def test_the_summary_counts_reasons_and_names_the_entries_that_are_waited_for(results: Path, tvqsr: Command) -> None:
    why = "no entry; give its outputs with the method `images` under the name `%s`"
    names = ("resshift", "resshift", "sinsr")
    write_of(results, *((name, name, "not run", why % name) for name in names), ("a", "a", "reproduced", ""))
    brief, full = (tvqsr("check", results, *words).stdout for words in ((), ("--everything",)))
    assert "3 no entry; give its outputs with the method `images` under the name `...`" in brief
    assert brief.splitlines()[-1] == "3 not run, 1 reproduced"
    assert "wait for entries of these names: resshift (2), sinsr (1)" in full


def test_what_another_row_stands_for_is_told_and_not_counted(results: Path, tvqsr: Command) -> None:
    write_of(results, ("a", "x", "reproduced", "w"), ("b", "x", "differs", "w"), ("b", "x", "not run", "w"))
    also = "n.c7: Table 4 <x> <https://example.org> (third party)"
    table = pd.read_csv(results / "claims.csv").assign(also=[also, "", ""], instead=["", "m.c0", "m.c0"])
    table.to_csv(results / "claims.csv", index=False)
    done = tvqsr("check", results)
    assert done.returncode == 0
    assert "\n    also n.c7 (Table 4 <x>)\n" in done.stdout
    assert "\ndiffers  m.c1, value of x on set5" in done.stdout
    assert "Not run" not in done.stdout
    assert "\n    not counted: m.c0 stands for it\n" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 reproduced; not counted, since other rows stand for them: 1 differs"
    assert "m.c0" in tvqsr("check", results, "--method", "n").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--method", "resshif"), "--method: no claim has `resshif`; did you mean `resshift`?"),
        (("--verdict", "differ"), "--verdict: no claim has `differ`; did you mean `differs`?"),
    ],
)
def test_a_wrong_choice_is_the_users_mistake(
    results: Path, tvqsr: Command, words: tuple[str, str], message: str
) -> None:
    write_of(results, ("resshift", "resshift", "differs", "w"))
    done = tvqsr("check", results, *words)
    assert done.returncode == 2
    assert done.stderr == f"tvqsr: error: {message}\n"


def test_only_the_verdicts_are_read(results: Path, tvqsr: Command) -> None:
    """A plan of another version, or none, does not matter; results of earlier versions lack columns."""
    write(results, "ordering holds")
    (results / "plan.json").write_text("{}")
    assert tvqsr("check", results / "plan.json").returncode == 0
    (results / "plan.json").unlink()
    assert tvqsr("check", results).returncode == 0
    assert tvqsr("check", results, "--method", "m").returncode == 0


@pytest.mark.parametrize(
    ("content", "message"), [("", "damaged"), ("claim,kind\na,b\n", "lacks the column(s) verdict, measured")]
)
def test_damaged_verdicts_are_named(results: Path, tvqsr: Command, content: str, message: str) -> None:
    (results / "claims.csv").write_text(content)
    done = tvqsr("check", results)
    assert done.returncode == 2
    assert f"{results}/claims.csv: {message}" in done.stderr
    gone = tvqsr("check", "results/nowhere")
    assert gone.returncode == 2
    assert "results/nowhere: no such folder" in gone.stderr


def test_our_own_questions_fail_no_publication(results: Path, tvqsr: Command) -> None:
    rows = [["m.a", "ordering", "ordering reversed", "1", "2", "w", "s", "s", "ours"]]
    rows += [["m.b", "ordering", "ordering holds", "1", "2", "w", "s", "s", "primary"]]
    table = pd.DataFrame(rows, columns=[*COLUMNS, "trust"])
    table.to_csv(results / "claims.csv", index=False)
    done = tvqsr("check", results)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-2:] == [
        "Our own questions, which the exit code leaves out: 1 ordering reversed",
        "Published claims: 1 ordering holds",
    ]
    table.assign(trust="digest").to_csv(results / "claims.csv", index=False)
    assert failed(read_verdicts(results)) == 1


def test_a_verdict_on_single_trainings_says_so(results: Path, tvqsr: Command) -> None:
    once = "interval; one training each: how far another seed strays is not known"
    pd.DataFrame([["m.a", "ordering", "ordering holds", "1", "2", once, "s", "s"]], columns=COLUMNS).to_csv(
        results / "claims.csv", index=False
    )
    assert tvqsr("check", results).stdout.startswith("ordering holds (one training each)  m.a, ordering on s")
