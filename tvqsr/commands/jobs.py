"""Subcommands that the workflow calls, with the results folder whose plan they follow."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvqsr.commands.common import Step, add, stored
from tvqsr.console import say
from tvqsr.errors import UserError
from tvqsr.gpus import leased_gpus
from tvqsr.shortage import told_out_of_memory

if TYPE_CHECKING:
    from tvqsr.plan import Plan


def add_jobs(steps: Any) -> None:
    """Steps that the workflow calls, with the results folder whose plan they follow."""

    def job(name: str, step: Step, summary: str, *arguments: str, seed: bool = False) -> argparse.ArgumentParser:
        parser = add(steps, name, step, summary)
        parser.add_argument("results", type=Path, help="results folder, or its plan.json")
        for argument in arguments:
            parser.add_argument(argument)
        if seed:
            parser.add_argument("--seed", type=int, default=0)
        return parser

    job("prepare", _prepare, "make a dataset's photos present: HR and LR, with a manifest", "dataset")
    check = job("check-overlap", _check_overlap, "look for photos of a training set in the test sets", "dataset")
    check.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="photos read at a time (default: %(default)s)"
    )
    job("train", _train, "train one stage for one seed; resumes where it stopped", "run", seed=True)
    summary = "do the step again at which a training met a value that is not finite, and tell where it came up"
    add(steps, "replay", _replay, summary).add_argument(
        "folder", type=Path, help="of the training: results/<preset>/runs/<run>/seed<k>"
    )
    job("upscale-entry", _upscale_entry, "make an entry's 8-bit images of a test set", "entry", "testset", seed=True)
    job("score-entry", _score_entry, "score those images, from the PNGs on disk", "entry", "testset", seed=True)
    job("table", _table, "means with intervals of a table's entries, as CSV, Markdown and LaTeX", "name")
    job("bibliography", _bibliography, "BibTeX of the methods shown, for the tables in LaTeX")
    job("measure-entry", _measure_entry, "measure an entry's parameters, MACs, time per image and memory", "entry")
    job("efficiency-table", _efficiency_table, "those measurements as one table: CSV, Markdown and LaTeX")
    job("figure", _figure, "draw one figure", "name")
    job("claims", _claims, "judge every published claim by the scores")
    job("report", _report, "write one self-contained page of everything")
    job("show", _show, "print the main tables, means only, and where the page is")
    summary = "print the verdicts on the published claims; exit code 1 if a published one that was run does not hold"
    check = add(steps, "check", _check, summary)
    check.add_argument("results", type=Path, help="results folder of a finished preset")
    check.add_argument(
        "--everything", "--all", action="store_true", help="those that were not run, too, with the reason; all entries"
    )
    named = "may be given several times; the exit code is of these alone"
    check.add_argument("--method", action="append", default=[], help=f"claims of this method or entry; {named}")
    check.add_argument("--verdict", action="append", default=[], help=f"those with this verdict (`not run`); {named}")
    summary = "compare entries of finished results in pairs, image by image: who is ahead, and whether that is decided"
    compare = add(steps, "compare", _compare, summary)
    compare.add_argument("results", type=Path, help="results folder of a finished preset")
    compare.add_argument("entries", nargs="+", metavar="ENTRY", help="two or more")
    compare.add_argument("--testset", help="default: the preset's first")
    compare.add_argument("--protocol", action="append", help="may be given several times (default: all of the set's)")
    publish = add(steps, "publish", _publish, "copy a finished preset's small files into a folder for git")
    publish.add_argument("results", type=Path)
    publish.add_argument("target", type=Path)


def _prepare(options: argparse.Namespace) -> None:
    from tvqsr.data.prepare import prepare
    from tvqsr.efficiency.advice import for_photos
    from tvqsr.plan.places import Places

    plan = stored(options.results)
    dataset = plan.dataset(options.dataset)
    folder, training = plan.paths.dataset(options.dataset), plan.is_training_set(options.dataset)
    told, preset = (lambda line: say(f"[{options.dataset}] {line}")), plan.preset
    with told_out_of_memory(lambda short: for_photos(plan, short, dataset.degradation)):
        prepare(dataset, folder, training, told, Places.of(preset), preset.runtime.threads)


def _check_overlap(options: argparse.Namespace) -> None:
    from tvqsr.data.apart import check_overlap
    from tvqsr.efficiency.advice import for_reading

    plan = stored(options.results)
    lower = "give `--threads {0}`, or to Snakemake `--cores {0}`"
    with told_out_of_memory(lambda short: for_reading(short, options.threads, lower)):
        check_overlap(plan, options.dataset, options.threads, lambda line: say(f"[{options.dataset}] {line}"))


def _refuse_shared(plan: Plan, datasets: list[str]) -> None:
    from tvqsr.data.apart import refuse_shared

    for dataset in datasets:
        refuse_shared(plan, dataset)


def _train(options: argparse.Namespace) -> None:
    plan = stored(options.results)
    run = plan.run(options.run)
    _refuse_shared(plan, [] if run.released else [run.dataset])
    if run.released:
        from tvqsr.train.released import import_released

        import_released(plan, options.run, options.seed)
    else:
        from tvqsr.efficiency.advice import for_training
        from tvqsr.train.job import train

        runtime = plan.preset.runtime
        devices = leased_gpus(runtime.gpus * runtime.processes)
        with devices, told_out_of_memory(lambda short: for_training(plan, run, short)):
            train(plan, options.run, options.seed)


def _replay(options: argparse.Namespace) -> None:
    folder: Path = options.folder.resolve()
    seed = folder.name.removeprefix("seed")
    if not seed.isdecimal() or len(folder.parents) < 4:
        raise UserError(f"{options.folder}: expected the folder of a training, results/<preset>/runs/<run>/seed<k>")
    plan = stored(folder.parents[2])
    from tvqsr.efficiency.advice import for_replay
    from tvqsr.train.replay import replay

    devices = leased_gpus(plan.preset.runtime.gpus)
    with devices, told_out_of_memory(lambda short: for_replay(short, options.folder)):
        print("\n".join(replay(plan, folder.parent.name, int(seed))))


def _upscale_entry(options: argparse.Namespace) -> None:
    plan = stored(options.results)
    _refuse_shared(plan, plan.training_sets_of(options.entry))
    from tvqsr.efficiency.advice import for_images
    from tvqsr.upscale.job import upscale

    what = f"a test image of {options.testset}"
    with leased_gpus(plan.preset.runtime.gpus), told_out_of_memory(lambda short: for_images(short, what)):
        upscale(plan, options.entry, options.seed, options.testset)


def _score_entry(options: argparse.Namespace) -> None:
    plan = stored(options.results)
    plan.entry(options.entry)
    from tvqsr.efficiency.advice import for_scores
    from tvqsr.score.job import score

    with leased_gpus(plan.preset.runtime.gpus), told_out_of_memory(lambda short: for_scores(plan, short)):
        score(plan, options.entry, options.seed, options.testset)


def _measure_entry(options: argparse.Namespace) -> None:
    plan = stored(options.results)
    plan.entry(options.entry)
    from tvqsr.efficiency.advice import PRESET_GPUS, for_timing
    from tvqsr.efficiency.job import measure_entry

    with leased_gpus(plan.preset.runtime.gpus), told_out_of_memory(lambda short: for_timing(short, PRESET_GPUS)):
        measure_entry(plan, options.entry)


def _efficiency_table(options: argparse.Namespace) -> None:
    from tvqsr.report.efficiency import write_efficiency

    write_efficiency(stored(options.results))


def _table(options: argparse.Namespace) -> None:
    from tvqsr.report.tables import write_table

    write_table(stored(options.results), options.name)


def _bibliography(options: argparse.Namespace) -> None:
    from tvqsr.report.bibliography import write_bibliography

    write_bibliography(stored(options.results))


def _figure(options: argparse.Namespace) -> None:
    from tvqsr.report.figures import draw

    draw(stored(options.results), options.name)


def _claims(options: argparse.Namespace) -> None:
    from tvqsr.report.claims import write_claims

    write_claims(stored(options.results))


def _report(options: argparse.Namespace) -> None:
    from tvqsr.report.page import write_page

    plan = stored(options.results)
    _refuse_shared(plan, plan.trained_on)
    write_page(plan)


def _show(options: argparse.Namespace) -> None:
    from tvqsr.report.tables import compact

    plan = stored(options.results)
    for testset in plan.table_sets("main"):
        print(f"{compact(plan, testset)}\n")
    print(f"report: {plan.paths.report}")


def _check(options: argparse.Namespace) -> None:
    from tvqsr.report.check import failed, read_verdicts, select, told

    verdicts = select(read_verdicts(options.results), options.method, options.verdict)
    print(told(verdicts, options.everything or bool(options.verdict)))
    if failed(verdicts):
        raise SystemExit(1)


def _compare(options: argparse.Namespace) -> None:
    from tvqsr.report.compare import compare, told

    plan = stored(options.results)
    testset = options.testset or plan.preset.test_on[0]
    known = plan.protocols_on(testset) if testset in plan.preset.test_on else ()
    print(told(compare(plan, options.entries, testset, options.protocol or known), testset))


def _publish(options: argparse.Namespace) -> None:
    from tvqsr.report.publish import publish

    say(f"{publish(options.results, options.target)} files copied to {options.target}")
