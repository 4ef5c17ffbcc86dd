"""The studies that come with the project: read, planned, and each command parsed."""

from pathlib import Path

import pytest

from tests.docs.test_snippets import taken
from vifi.study.steps import Places, plan_steps
from vifi.study.study_file import read_study

STUDIES = sorted((Path(__file__).parents[3] / "studies").glob("*.toml"))


def test_there_are_some():
    assert len(STUDIES) >= 2


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_command_is_one(path, monkeypatch, capsys):
    commands = {
        command
        for step in plan_steps(read_study(path), Places(out=Path("o")))
        for command in step.commands
    }
    for command in commands:
        assert taken(list(command), monkeypatch), (command, capsys.readouterr().err)
