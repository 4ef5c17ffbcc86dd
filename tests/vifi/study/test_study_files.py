"""The studies that come with the project: read, planned, and each command parsed."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.test_snippets import taken
from vifi.study.steps import Places, plan_steps
from vifi.study.study_file import parse_study, read_study
from vifi.study.study_parts import Study

ROOT = Path(__file__).parents[3]
STUDIES = sorted((ROOT / "studies").glob("*.toml"))


def test_there_are_some():
    assert len(STUDIES) >= 2


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_command_is_one(path, monkeypatch, capsys):
    require_commands(read_study(path), monkeypatch, capsys)


def test_the_page_shows_a_whole_file(monkeypatch, capsys):
    text = (ROOT / "docs" / "STUDY.md").read_text(encoding="utf-8")
    whole = re.findall(r"```toml\n(title = .*?)```", text, re.DOTALL)[0]
    study = parse_study(tomllib.loads(whole))
    names = [step.name for step in plan_steps(study, Places(out=Path("o")))]
    asked = ["ask names of clip", "ask names of tuned"]
    assert [*names[:3], *names[-3:]] == [
        *("scan mine", "extract clip of mine", "train tuned"),
        *(*asked, "report"),
    ]
    require_commands(study, monkeypatch, capsys)


def require_commands(study: Study, monkeypatch, capsys) -> None:
    """Each command of a study is one that the command line takes."""
    steps = plan_steps(study, Places(out=Path("o")))
    for command in {command for step in steps for command in step.commands}:
        assert taken(list(command), monkeypatch), (command, capsys.readouterr().err)
