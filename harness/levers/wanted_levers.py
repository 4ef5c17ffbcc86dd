"""Which levers are wanted, and what they need that a plain score does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.results.former_names import FORMER_LEVERS
from vifistore.store.features import Features


@dataclass(frozen=True, kw_only=True)
class Levers:
    """What to score beside the plain score of the same videos."""

    names: tuple[str, ...] = ()
    """Of `harness/levers/known_levers.py`; former names stand for those of now."""
    descriptions: str = ""
    """Id of the text set of descriptions of the classes."""
    validation_split: str = ""
    """Split of the same dataset whose labels choose weights and temperatures; it may show no video
    that is scored."""
    ensemble_with: tuple[Features, ...] = ()
    """Feature sets that join the scored one."""
    kin: Mapping[str, Features] = field(default_factory=dict)
    """Sets by other weights of the run that made the scored one, by their kind; see `kin_of`."""
    encode_seconds: Mapping[str, float] = field(default_factory=dict)
    """What encoding each of them took, where that is known."""

    def __post_init__(self) -> None:
        names = tuple(FORMER_LEVERS.get(name, name) for name in self.names)
        object.__setattr__(self, "names", names)
