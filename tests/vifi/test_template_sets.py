import pytest

from vifi.command_line.template_sets import expand
from vifistore.errors import UnknownNameError


def test_names_stand_for_their_sets_and_templates_for_themselves():
    assert expand(()) == ()
    assert expand(("paper", "bare")) == ("a photo of a {}.", "{}")
    kinetics = expand(("kinetics",))
    assert len(kinetics) == 28
    assert {"a photo of {}.", "a video of a person doing {}."} <= set(kinetics)
    assert expand(("a {}", "paper", "a {}")) == ("a {}", "a photo of a {}.")
    assert len(expand(("actionclip",))) == 16


def test_a_name_that_is_none_is_refused():
    with pytest.raises(UnknownNameError, match=r"'kinetcs'\. Did you mean 'kinetics'"):
        expand(("kinetcs",))
