"""Subcommands for people with a method of their own: what there is, a first version, and whether it fits."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tvqsr.commands.common import add
from tvqsr.console import say
from tvqsr.errors import UserError


def add_methods(steps: Any) -> None:
    methods = add(
        steps, "methods", _methods, "list the methods, or tell all of one: stages, settings, where it is used"
    )
    methods.add_argument("name", nargs="?", help="a method")
    methods.add_argument("--json", action="store_true", help="as JSON")
    new = add(steps, "new-method", _new_method, "write a working method of your own to start from: a small VQ")
    new.add_argument("name", help="small letters, digits and `_`; also the name of its folder")
    new.add_argument("--at", type=Path, metavar="FOLDER", help="where to make its folder (default: baselines/)")
    new.add_argument(
        "--package", action="store_true", help="as a package to install with pip, in the working directory or --at"
    )
    check = add(steps, "check-method", _check_method, "check that a method trains, resumes and upscales as all must")
    check.add_argument("method", help="a method's name, or the path of its folder")
    check.add_argument("--only", action="append", default=[], metavar="CHECK", help="this one and those it relies on")
    check.add_argument("--json", action="store_true", help="as JSON")


def _methods(options: argparse.Namespace) -> None:
    from tvqsr.plan.overview import describe, overview, summary

    found = overview(options.name)
    if options.json:
        told = json.dumps(found if options.name is None else found[0], indent=2, allow_nan=False)
    elif options.name is None:
        told = "\n\n".join(summary(method) for method in found)
    else:
        told = describe(found[0])
    sys.stdout.write(f"{told}\n")


def _new_method(options: argparse.Namespace) -> None:
    from tvqsr.new_method import new_method

    folder = new_method(options.name, options.at, options.package)
    print(f"{folder}: written; look at method.yaml and plugin.py first")
    if options.package:
        print(f"install: uv pip install -e {folder}")
    print(f"check:   tvqsr check-method {folder / options.name if options.package else folder}")
    print(f"use:     entries: {{{options.name}: {{method: {options.name}}}}} in a preset")


def _check_method(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from tvqsr.testing.suite import check_method

    outcomes = check_method(options.method, options.only, lambda _: None if options.json else print(_, flush=True))
    if options.json:
        sys.stdout.write(json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n")
    if failed := [outcome.check for outcome in outcomes if outcome.status == "failed"]:
        raise UserError(f"{options.method}: failed {', '.join(failed)}")
    say(f"{options.method}: conforms")
