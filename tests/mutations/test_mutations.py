"""The lists of mutations stay true: every line is there, and who notices it exists."""

import ast
from pathlib import Path

import pytest

from tests.mutations.__main__ import check
from tests.mutations.mutation import Mutation, of_files, read_mutations, rotating

ROOT = Path(__file__).parents[2]
MUTATIONS = read_mutations()


def test_there_are_enough_of_every_kind():
    assert len(MUTATIONS) >= 60
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_still_applies(mutation):
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    if mutation.file.endswith(".py"):
        ast.parse(mutation.applied(text))
    assert mutation.applied(text) != text
    for test in mutation.tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).exists(), test
        assert not name or f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), test


def test_a_line_that_is_gone_or_stands_twice_is_told():
    mutation = Mutation(file="a.py", line="x = 1", becomes="x = 2", tests=())
    assert mutation.applied("def f():\n    x = 1\n") == "def f():\n    x = 2\n"
    with pytest.raises(ValueError, match="stands 0 times"):
        mutation.applied("y = 1\n")
    with pytest.raises(ValueError, match="stands 2 times"):
        mutation.applied("x = 1\nx = 1\n")


def test_chosen_by_changed_files_and_by_turns():
    first, second = (
        Mutation(file=f"{name}.py", line="", becomes="", tests=(f"tests/test_{name}.py::test_it",))
        for name in "ab"
    )
    assert of_files([first, second], ["b.py"]) == [second]
    assert of_files([first, second], ["tests/test_a.py", "README.md"]) == [first]
    assert [rotating([0, 1, 2, 3, 4], turn, 2) for turn in range(3)] == [[0, 1], [2, 3], [4, 0]]


def test_a_mutation_that_lives_is_told_and_the_tree_stays_as_it_is(tmp_path):
    (tmp_path / "a.py").write_text("def f(x):\n    return x < 1\n")
    (tmp_path / "test_a.py").write_text(
        "from a import f\n\n\ndef test_f():\n    assert f(0)\n    assert not f(2)\n"
    )
    lines = {"return x < 1": ["return x > 1", "return x <= 1"], "gone": ["pass"]}
    mutations = [
        Mutation(file="a.py", line=line, becomes=becomes, tests=("test_a.py",))
        for line, others in lines.items()
        for becomes in others
    ]
    assert check(mutations, tmp_path, files=["a.py", "test_a.py"], seconds=0) == ([], 3)
    lives, untried = check(mutations, tmp_path, files=["a.py", "test_a.py"])
    assert untried == 0
    assert [line.partition(":")[0] for line in lives] == ["LIVES", "a.py"]
    assert "return x <= 1" in lives[0]
    assert "stands 0 times" in lives[1]
    assert (tmp_path / "a.py").read_text() == "def f(x):\n    return x < 1\n"
    # Tests that fail anyway notice everything, which is told unless they are known to pass.
    (tmp_path / "test_a.py").write_text("def test_f():\n    assert False\n")
    given = {"files": ["a.py", "test_a.py"]}
    (line,) = check(mutations[:2], tmp_path, **given)[0]
    assert line.endswith("without any mutation; mend them first")
    assert check(mutations[:2], tmp_path, **given, is_tested=True) == ([], 0)
