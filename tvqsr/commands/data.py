"""Subcommands for sets of photos: what there is, and getting it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from tvqsr.commands.common import add
from tvqsr.console import say
from tvqsr.errors import UserError

if TYPE_CHECKING:
    from tvqsr.plan.places import Places


def add_data(steps: Any) -> None:
    """Steps for sets of photos."""
    datasets = add(steps, "datasets", _datasets, "list the sets of photos, or tell all of some: size, licence, place")
    datasets.add_argument("names", nargs="*", metavar="NAME", help="a set")
    datasets.add_argument("--json", action="store_true", help="as JSON")
    fetch = add(steps, "fetch", _fetch, "fetch sets of photos, check them and unpack them; resumes where it stopped")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="a set; `tvqsr datasets` lists them")
    for parser in (datasets, fetch):
        parser.add_argument("--preset", help="the sets that this preset needs, where it says that they lie")
        parser.add_argument("--data-folder", metavar="DIR", help="where sets lie (default: datasets/)")
        parser.add_argument(
            "--archives-dir", metavar="DIR", help="where archives lie (default: <data folder>/archives)"
        )


def _chosen(options: argparse.Namespace) -> tuple[list[str], Places]:
    """The sets that are named or that a preset needs, and where they lie."""
    from tvqsr.plan.places import Places

    names, places = list(options.names), Places()
    if options.preset:
        from tvqsr.plan import Plan
        from tvqsr.plan.listing import sources_in

        preset = Plan.load(options.preset, {"entries": "all"}).preset
        names, places = [*names, *sources_in(preset)], Places.of(preset)
    return names, Places(options.data_folder or places.data, options.archives_dir or places.archives_dir)


def _datasets(options: argparse.Namespace) -> None:
    from tvqsr.plan.listing import detail, listing, table

    rows = listing(*_chosen(options))
    if options.json:
        told = json.dumps(rows, indent=2, allow_nan=False)
    else:
        told = "\n\n".join(map(detail, rows)) if options.names else table(rows)
    sys.stdout.write(f"{told}\n")


def _fetch(options: argparse.Namespace) -> None:
    names, places = _chosen(options)
    if not names:
        raise UserError("name the sets to fetch, or give `--preset`; `tvqsr datasets` lists them")
    from tvqsr.data.sources import obtain
    from tvqsr.plan.catalogue import source_of
    from tvqsr.plan.preset import DatasetSpec

    for name in names:
        source_of(name, "fetch")
    missing = []
    for name in dict.fromkeys(names):
        try:
            photos = obtain(DatasetSpec(source=name), places, lambda line, name=name: say(f"[{name}] {line}"))  # type: ignore[misc]
        except UserError as error:
            missing.append(name)
            say(f"tvqsr: error: {name}: {error}")
        else:
            say(f"[{name}] {len(photos.hr or photos.lr)} photos are here")
    if missing:
        raise UserError(f"{len(missing)} of {len(set(names))} sets are not here: {', '.join(missing)}; see above")
