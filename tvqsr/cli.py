"""The command line: one subcommand per step, each in `tvqsr/commands/`."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from tvqsr import __version__
from tvqsr.commands.data import add_data
from tvqsr.commands.degrade import add_degrade
from tvqsr.commands.explain import add_explain
from tvqsr.commands.jobs import add_jobs
from tvqsr.commands.methods import add_methods
from tvqsr.commands.own import add_own
from tvqsr.commands.planning import add_planning
from tvqsr.commands.verify import add_verify
from tvqsr.console import say, say_oneself
from tvqsr.errors import UserError
from tvqsr.memory import keep_freed_memory
from tvqsr.shortage import told_out_of_memory

DESCRIPTION = """Reproduction and benchmark suite of texture vector-quantised super-resolution
(TVQ&RAP, arXiv 2509.23774).

The whole work, in order and resumable, is `snakemake --cores all`, or on a laptop
`snakemake --cores all --config preset=mini`: it calls the steps below, which read
the plan that `record` wrote into the results folder. For your own photos:
`tvqsr degrade`, `tvqsr upscale` and `tvqsr score`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 for a mistake of the user's, told in one line."""
    options = _parser().parse_args(arguments)
    name = options.step.__name__.strip("_").replace("_", "-")
    keep_freed_memory()
    try:
        # For what has no better advice of its own: reports, say, or a method that is checked.
        with _terminable(), told_out_of_memory(lambda _: "run it where there is more memory"):
            options.step(options)
    except UserError as error:
        say_oneself(f"tvqsr: error: {error}")
        return 2
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        say(f"tvqsr {name}: stopped; what was finished is kept, and the same command goes on from there")
        return 128 + signal.SIGINT
    except TerminatedError:
        say(f"tvqsr {name}: stopped by SIGTERM; what was finished is kept, and the same command goes on from there")
        return 128 + signal.SIGTERM
    except OSError as error:
        say_oneself(f"tvqsr: error: {error.filename or 'input or output'}: {error.strerror or error}")
        return 2
    return 0


class TerminatedError(BaseException):
    """SIGTERM came; like Ctrl-C it ends what runs by way of its `finally`, so that no half of a file stays."""


@contextmanager
def _terminable() -> Iterator[None]:
    """While active, SIGTERM raises TerminatedError; a training handles it by itself, and finishes its step."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TerminatedError

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
