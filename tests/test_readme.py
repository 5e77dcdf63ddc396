"""What the README says is there and works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tvqsr.cli import _parser
from tvqsr.plan import Plan

README = (ROOT / "README.md").read_text()
COMMANDS = [line.strip() for line in README.splitlines() if line.startswith("    ")]


def test_the_two_commands_are_there() -> None:
    assert any("pip install uv && uv run snakemake --cores all --config preset=mini" in command for command in COMMANDS)
    assert any(command.startswith("uv run pytest") for command in COMMANDS)
    assert "uv run pytest" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("file", [ROOT / "README.md", ROOT / "results" / "README.md"], ids=["README", "results"])
def test_every_link_leads_somewhere(file: Path) -> None:
    links = set(re.findall(r"\]\((?!https?:)([^)#]+)\)", file.read_text(encoding="utf-8")))
    assert links
    assert [link for link in sorted(links) if not (file.parent / link).exists()] == []


def test_every_command_line_is_valid() -> None:
    commands = [shlex.split(command, comments=True) for command in COMMANDS if command.startswith("uv run tvqsr")]
    assert len(commands) >= 2
    for words in commands:
        assert callable(_parser().parse_args(words[3:]).step)


def test_other_peoples_work_is_planned_word_for_word(workspace: Path) -> None:
    section = README.split("## Compare with other people's weights and outputs")[1].split("\n## ")[0]
    block = next(block for block in section.split("\n\n") if block.startswith("    "))
    Path("mine.yaml").write_text(textwrap.dedent(block))
    (command,) = re.findall(r"`uv run snakemake .*?--config (preset=.*?)`", section)
    words = dict(word.split("=", 1) for word in shlex.split(command))
    plan = Plan.load(words["preset"], {"entries": yaml.safe_load(words["entries"])})
    assert {name: entry.title.partition(" (")[2] for name, entry in plan.entries.items()} == {
        "bicubic": "",
        "hat": "weights given)",
        "theirs": "outputs given)",
    }
    assert not plan.runs


@pytest.mark.slow
def test_a_baseline_is_added_word_for_word(tmp_path: Path) -> None:
    section = README.split("## Add a baseline")[1].split("\n## ")[0]
    checkout = tmp_path / "tvqsr"
    left_out = shutil.ignore_patterns(".*", "results", "__pycache__", "uv.lock")
    shutil.copytree(ROOT, checkout, ignore=left_out)
    blocks = [block for block in section.split("\n\n") if block.startswith("    ")]
    (checkout / "mine.yaml").write_text(next(block for block in blocks if "extends:" in block))
    commands = [line.strip() for block in blocks for line in block.splitlines() if re.match(" {4}(uv run|cat) ", line)]
    assert [command.split()[2:4] for command in commands[:3]] == [
        ["tvqsr", "new-method"],
        ["tvqsr", "check-method"],
        ["snakemake", "--cores"],
    ]
    # `uv run` as it is, but with the environment that is here and the code of the copy.
    uv = {"UV_NO_SYNC": "1", "UV_OFFLINE": "1", "UV_PROJECT_ENVIRONMENT": sys.prefix, "PYTHONPATH": str(checkout)}
    outputs = []
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command], cwd=checkout, env=os.environ | uv, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        outputs.append(done.stdout)
    written, checked, _, table = outputs
    assert str(checkout / "baselines" / "my_idea") in written
    assert not re.search("FAILED|relies on", checked)
    assert "| Bicubic" in table
    assert "| My idea" in table
