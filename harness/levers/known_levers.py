"""Every lever by its name: a new one is a function from `Given` to `Lifted`, and an entry here."""

from collections.abc import Sequence

from harness.levers.calibration import CALIBRATIONS
from harness.levers.described_classes import BY_DESCRIPTIONS
from harness.levers.ensembles import ENSEMBLES
from harness.levers.lever import Lever, Need
from harness.levers.transductive import TRANSDUCTIVE
from harness.levers.wanted_levers import Levers
from vifistore.errors import UnknownNameError, UsageError

LEVERS: dict[str, Lever] = {**BY_DESCRIPTIONS, **ENSEMBLES, **CALIBRATIONS, **TRANSDUCTIVE}
ALL = "all"
"""Stands for every lever whose needs are met."""


def chosen_levers(asked: Levers) -> dict[str, Lever]:
    """The levers that are asked for, by name, each once.

    Raises UnknownNameError for one that there is not, UsageError for one that lacks what it needs.
    """
    check_lever_names(asked.names)
    for name in asked.names:
        if name != ALL and (lacking := lacks(LEVERS[name], asked)):
            raise UsageError(f"lever {name} needs {lacking}")
    met = [name for name, lever in LEVERS.items() if not lacks(lever, asked)]
    names = [one for name in asked.names for one in (met if name == ALL else [name])]
    return {name: LEVERS[name] for name in dict.fromkeys(names)}


def check_lever_names(names: Sequence[str]) -> None:
    """Raise UnknownNameError for a name that is no lever's, nor `all`."""
    for name in names:
        if name != ALL and name not in LEVERS:
            raise UnknownNameError("lever", name, (*LEVERS, ALL))


def lacks(lever: Lever, asked: Levers) -> str:
    """What a lever needs and is not given, with the flag; empty for nothing."""
    given: dict[Need, tuple[object, str]] = {
        "descriptions": (asked.descriptions, "texts of the classes; give --descriptions FILE"),
        "ensemble": (asked.ensemble_with, "other feature sets; give --ensemble-with NAME"),
        "validation": (asked.validation_split, "other labels; give --validation-split NAME"),
    }
    return next((told for value, told in map(given.__getitem__, lever.needs) if not value), "")
