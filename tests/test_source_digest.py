"""Which code a job depends on: a digest of its source, imports included."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvqsr.plan import Plan
from tvqsr.plan.digest import forget_sources, source_digest
from tvqsr.plan.method import PACKAGE


def fresh_digest(file: Path) -> str:
    """Digest of what the file holds now."""
    forget_sources()
    return source_digest(file)


def test_source_digest_ignores_comments_and_docstrings_but_not_code(tmp_path: Path) -> None:
    file = tmp_path / "plugin.py"
    file.write_text('"""One."""\n\ndef f(x: int) -> int:\n    """Add."""\n    return x + 1\n')
    before = fresh_digest(file)
    file.write_text('"""Two."""\n# why\ndef f(x: int) -> int:\n\n    return (x + 1)\n')
    assert fresh_digest(file) == before
    file.write_text("def f(x: int) -> int:\n    return x + 2\n")
    assert fresh_digest(file) != before


def test_source_digest_follows_imports_into_numeric_rooms_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tvqsr.plan.digest as module

    package = tmp_path / "tvqsr"
    for room in ("nn", "plan", "report"):
        (package / room).mkdir(parents=True)
    plugin = tmp_path / "plugin.py"
    plugin.write_text("from tvqsr.nn.blocks import f\nfrom tvqsr.plan.paths import g\n")
    (package / "nn" / "blocks.py").write_text("from tvqsr.nn import deeper\n")
    (package / "nn" / "deeper.py").write_text("x = 1\n")
    (package / "plan" / "paths.py").write_text("x = 1\n")
    (package / "report" / "plot.py").write_text("x = 1\n")
    monkeypatch.setattr(module, "PACKAGE", package)

    def digest() -> str:
        module.forget_sources()
        return source_digest(plugin)

    before = digest()
    for untouched in (package / "plan" / "paths.py", package / "report" / "plot.py"):
        untouched.write_text("x = 2\n")
        assert digest() == before
    (package / "nn" / "deeper.py").write_text("x = 2\n")
    assert digest() != before


def test_source_digest_follows_relative_imports_and_nothing_else_of_a_folder(tmp_path: Path) -> None:
    plugin, neighbour, other = (tmp_path / name for name in ("plugin.py", "neighbour.py", "other.py"))
    plugin.write_text("from .neighbour import f\n")
    neighbour.write_text("f = 1\n")
    other.write_text("x = 1\n")
    before = fresh_digest(plugin)
    other.write_text("x = 2\n")
    assert fresh_digest(plugin) == before
    neighbour.write_text("f = 2\n")
    assert fresh_digest(plugin) != before


def test_a_plot_is_not_part_of_what_trains(tiny_plan: Plan) -> None:
    """The closure of the training job holds networks and losses, and nothing of the report or the scores."""
    from tvqsr.plan.digest import sources

    run = next(iter(tiny_plan.runs.values()))
    rooms = {
        file.relative_to(PACKAGE).parts[0]
        for file in sources(PACKAGE / "train" / "job.py", run.method.plugin)
        if file.is_relative_to(PACKAGE)
    }
    assert {"nn", "train", "data"} <= rooms
    assert not rooms & {"report", "score", "upscale", "plan"}
