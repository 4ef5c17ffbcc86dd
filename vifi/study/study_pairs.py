"""Which systems a question means by patterns, and which of them are compared with which."""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

from vifi.study.study_parts import Question, StudySystem
from vifistore.errors import UsageError

_WILD = re.compile(r"(\*|\?|\[[^\]]+\])")


def with_systems(systems: Mapping[str, StudySystem], question: Question) -> Question:
    """A question with systems in the place of patterns that match any, each once.

    Where both a pattern of its systems and the one at the same place of `against` mean several,
    those are compared of which the same stands for `*`. Raises UsageError where that is of one
    alone.
    """
    named = _each(systems, question.systems)
    against = _each(systems, question.against)
    if len(named) == len(against):
        against = [
            _aligned(question, *place)
            for place in zip(question.systems, named, question.against, against, strict=True)
        ]
    return replace(
        question,
        systems=_once(named),
        against=_once(against),
        beside=_once(_each(systems, question.beside)),
    )


def _each(systems: Mapping[str, StudySystem], names: Sequence[str]) -> list[list[str]]:
    """What each name or pattern means; one that matches nothing is kept, and refused as a name."""
    return [fnmatch.filter(systems, name) or [name] for name in names]


def _once(named: Sequence[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(chain.from_iterable(named)))


def _aligned(
    question: Question, pattern: str, named: list[str], against: str, others: list[str]
) -> list[str]:
    """The systems of `against` in the order of those that they are compared with."""
    is_one_pattern = _WILD.search(pattern) and _WILD.search(against)
    if len(named) < 2 or not is_one_pattern or others == [against]:
        return others
    by_part = {_part(against, name): name for name in others}
    parts = [_part(pattern, name) for name in named]
    if set(parts) != set(by_part) or len(by_part) < len(others):
        alone = min(set(parts) ^ set(by_part), default=others[0])
        raise UsageError(
            f"question {question.name}: {pattern} and {against} are compared by what stands for "
            f"their *, and {alone} is of one of them alone; name the systems one by one"
        )
    return [by_part[part] for part in parts]


def _part(pattern: str, name: str) -> str:
    """What stands for the wild parts of a pattern in a name, joined."""
    # Every other part is a wild one.
    words = [[re.escape, _group][i % 2](part) for i, part in enumerate(_WILD.split(pattern))]
    match = re.fullmatch("".join(words), name, re.DOTALL)
    return " ".join(match.groups()) if match else name


def _group(wild: str) -> str:
    """A wild part as a group of a regular expression."""
    if wild in "*?":
        return "(.*)" if wild == "*" else "(.)"
    inside = wild[1:-1]
    return f"([^{inside[1:]}])" if inside.startswith("!") else f"([{inside}])"
