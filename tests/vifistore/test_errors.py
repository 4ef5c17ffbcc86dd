"""All that is wrong with a call is told in one line."""

import pytest

from vifistore import errors
from vifistore.errors import Faults, UnknownNameError, UsageError, first_few
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.training.training_settings import TrainSettings


def test_one_fault_is_its_own_message_and_nothing_is_no_fault():
    found = Faults()
    found.check(True, "never")
    found.attempt(int, "3")
    found.refuse()
    found.attempt(lambda: (_ for _ in ()).throw(UnknownNameError("colour", "rde", ["red"])))
    with pytest.raises(UnknownNameError, match=r"^unknown colour 'rde'\. Did you mean 'red'\?"):
        found.refuse()


def test_several_are_one_line_each_once():
    found = Faults()
    for what in ("a is 1; give 2", "b is 3; give 4.", "a is 1; give 2"):
        found.check(False, what)
    with pytest.raises(UsageError) as caught:
        found.refuse()
    assert str(caught.value) == "2 things are wrong: (1) a is 1; give 2. (2) b is 3; give 4."


@pytest.mark.parametrize("length", [50, 120, 250])
def test_a_line_is_no_longer_than_is_read(length):
    found = Faults()
    for number in range(9):
        found.check(False, f"{number} " + "x" * length)
    with pytest.raises(UsageError) as caught:
        found.refuse()
    said = str(caught.value)
    assert len(said) < 400
    told = said.count("x" * length)
    assert told >= 1
    assert said.endswith(f"(and {9 - told} more)")


def test_what_is_refused_within_is_told_with_the_rest():
    found = Faults()
    found.check(False, "first")
    with found.gathered():
        TrainSettings(epochs=0, warmup_epochs=0.0, flip=2.0)
        ExtractSettings(model="m", pretrained="p", frames=0, template=("no place",))
    with pytest.raises(UsageError) as caught:
        found.refuse()
    for part in ("first", "epochs is 0", "flip is 2.0", "--frames is 0", "'no place' must hold"):
        assert part in str(caught.value)
    # Outside of it each is refused by itself again.
    with pytest.raises(UsageError, match=r"^--frames is 0; give 1 or more$"):
        ExtractSettings(model="m", pretrained="p", frames=0)


def test_of_many_names_the_first_are_told_each_cut_in_the_middle():
    assert (
        first_few(["b", "a" * 40 + "z" * 40, "c", "d"], length=13)
        == "b, aaaaa...zzzzz, c and 1 more"
    )
    assert first_few("abc", 3, between=" | ") == "a | b | c"
    assert first_few(map(str, range(1002)), 1) == "0 and 1,001 more"
    assert first_few([]) == ""


def test_names_that_there_are_come_as_people_count():
    error = UnknownNameError("split", "train", [f"s{number}" for number in (10, 2, 1)])
    assert str(error) == "unknown split 'train'. There are: s1, s2, s10."
    assert error.known == ["s1", "s2", "s10"]


def test_of_very_many_names_none_is_compared(monkeypatch):
    monkeypatch.setattr(errors, "_MOST_COMPARED", 3)
    few, many = ("red1", "red2", "red10"), ("red1", "red2", "red10", "red11")
    assert "Did you mean 'red1'?" in str(UnknownNameError("colour", "rde1", few))
    said = str(UnknownNameError("colour", "rde1", many))
    assert said == "unknown colour 'rde1'. There are: red1, red10, red11, red2."
