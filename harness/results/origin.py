"""`artefacts/provenance.json`: the checkpoints and recipes of a store that numbers come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from harness.results.json_objects import JsonDocument, JsonObject


@dataclass(frozen=True, kw_only=True)
class OriginCheckpoint(JsonObject):
    """One checkpoint of the tree."""

    digest: str
    names: tuple[str, ...]
    step: int | None = None
    """Steps of its run and of those of its parents."""
    run_step: int | None = None
    """Of its own run alone; folders of before do not tell it."""
    depth: int
    """How many checkpoints it was trained from, one after the other, that the store has."""

    @property
    def own_step(self) -> int | None:
        """Steps of its own run."""
        return self.step if self.run_step is None else self.run_step

    @property
    def tuned_on(self) -> tuple[str, ...]:
        """What it was tuned on, as "ucf101/train"; nothing where that is not known."""
        entries = self.further.get("tuned_on")
        known = [e for e in entries if isinstance(e, Mapping)] if isinstance(entries, list) else []
        return tuple(f"{entry.get('dataset')}/{entry.get('split')}" for entry in known)


@dataclass(frozen=True, kw_only=True)
class OriginRecipe(JsonObject):
    """A feature set and all that decides its numbers."""

    dataset: str = ""
    id: str
    names: tuple[str, ...] = ()
    recipe: dict


@dataclass(frozen=True, kw_only=True)
class Origin(JsonDocument):
    """What a store's numbers were made from."""

    FILE: ClassVar[str] = "provenance.json"

    checkpoints: tuple[OriginCheckpoint, ...] = ()
    """Parents before their children."""
    recipes: tuple[OriginRecipe, ...] = ()
    versions: dict = field(default_factory=dict)
    """Package -> version."""
