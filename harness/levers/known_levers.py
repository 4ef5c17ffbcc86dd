"""Every lever by its name: a new one is a function from `Given` to `Lifted`, and an entry here."""

from collections.abc import Sequence

from harness.levers.calibration import CALIBRATIONS
from harness.levers.chosen_frames import FRAME_CHOICES
from harness.levers.described_classes import BY_DESCRIPTIONS
from harness.levers.ensembles import ENSEMBLES
from harness.levers.lever import Lever, Need
from harness.levers.transductive import TRANSDUCTIVE
from harness.levers.wanted_levers import Levers
from harness.whole_views import has_one_embedding
from vifistore.errors import UnknownNameError, UsageError
from vifistore.store.features import Features

LEVERS: dict[str, Lever] = {
    **BY_DESCRIPTIONS,
    **ENSEMBLES,
    **FRAME_CHOICES,
    **CALIBRATIONS,
    **TRANSDUCTIVE,
}
ALL = "all"
"""Stands for every lever whose needs are met."""
WEIGHTS = "weights"
"""Stands for one lever of each kind of weights of the run (`harness/levers/kin_weights.py`)."""


def chosen_levers(asked: Levers, features: Features) -> dict[str, Lever]:
    """The levers of a feature set that are asked for, by name, each once; those of its weights are
    not among them.

    Raises UnknownNameError for one that there is not, UsageError for one that lacks what it needs.
    """
    check_lever_names(asked.names)
    known = [name for name in asked.names if name in LEVERS]
    for name in known:
        if lacking := _lacks(LEVERS[name], asked, features):
            raise UsageError(f"lever {name} needs {lacking}")
    if ALL in asked.names:
        known += [name for name, one in LEVERS.items() if not _lacks(one, asked, features)]
    return {name: LEVERS[name] for name in dict.fromkeys(known)}


def check_lever_names(names: Sequence[str]) -> None:
    """Raise UnknownNameError for a name that is no lever's, nor stands for some."""
    for name in names:
        if name not in (*LEVERS, WEIGHTS, ALL):
            raise UnknownNameError("lever", name, (*LEVERS, WEIGHTS, ALL))


def _lacks(lever: Lever, asked: Levers, features: Features) -> str:
    """What a lever needs and is not given, with the flag; empty for nothing."""
    has_frames = features.frames is not None and not has_one_embedding(features)
    given: dict[Need, tuple[object, str]] = {
        "descriptions": (asked.descriptions, "texts of the classes; give --descriptions FILE"),
        "ensemble": (asked.ensemble_with, "other feature sets; give --ensemble-with NAME"),
        "validation": (asked.validation_split, "other labels; give --validation-split NAME"),
        "frames": (has_frames, f"frames, and {features.name} has none; leave it out"),
    }
    return next((told for value, told in map(given.__getitem__, lever.needs) if not value), "")
