"""The demo stops at a command that fails, however it tells so."""

import sys
from types import ModuleType

import pytest

from vifi.demo import questions
from vifistore.errors import VifiError


@pytest.fixture
def verb_ending_with(monkeypatch):
    """Has `vifi info` end with a code."""

    def make(code: int) -> None:
        module = ModuleType("ending")
        vars(module)["main"] = lambda arguments: code
        monkeypatch.setitem(sys.modules, "ending", module)
        monkeypatch.setattr(questions, "module_of", lambda verb: "ending")

    return make


@pytest.mark.parametrize("code", [1, 3])
def test_a_code_that_is_not_0_is_an_error_that_names_the_command(verb_ending_with, code):
    verb_ending_with(code)
    with pytest.raises(VifiError, match=rf"code {code}; .*: vifi info 'a b.zarr'$"):
        questions.run_verb("info", "a b.zarr")


def test_a_command_that_ends_well(verb_ending_with):
    verb_ending_with(0)
    questions.run_verb("info", "a.zarr")
