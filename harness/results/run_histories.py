"""How trainings went: curves of their logs, and scores of checkpoints that were followed."""

from dataclasses import dataclass

from harness.results.json_objects import JsonEntry, JsonObject


@dataclass(frozen=True, kw_only=True)
class RunPoint(JsonObject):
    """Some neighbouring steps of a run, by their means; None where that is not a number."""

    step: int
    """The last of them."""
    loss: float | None = None
    accuracy: float | None = None
    """Share of training views that are right."""
    learning_rate: float | None = None
    videos_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class FollowedScore(JsonObject):
    """Top-1 of a checkpoint of a run."""

    step: int
    """Of this run."""
    features: str
    dataset: str
    split: str
    value: float
    """A fraction, as its interval."""
    ci_low: float | None = None
    ci_high: float | None = None
    made_of: str = ""
    """Digest of the feature set, the checkpoint and what the split holds."""


@dataclass(frozen=True, kw_only=True)
class RunHistory(JsonEntry, file="runs.json", key=("name",)):
    """One run."""

    name: str
    num_steps: int = 0
    """Steps that are done."""
    seconds: float | None = None
    """That they took."""
    points: tuple[RunPoint, ...] = ()
    scores: tuple[FollowedScore, ...] = ()
