"""The figures of the code are counted as the script says."""

import pytest

from benchmarks.code_figures import Code, CodeFigures, figures, main

MODULE = '''
import numpy as np

def shown(frames: np.ndarray) -> None:
    """Takes frames [video dim]."""

def unshown() -> list[np.ndarray]:
    """Gives rows."""

def refuses(path):
    """Reads a file. Raises OSError if there is none."""
    raise OSError(path)

def stops(path):
    """Reads a file."""
    def inner():
        raise OSError(path)
    try:
        inner()
    except OSError:
        raise

class Thing:
    def undocumented(self):
        return 1

    def _hidden(self, x: np.ndarray):
        raise ValueError

class _Hidden:
    def method(self):
        pass
'''


@pytest.fixture
def code(tmp_path) -> Code:
    (tmp_path / "harness").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "reports" / "out").mkdir(parents=True)
    (tmp_path / "harness" / "a.py").write_text(MODULE)
    (tmp_path / "harness" / "long.py").write_text("x = 1\n" * 301)
    (tmp_path / "tests" / "test_a.py").write_text("x = 1\n" * 10)
    (tmp_path / "reports" / "out" / "made.py").write_text("x = 1\n")
    return Code(root=tmp_path)


def names(lines: list[str]) -> list[str]:
    return [line.split()[-1] for line in lines]


def test_what_a_figure_lacks_is_listed(code):
    assert names(code.lacking("docstrings")) == ["undocumented"]
    assert names(code.lacking("shapes")) == ["unshown"]
    assert names(code.lacking("errors")) == ["stops"]
    assert code.lacking("files") == ["harness/long.py: 301 lines"]
    assert code.lacking("shapes")[0].startswith("harness/a.py:7 ")


def test_the_table_counts_what_it_says(code):
    found = figures(code)
    assert found["files"] == "2"
    assert found["lines of tests"] == "10"
    assert found["functions"] == "8"
    assert found["lines of a function, median / p90 / p99 / max"] == "2 / 4 / 8 / 8"
    assert found["public functions with docstrings"] == "80% (4 of 5)"
    assert found["public functions with shapes"] == "50% (1 of 2)"
    assert found["public functions with errors"] == "50% (1 of 2)"


def test_checkouts_stand_side_by_side(code, capsys):
    main(CodeFigures(roots=(code.root, code.root)))
    lines = capsys.readouterr().out.splitlines()
    assert all(len(set(line.split(" | ")[1:])) == 1 for line in lines)
    main(CodeFigures(roots=(code.root,), lacking="files"))
    assert capsys.readouterr().out == "harness/long.py: 301 lines\n"
