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
    from tvqsr.plan.preset import DatasetSpec


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


def _chosen(options: argparse.Namespace) -> tuple[dict[str, DatasetSpec], Places]:
    """The sets that are named or that a preset needs, and where they lie."""
    from tvqsr.plan.listing import named_sources, sets_of
    from tvqsr.plan.places import Places

    sets, places = named_sources(options.names), Places()
    if options.preset:
        from tvqsr.plan import Plan

        preset = Plan.load(options.preset, {"entries": "all"}).preset
        sets, places = sets | sets_of(preset), Places.of(preset)
    return sets, Places(options.data_folder or places.data, options.archives_dir or places.archives_dir)


def _datasets(options: argparse.Namespace) -> None:
    from tvqsr.plan.listing import detail, every_source, listing, table

    sets, places = _chosen(options)
    rows = listing(sets or every_source(), places)
    if options.json:
        told = json.dumps(rows, indent=2, allow_nan=False)
    else:
        told = "\n\n".join(map(detail, rows)) if options.names else table(rows)
    sys.stdout.write(f"{told}\n")


def _fetch(options: argparse.Namespace) -> None:
    sets, places = _chosen(options)
    if not sets:
        raise UserError("name the sets to fetch, or give `--preset`; `tvqsr datasets` lists them")
    missing = [name for name, spec in sets.items() if not _obtained(name, spec, places)]
    if missing:
        raise UserError(f"{len(missing)} of {len(sets)} sets are not here: {', '.join(missing)}; see above")


def _obtained(name: str, spec: DatasetSpec, places: Places) -> bool:
    """Whether a set can be had; if not, why is told, and the others are tried all the same."""
    from tvqsr.data.sources import obtain

    try:
        photos = obtain(spec, places, lambda line: say(f"[{name}] {line}"))
    except UserError as error:
        say(f"tvqsr: error: {name}: {error}")
        return False
    say(f"[{name}] {len(photos.hr or photos.lr)} photos are here")
    return True
