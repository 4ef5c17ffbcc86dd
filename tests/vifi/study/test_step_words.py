"""A wrong word of a study is told before the first step, and not by the step that has it."""

import pytest

from vifi.__main__ import run
from vifi.study.study_flags import check_flags
from vifistore.errors import UsageError


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('ask = "ablate"', 'ask = "ablte"', "verb of ask fusions 'ablte'. Did you mean 'ablate'?"),
        ("evaluate zero-shot", "evaluate zeroshot", "ask table of clip: protocol is 'zeroshot'"),
        ('split = "test" }', 'splitt = "test" }', "table of clip: Unrecognized options: --splitt"),
        ('split = "test" }', "help = true }", "ask table of clip: help is no work to be done"),
        ('"supervised_k400"', '"supervised"', "train full-s1: unknown preset 'supervised'"),
        ("epochs = 2", "epoch = 2", "train full-s1: Unrecognized options: --epoch, 2"),
        ("epochs = 2", "epochs = 2020-01-01", "small.toml: train: epochs is datetime.date("),
        ("epochs = 2", '"--epochs" = 2', "small.toml: train: '--epochs' is no name of a flag"),
        ("seed = [1, 2]", "seed = []", "seed of each is an empty list"),
        ("scan = [[", "num_videos = -1\nscan = [[", "datasets.d: num_videos is -1; give 0 or more"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_done(
    study_file, tmp_path, capsys, right, wrong, told
):
    text = study_file.read_text(encoding="utf-8")
    assert right in text
    study_file.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    words = ["study", str(study_file), "--out", str(tmp_path / "o")]
    for flags in ([], ["--dry-run"]):
        assert run([*words, *flags]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_a_file_that_asks_nothing_is_no_study(tmp_path, capsys):
    path = tmp_path / "empty.toml"
    path.write_text('title = "nothing"', encoding="utf-8")
    assert run(["study", str(path), "--out", str(tmp_path / "o")]) == 2
    assert "it asks no question; write [questions.NAME]" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_a_file_in_the_place_of_its_folder_is_told(study_file, capsys, flags):
    assert run(["study", str(study_file), "--out", str(study_file), *flags]) == 2
    assert "is no folder; give another --out" in capsys.readouterr().err


def test_flags_are_what_a_command_line_can_be_given():
    check_flags("train", {"epochs": 2, "rate": 1e-3, "flip": False, "shots": [1, 2], "x2": "a"})
    for value in ({}, [[1]], [True], [{}]):
        with pytest.raises(UsageError, match="give a text, a number, true or false"):
            check_flags("train", {"epochs": value})
