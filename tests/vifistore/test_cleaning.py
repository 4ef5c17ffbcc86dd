import pytest

from vifistore.cleaning import cleaned, cleaning, effective
from vifistore.errors import UnknownNameError, UsageError


@pytest.mark.parametrize(
    ("how", "name", "result"),
    [
        ("as-is", "Apply_EyeMakeup", "Apply_EyeMakeup"),
        ("spaces", "brush_hair ", "brush hair"),
        ("spaces", "ApplyEyeMakeup", "ApplyEyeMakeup"),
        ("words", "ApplyEyeMakeup", "Apply Eye Makeup"),
        ("words", "YoYo", "Yo Yo"),
        ("words", "TVWatching_now", "TV Watching now"),
        ("words", "playing guitar", "playing guitar"),
    ],
)
def test_cleanings(how, name, result):
    assert cleaned([name], how) == {name: result}


def test_two_classes_may_not_become_one():
    with pytest.raises(UsageError, match="'a_b' and 'a b' would both become 'a b'"):
        cleaned(["a_b", "a b"], "spaces")


def test_unknown_cleaning_names_those_there_are():
    with pytest.raises(UnknownNameError, match="Did you mean 'words'"):
        cleaning("word")


def test_a_cleaning_that_changes_nothing_is_none():
    assert effective(["brush hair", "run"], "words") == "as-is"
    assert effective(["brush_hair", "run"], "words") == "words"
    assert effective(["ApplyEyeMakeup"], "spaces") == "as-is"
