"""The command line: one subcommand per step, each in `tvqsr/commands/`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tvqsr import __version__
from tvqsr.commands.data import add_data
from tvqsr.commands.degrade import add_degrade
from tvqsr.commands.explain import add_explain
from tvqsr.commands.jobs import add_jobs
from tvqsr.commands.methods import add_methods
from tvqsr.commands.own import add_own
from tvqsr.commands.planning import add_planning
from tvqsr.commands.verify import add_verify
from tvqsr.console import say
from tvqsr.errors import UserError

DESCRIPTION = """Reproduction and benchmark suite of texture vector-quantised super-resolution
(TVQ&RAP, arXiv 2509.23774).

The whole work, in order and resumable, is `snakemake --cores all`, or on a laptop
`snakemake --cores all --config preset=mini`: it calls the steps below, which read
the plan that `record` wrote into the results folder. For your own photos:
`tvqsr degrade`, `tvqsr upscale` and `tvqsr score`."""


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
    except KeyboardInterrupt:
        say("tvqsr: stopped; the same command goes on where it was")
        return 130
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
    add_planning(steps)
    add_jobs(steps)
    add_own(steps)
    add_explain(steps)
    add_verify(steps)
    add_degrade(steps)
    add_methods(steps)
    add_data(steps)
    return parser
