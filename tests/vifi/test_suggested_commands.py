"""The commands that empty cells of the paper's tables show are ones that the program takes."""

import shlex
from pathlib import Path

import pytest

from reports.layouts.paper_tables import paper_tables
from vifi.__main__ import VERBS, run


def commands() -> set[tuple[str, ...]]:
    """Distinct commands of all nine tables, without what differs between cells only by name."""
    found = {}
    for table in paper_tables([]):
        for text in (*table.commands, *table.used_sources.values()):
            for command in text.split(" && "):
                words = shlex.split(command)
                assert words[0] == "vifi"
                shape = tuple(w for w in words if w.startswith("--")), words[1], words[2]
                found[shape] = tuple(words[1:])
    return set(found.values())


@pytest.mark.parametrize("words", sorted(commands()), ids=lambda words: " ".join(words[:3]))
def test_it_is_taken_up_to_the_missing_store(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    verb, *rest = words
    assert verb in VERBS
    if verb == "bench":
        with pytest.raises(SystemExit):
            run([verb, *rest, "--help"])
        said = capsys.readouterr().out
        assert [word for word in rest if word.startswith("--") and word not in said] == []
        return
    for weights in (Path(word) for word in rest if word.endswith(".safetensors")):
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.touch()
    assert run([verb, *rest]) in (1, 2)
    assert "there is no store at S; make one with" in capsys.readouterr().err
