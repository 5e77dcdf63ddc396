"""The command line: one subcommand per step. A step's code is imported only when called, so `--help` is instant."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvqsr import __version__
from tvqsr.console import say
from tvqsr.errors import UserError

if TYPE_CHECKING:
    from tvqsr.plan import Plan

DESCRIPTION = """Reproduction and benchmark suite of texture vector-quantised super-resolution
(TVQ&RAP, arXiv 2509.23774).

The whole work, in order and resumable, is `snakemake --cores all`, or on a laptop
`snakemake --cores all --config preset=mini`: it calls the steps below, which read
the plan that `record` wrote into the results folder. For your own photos:
`tvqsr upscale` and `tvqsr score`."""

Step = Callable[[argparse.Namespace], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 for a mistake of the user's, told in one line."""
    options = _parser().parse_args(arguments)
    try:
        options.step(options)
    except UserError as error:
        say(f"tvqsr: error: {error}")
        return 2
    except BrokenPipeError:
        return 1
    except OSError as error:
        say(f"tvqsr: error: {error.filename or 'input or output'}: {error.strerror or error}")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "tvqsr", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"tvqsr {__version__}")
    steps = parser.add_subparsers(title="steps", required=True, metavar="STEP")
    _add_planning(steps)
    _add_jobs(steps)
    _add_user_steps(steps)
    return parser


def _add_planning(steps: Any) -> None:
    """Steps that read a preset."""
    for name, step, summary in (
        ("plan", _plan, "list the runs and entries of a preset"),
        ("record", _record, "resolve a preset and write the plan into its results folder"),
    ):
        parser = _add(steps, name, step, summary)
        parser.add_argument("--preset", required=True, help="name or path of a preset")
        parser.add_argument(
            "--set", action="append", default=[], metavar="KEY=YAML", help="change a top-level key of the preset"
        )


def _add_jobs(steps: Any) -> None:
    """Steps that the workflow calls, with the results folder whose plan they follow."""

    def job(name: str, step: Step, summary: str, *arguments: str, seed: bool = False) -> None:
        parser = _add(steps, name, step, summary)
        parser.add_argument("results", type=Path, help="results folder, or its plan.json")
        for argument in arguments:
            parser.add_argument(argument)
        if seed:
            parser.add_argument("--seed", type=int, default=0)

    job("prepare", _prepare, "make a dataset's photos present: HR and LR, with a manifest", "dataset")
    job("train", _train, "train one stage for one seed; resumes where it stopped", "run", seed=True)
    job("upscale-entry", _upscale_entry, "make an entry's 8-bit images of a test set", "entry", "testset", seed=True)
    job("score-entry", _score_entry, "score those images, from the PNGs on disk", "entry", "testset", seed=True)
    job("table", _table, "means with intervals of a table's entries, as CSV, Markdown and LaTeX", "name")
    job("measure-entry", _measure_entry, "measure an entry's parameters, MACs, time per image and memory", "entry")
    job("efficiency-table", _efficiency_table, "those measurements as one table: CSV, Markdown and LaTeX")
    job("figure", _figure, "draw one figure", "name")
    job("claims", _claims, "judge every published claim by the scores")
    job("report", _report, "write one self-contained page of everything")
    job("show", _show, "print the main tables, means only, and where the page is")
    publish = _add(steps, "publish", _publish, "copy a finished preset's small files into a folder for git")
    publish.add_argument("results", type=Path)
    publish.add_argument("target", type=Path)


def _add_user_steps(steps: Any) -> None:
    """Steps for people's own photos and weights."""
    weights = _add(
        steps, "import-weights", _import_weights, "turn a checkpoint that the authors released into weights of a preset"
    )
    weights.add_argument("method")
    weights.add_argument("file", type=Path, help="the authors' .pth; nothing in it is executed")
    weights.add_argument(
        "--run", type=Path, default=Path("results/paper"), help="results folder (default: %(default)s)"
    )
    weights.add_argument("--stage", help="the stage that it is of, if its name does not tell")
    upscale = _add(
        steps,
        "upscale",
        _upscale,
        "upscale a photo of yours x4 with a trained entry (about 5 GB of memory per megapixel)",
    )
    upscale.add_argument("photo", type=Path)
    upscale.add_argument("output", type=Path, help="a PNG")
    upscale.add_argument("--entry", required=True)
    upscale.add_argument(
        "--run",
        type=Path,
        default=Path("results/mini"),
        help="results folder of a finished preset (default: %(default)s)",
    )
    upscale.add_argument("--seed", type=int, default=0)
    _add_efficiency(steps)
    score = _add(steps, "score", _score, "score any two folders of images, paired by name")
    score.add_argument("--sr", type=Path, required=True, help="folder of the images to be scored")
    score.add_argument("--hr", type=Path, help="folder of the references; not needed by niqe, musiq, ...")
    score.add_argument(
        "--protocol", action="append", required=True, help="psnr_y, ssim_y, niqe, ...; may be given several times"
    )
    score.add_argument(
        "--crop",
        type=int,
        default=4,
        help="border left out of PSNR and SSIM; other protocols see the whole image (default: %(default)s)",
    )
    score.add_argument("--json", type=Path, help="write the scores here, too")
    score.add_argument("--download", action="store_true", help="fetch absent metric weights from the network")


def _add_efficiency(steps: Any) -> None:
    """What a method costs before it is trained."""
    summary = "count and time a method with fresh weights at its published size, on this machine; prints JSON"
    efficiency = _add(steps, "efficiency", _efficiency, summary)
    efficiency.add_argument("method")
    efficiency.add_argument(
        "--given", type=Path, help="the checkpoint of a method that runs others', as `spandrel` does"
    )
    efficiency.add_argument("--stage", help="default: the one that makes the method's images")
    efficiency.add_argument(
        "--set", action="append", default=[], metavar="KEY=YAML", help="change a setting in every stage that has it"
    )
    efficiency.add_argument(
        "--training", action="store_true", help="instead, the memory of a training step, computed without a GPU"
    )
    efficiency.add_argument("--batch", type=int, help="of that step (default: the published one)")
    efficiency.add_argument("--crop", type=int, help="its HR side in pixels (default: the published one)")


def _add(steps: Any, name: str, step: Step, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = steps.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
    parser.set_defaults(step=step)
    return parser


def _resolved(options: argparse.Namespace) -> Plan:
    from tvqsr.plan import Plan

    return Plan.load(options.preset, _changes(options.set))


def _changes(items: Sequence[str]) -> dict[str, Any]:
    """Values of `--set KEY=YAML`, by key."""
    import yaml

    changes = {}
    for item in items:
        key, separator, value = item.partition("=")
        try:
            changes[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            separator = ""
        if not separator:
            raise UserError(f"--set {item}: expected KEY=YAML")
    return changes


def _stored(folder: Path) -> Plan:
    from tvqsr.plan.stored import stored_plan

    return stored_plan(folder)


def _plan(options: argparse.Namespace) -> None:
    plan = _resolved(options)
    for run in plan.runs.values():
        trained = f"{run.training.steps} iterations on {run.dataset}, seeds {list(plan.preset.seeds)}"
        budget = "the authors' weights" if run.released else trained
        print(f"run    {run.name}  {budget}")
    for entry in plan.entries.values():
        made_with = entry.run.name if entry.run else entry.given or "nothing to train"
        print(f"entry  {entry.name}  {entry.title}, {made_with}")


def _record(options: argparse.Namespace) -> None:
    from tvqsr.files import write_json
    from tvqsr.plan.stored import record

    plan = _resolved(options)
    write_json(plan.paths.record, record(plan))


def _prepare(options: argparse.Namespace) -> None:
    from tvqsr.data.prepare import prepare

    plan = _stored(options.results)
    dataset = plan.dataset(options.dataset)
    folder, training = plan.paths.dataset(options.dataset), plan.is_training_set(options.dataset)
    prepare(dataset, folder, training, lambda line: say(f"[{options.dataset}] {line}"), plan.preset.data_folder)


def _train(options: argparse.Namespace) -> None:
    plan = _stored(options.results)
    if plan.run(options.run).released:
        from tvqsr.train.released import import_released

        import_released(plan, options.run, options.seed)
    else:
        from tvqsr.train.job import train

        train(plan, options.run, options.seed)


def _import_weights(options: argparse.Namespace) -> None:
    from tvqsr.files import write_json
    from tvqsr.plan import Plan
    from tvqsr.plan.load import is_preset
    from tvqsr.plan.stored import record, stored_plan

    # Before a preset's first run its results folder holds no plan yet: the folder's name tells which preset is meant.
    if not (options.run / "plan.json").is_file() and is_preset(options.run.name):
        plan = Plan.load(options.run.name)
        write_json(options.run / "plan.json", record(plan))
    plan = stored_plan(options.run)
    from tvqsr.train.released import import_by_hand

    import_by_hand(plan, options.method, options.file, options.stage)


def _upscale_entry(options: argparse.Namespace) -> None:
    plan = _stored(options.results)
    plan.entry(options.entry)
    from tvqsr.upscale.job import upscale

    upscale(plan, options.entry, options.seed, options.testset)


def _score_entry(options: argparse.Namespace) -> None:
    plan = _stored(options.results)
    plan.entry(options.entry)
    from tvqsr.score.job import score

    score(plan, options.entry, options.seed, options.testset)


def _measure_entry(options: argparse.Namespace) -> None:
    plan = _stored(options.results)
    plan.entry(options.entry)
    from tvqsr.efficiency.job import measure_entry

    measure_entry(plan, options.entry)


def _efficiency_table(options: argparse.Namespace) -> None:
    from tvqsr.report.efficiency import write_efficiency

    write_efficiency(_stored(options.results))


def _efficiency(options: argparse.Namespace) -> None:
    from tvqsr.efficiency.job import published_cost, published_training_memory

    changes = _changes(options.set)
    if options.training and options.given:
        raise UserError("--given is not of --training: what is given is not trained; leave one of them out")
    if options.training:
        result = published_training_memory(options.method, options.stage, changes, options.batch, options.crop)
    elif options.batch is not None or options.crop is not None:
        raise UserError("--batch and --crop are of --training; give that, too, or leave them out")
    else:
        result = published_cost(options.method, options.stage, changes, options.given)
    sys.stdout.write(json.dumps(result, indent=2, allow_nan=False) + "\n")


def _table(options: argparse.Namespace) -> None:
    from tvqsr.report.tables import write_table

    write_table(_stored(options.results), options.name)


def _figure(options: argparse.Namespace) -> None:
    from tvqsr.report.figures import draw

    draw(_stored(options.results), options.name)


def _claims(options: argparse.Namespace) -> None:
    from tvqsr.report.claims import write_claims

    write_claims(_stored(options.results))


def _report(options: argparse.Namespace) -> None:
    from tvqsr.report.page import write_page

    write_page(_stored(options.results))


def _show(options: argparse.Namespace) -> None:
    from tvqsr.report.tables import compact

    plan = _stored(options.results)
    for testset in plan.table_sets("main"):
        print(f"{compact(plan, testset)}\n")
    print(f"report: {plan.paths.report}")


def _publish(options: argparse.Namespace) -> None:
    from tvqsr.report.publish import publish

    say(f"{publish(options.results, options.target)} files copied to {options.target}")


def _upscale(options: argparse.Namespace) -> None:
    plan = _stored(options.run)
    plan.entry(options.entry)
    from tvqsr.upscale.job import upscale_photo

    pixels, seconds = upscale_photo(plan, options.entry, options.seed, options.photo, options.output)
    say(f"{options.output}: {pixels.shape[1]} x {pixels.shape[0]} by {options.entry} in {seconds:.2f} s")


def _score(options: argparse.Namespace) -> None:
    from tvqsr.files import write_text
    from tvqsr.score.job import score_folders

    if options.crop < 0:
        raise UserError(f"--crop {options.crop}: expected 0 or more")
    scores = score_folders(options.sr, options.hr, options.protocol, options.crop, options.download)
    text = json.dumps(scores, indent=2, allow_nan=False) + "\n"
    if options.json:
        write_text(options.json, text)
    sys.stdout.write(text)
