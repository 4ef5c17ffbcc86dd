"""Commands of a study are parsed before the first is run: a wrong flag is told at once, and not
after days of training."""

import importlib
from collections.abc import Iterable

from vifi.__main__ import VERBS, module_of
from vifi.command_line.console import check_words
from vifi.study.steps import Command, Step
from vifistore.errors import UnknownNameError, UsageError


def refuse_wrong_words(steps: Iterable[Step]) -> None:
    """Raise UsageError for a command that its verb does not take, and UnknownNameError where there
    is no such verb. Of commands that differ in values alone one is parsed."""
    known: set[Command] = set()
    for step in steps:
        for command in step.commands:
            if (kind := _kind(command)) not in known:
                known.add(kind)
                _check(step, command)


def _kind(command: Command) -> Command:
    """Its verb, the word behind it, and its flags."""
    return (*command[:2], *(word.partition("=")[0] for word in command if word.startswith("--")))


def _check(step: Step, command: Command) -> None:
    verb, *words = command or ("",)
    if verb not in VERBS:
        raise UnknownNameError(f"verb of {step.name}", verb, list(VERBS))
    try:
        check_words(importlib.import_module(module_of(verb)).main, words)
    except UsageError as error:
        raise UsageError(f"{step.name}: {error}") from error
    except SystemExit as stop:
        raise UsageError(f"{step.name}: help is no work to be done; leave out --help") from stop
