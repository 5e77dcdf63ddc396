"""What the README says is there and works."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.conftest import ROOT
from tvqsr.cli import _parser

README = (ROOT / "README.md").read_text()
COMMANDS = [line.strip() for line in README.splitlines() if line.startswith("    ")]


def test_the_two_commands_are_there() -> None:
    assert any("pip install uv && uv run snakemake --cores all --config preset=mini" in command for command in COMMANDS)
    assert any(command.startswith("uv run pytest") for command in COMMANDS)
    assert "uv run pytest" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_every_command_line_is_valid() -> None:
    commands = [shlex.split(command, comments=True) for command in COMMANDS if command.startswith("uv run tvqsr")]
    assert len(commands) >= 2
    for words in commands:
        assert callable(_parser().parse_args(words[3:]).step)
