"""`vifi rm`: what it lists, asks, keeps and removes."""

import io
import json

import pytest

from vifi.__main__ import run
from vifistore.store.names import read_names, set_name


@pytest.fixture
def remove(maker, tmp_path, capsys):
    """Call with what to remove and flags; returns exit code, standard output and error lines."""

    def call(*words):
        code = run([str(word) for word in ["rm", tmp_path / "S.zarr", *words]])
        said = capsys.readouterr()
        return code, said.out, said.err.strip().splitlines()

    return call


def test_it_lists_and_asks_before_it_removes(remove, maker, monkeypatch):
    code, said, errors = remove("toy/val2", "toy/bad", "--dry-run")
    assert (code, errors) == (0, [])
    assert [line.split(":")[0].split("/")[0] for line in said.splitlines()] == [
        *("names", "features", "splits"),
    ]
    code, _, errors = remove("toy/val2", "toy/bad")
    assert code == 2
    assert "nobody can be asked here; give --yes to remove it, --dry-run to see it" in errors[0]
    assert "val2" in maker.store.dataset("toy").splits()
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    asked, answers = [], []

    def ask(text):
        asked.append(text)
        return answers.pop()

    monkeypatch.setattr("builtins.input", ask)
    for answer, is_left in (("", True), ("no", True), ("y", False)):
        answers.append(answer)
        code, said, _ = remove("toy/val2")
        assert code == 0
        assert ("nothing is removed" in said) == is_left
        assert ("val2" in maker.store.dataset("toy").splits()) == is_left
    assert all(text.startswith("remove these, ") for text in asked)


def test_ctrl_d_is_no(remove, maker, monkeypatch):
    def end(_):
        raise EOFError

    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr("builtins.input", end)
    code, said, errors = remove("toy/val2")
    assert (code, errors) == (0, [])
    assert said.endswith("nothing is removed\n")
    assert "val2" in maker.store.dataset("toy").splits()


def test_scripts_remove_without_being_asked(remove, maker):
    code, said, _ = remove("toy/bad", "--yes")
    assert (code, "removed" in said) == (0, True)
    assert len(maker.store.dataset("toy").feature_ids()) == 1
    code, said, _ = remove("toy", "--yes", "--json")
    document = json.loads(said)
    assert document["removed"]
    assert document["removals"][-1]["where"] == "videos/toy"
    assert maker.store.datasets() == []


def test_what_is_needed_stays_without_force(remove, maker):
    good = maker.store.features("toy", "good")
    set_name(maker.store.dataset("toy"), "alias", good.id, good.checkpoint, force=False)
    code, said, errors = remove("toy/good", "--yes")
    assert code == 2
    assert "needed by its name alias" in said
    assert errors == [
        f"vifi: {good.path} is needed by its name alias; remove that first, or give --force"
    ]
    assert remove("toy/good", "--yes", "--force")[0] == 0
    assert {name.name for name in read_names(maker.store.dataset("toy"))} == {"bad"}


def test_result_rows_name_what_they_were_made_from(remove, maker, tmp_path, capsys):
    out = tmp_path / "out"
    words = [
        "evaluate",
        tmp_path / "S.zarr",
        "supervised",
        "--dataset",
        "toy",
        "--features",
        "good",
    ]
    words += ["--classifier", "prototype", "--train-split", "train1", "--split", "val1"]
    assert run([str(word) for word in [*words, "--results", out]]) == 0
    capsys.readouterr()
    for what in ("toy/good", "toy/val1", "toy/train1", "toy"):
        code, _, errors = remove(what, "--results", out, "--yes")
        assert code == 2
        assert "result rows (supervised of good); remove that first, or give --force" in errors[-1]
    assert remove("toy/val2", "toy/bad", "--results", out, "--yes")[0] == 0
    assert remove("toy/val1", "--results", out, "--yes", "--force")[0] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "say what to remove"),
        (("toi",), "Did you mean 'toy'"),
        (("toy/god",), "Did you mean 'good'"),
        (("splits/toy/val",), "Give splits/DATASET/NAME"),
    ],
)
def test_wrong_use_is_one_line(remove, words, told):
    code, said, errors = remove(*words)
    assert (code, said, len(errors)) == (2, "", 1)
    assert told in errors[0]
