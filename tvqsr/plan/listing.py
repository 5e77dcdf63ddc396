"""What sets of photos there are, where they come from, and whether they are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from tvqsr.plan.catalogue import catalogue, hub_title, parts_of, set_folder, source_of
from tvqsr.plan.places import Places, is_present
from tvqsr.plan.preset import DatasetSpec, Preset
from tvqsr.plan.source import ArchiveSource, ByHandSource, HubSource, SkimageSource, Source


def listing(sets: Mapping[str, DatasetSpec], places: Places) -> list[dict[str, Any]]:
    """Sets by name, as JSON-like values."""
    return [_told(name, spec, places) for name, spec in sets.items()]


def every_source() -> dict[str, DatasetSpec]:
    """All sources of the catalogue."""
    return {name: DatasetSpec(source=name) for name in catalogue()}


def named_sources(names: Sequence[str]) -> dict[str, DatasetSpec]:
    """Sources of the catalogue by name. Raises UserError for an unknown one."""
    for name in names:
        source_of(name, "photos")
    return {name: DatasetSpec(source=name) for name in names}


def sets_of(preset: Preset) -> dict[str, DatasetSpec]:
    """The sets that a preset's photos are taken from, each once: sources by their names, sets of the Hub by its own."""
    used = [preset.datasets[name] for name in (*sorted(preset.training_sets), *preset.test_on)]
    found = {spec.source: DatasetSpec(source=spec.source) for spec in used if spec.source}
    return found | {hub_title(spec): DatasetSpec(hub=spec.hub) for spec in used if spec.hub}


def _told(name: str, spec: DatasetSpec, places: Places) -> dict[str, Any]:
    folder = set_folder(spec, places.data)
    if spec.source is None:
        assert spec.hub is not None
        told = {"kind": "hub", "title": name, "licence": "see its page", "hub": spec.hub.model_dump(mode="json")}
        known = {"photos": None, "holds": list(spec.hub.sides), "size": "unknown", "from": "huggingface.co"}
        place = {"folder": str(folder), "parts": [], "here": is_present(spec, places), "archives_here": []}
        return {"name": name, **told, **known, **place}
    source = source_of(spec.source, "photos")
    parts = [part for part in parts_of(name) if part != name]
    return {
        "name": name,
        **source.model_dump(mode="json", exclude_none=True),
        "holds": list(source.sides),
        "photos": source.photos,
        "size": size_of(source),
        "from": _host(source),
        "folder": str(folder) if folder else None,
        "parts": parts,
        "here": _is_here(name, places),
        "archives_here": [file for file in _archives(source) if (places.archives / file).is_file()],
    }


def _is_here(name: str, places: Places) -> bool:
    """Whether all photos of a source are present, as far as folders tell."""
    source = source_of(name, "datasets")
    if isinstance(source, SkimageSource):
        return True
    parts = [part for part in parts_of(name) if part != name]
    here = bool(parts) and all(_is_here(part, places) for part in parts)
    return here if source.kind == "union" else is_present(DatasetSpec(source=name), places)


def size_of(source: Source) -> str:
    """What must be fetched: `3.53 GB`; `unknown` where nobody says."""
    if isinstance(source, SkimageSource):
        return "none"
    if isinstance(source, ArchiveSource) and not source.about:
        sizes = [spec.bytes for spec in source.archives.values()]
        return f"{sum(size or 0 for size in sizes) / 1e9:.2f} GB" if all(sizes) else "unknown"
    about = source.about if isinstance(source, ArchiveSource | HubSource) else None
    return about or ("unknown" if isinstance(source, ByHandSource) else "that of its parts")


def _host(source: Source) -> str:
    """Where a source is fetched from first."""
    if isinstance(source, ArchiveSource):
        address = next(iter(source.archives.values())).addresses[0]
        hosts = {"drive": "drive.google.com", "hub": "huggingface.co"}
        return hosts.get(address.partition(":")[0]) or urlsplit(address).hostname or address
    return {"hub": "huggingface.co", "by hand": "by hand", "scikit-image": "scikit-image"}.get(
        source.kind, "other sets"
    )


def _archives(source: Source) -> list[str]:
    return list(source.archives) if isinstance(source, ArchiveSource) else []


def table(rows: list[dict[str, Any]]) -> str:
    """The listing as text."""
    from tabulate import tabulate

    cells = [
        {
            "name": row["name"],
            "photos": row["photos"],
            "has": "+".join(row["holds"]),
            "kind": row["kind"],
            "size": row["size"],
            "here": "yes" if row["here"] else "archive" if row["archives_here"] else "no",
            "from": row["from"],
            "licence": _shortened(row["licence"], 36),
        }
        for row in rows
    ]
    return tabulate(cells, headers="keys", tablefmt="plain")


def detail(row: dict[str, Any]) -> str:
    """All of one source."""
    lines = [f"{row['name']}: {row['title']}", f"  licence  {row['licence']}"]
    lines += [f"  page     {row['page']}"] if "page" in row else []
    lines += [f"  photos   {row['photos']}, {' and '.join(row['holds'])}; size {row['size']}"]
    lines += [f"  of       {', '.join(row['parts'])}"] if row["parts"] else []
    if "hub" in row:
        lines += [f"  hub      {row['hub']['name']}, split {row['hub']['split']}, column {row['hub']['column']}"]
    for side in ("hr", "lr"):
        lines += [f"  {side.upper()}       {pattern} of {file}" for file, pattern in row.get(side, {}).items()]
    for file, archive in row.get("archives", {}).items():
        lines += [f"  archive  {file}{' (here)' if file in row['archives_here'] else ''}"]
        lines += [f"           {address}" for address in archive["addresses"]]
        lines += [f"           {key} {archive[key]}" for key in ("bytes", "sha256", "md5") if key in archive]
        if not {"sha256", "md5"} & set(archive):
            lines += ["           hash not published: recorded when it is first fetched, and checked ever after"]
    lines += [f"  folder   {row['folder']}" if row["folder"] else "  folder   none of its own"]
    return "\n".join([*lines, f"  here     {'yes' if row['here'] else 'no'}"])


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
