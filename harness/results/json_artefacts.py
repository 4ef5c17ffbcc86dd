"""A class for each JSON file of `artefacts/`.

Pictures are named by their paths below the results folder, see `pictures`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from harness.results.csv_tables import read_table, table_records
from harness.results.json_objects import JsonDocument, JsonEntry, JsonObject, plain
from harness.results.whole_files import FOLDER, changing, read_document, write_json

_COMMANDS = "commands.json"
_QUARANTINED_SETS = "quarantine"


@dataclass(frozen=True, kw_only=True)
class Summary(JsonDocument, file="summary.json"):
    """The title of the page, and sentences under it."""

    title: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StudyText(JsonDocument, file="study.json"):
    """The files of the study that made the results."""

    files: dict = field(default_factory=dict)
    """Name -> text, the study's own first and then what it builds on."""


@dataclass(frozen=True, kw_only=True)
class Timing(JsonEntry, file="timings.json"):
    """One step of a run; `further` may say how many `videos` it went through."""

    step: str
    seconds: float

    @classmethod
    def read_all(cls, results: Path) -> tuple[Self, ...]:
        """Steps of the first file that exists: artefacts/timings.json, steps.csv or steps.json."""
        if cls.file_in(results).is_file():
            return super().read_all(results)
        path = results / "steps.csv"
        if not path.is_file():
            return cls.read_list(path.with_suffix(".json"))
        steps = read_table(path, ("step", "seconds"), ("seconds",))
        return cls.from_values(path, table_records(steps))


@dataclass(frozen=True, kw_only=True)
class Cost(JsonEntry, file="costs.json", key=("features",)):
    """What a view costs with a model."""

    features: str
    """Row of the tables it stands in: the name of a feature set."""
    model: str | None = None
    frames: int | None = None
    """Frames per view."""
    gflops: float | None = None
    """10^9 multiply-accumulates a view, as the paper counts them."""
    throughput: float | None = None
    """Views a second."""
    params_millions: float | None = None
    device: str | None = None


@dataclass(frozen=True, kw_only=True)
class Throughput(JsonEntry, file="throughput.json"):
    """How fast an extraction was: facts, in the order in which they are shown."""


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
class Origin(JsonDocument, file="provenance.json"):
    """The checkpoints and recipes of a store that numbers come from."""

    checkpoints: tuple[OriginCheckpoint, ...] = ()
    """Parents before their children."""
    recipes: tuple[OriginRecipe, ...] = ()
    versions: dict = field(default_factory=dict)
    """Package -> version."""


@dataclass(frozen=True, kw_only=True)
class Quarantined(JsonEntry, file="quarantine.json", key=("dataset", "features", "id")):
    """One video that a feature set lacks, and why: of a whole store in its file, of each feature
    set in one of `quarantine/`."""

    dataset: str = ""
    features: str = ""
    """Id of the feature set."""
    id: str
    path: str = ""
    decoder: str = ""
    reason: str
    """In a word or two, the same for all videos that lack the same."""
    message: str = ""

    @classmethod
    def read_all(cls, results: Path) -> tuple[Self, ...]:
        """Every video once: what an evaluation wrote of a set may be in both places."""
        sets = sorted((results / FOLDER / _QUARANTINED_SETS).glob("*.json"))
        every = [entry for path in (cls.file_in(results), *sets) for entry in cls.read_list(path)]
        return tuple({entry.key: entry for entry in every}.values())

    @classmethod
    def write_set(cls, results: Path, dataset: str, features: str, entries: Sequence[Self]) -> None:
        """Write those of one feature set (its id); without any, its file is removed."""
        path = results / FOLDER / _QUARANTINED_SETS / f"{dataset}-{features}.json"
        if entries:
            write_json(path, plain(entries))
        else:
            # What was quarantined before may have been tried again since.
            path.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class GalleryHit(JsonObject):
    """One video, or one stretch of it, that answered a query."""

    rank: int
    score: float
    dataset: str = ""
    id: str
    path: str = ""
    label: str
    start_seconds: float | None = None
    end_seconds: float | None = None
    is_right: bool | None = None
    """None where that cannot be said."""
    thumbnail: str | None = None
    """Path of its picture; None where it has none."""


@dataclass(frozen=True, kw_only=True)
class GalleryQuery(JsonEntry, file="gallery.json", key=("query", "kind", "dataset", "features")):
    """A query to one feature set, and its hits."""

    query: str
    kind: str = "text"
    """text, video or image: what was asked with; frames, video-frames or image-frames where moments
    were asked for."""
    dataset: str = ""
    features: str = ""
    """Name of the feature set."""
    thumbnail: str | None = None
    """Picture of the video that was asked with."""
    hits: tuple[GalleryHit, ...]
    """Best first."""


@dataclass(frozen=True, kw_only=True)
class AttentionFigure(JsonEntry, file="attention.json", key=("image",)):
    """What models look at in a video."""

    dataset: str = ""
    id: str
    label: str = ""
    models: tuple[str, ...] = ()
    image: str
    """Picture over its frames."""
    strip: str = ""
    """Picture over time."""


def read_commands(results: Path) -> tuple[str, ...]:
    """Commands that made what is no result row. Raises DamagedError."""
    return tuple(map(str, read_document(results / FOLDER / _COMMANDS, list)))


def add_commands(results: Path, commands: Sequence[str], *, first: bool = False) -> None:
    """Add commands behind those that are known, or before them, each once; several processes may
    do so at once. Raises DamagedError."""
    with changing(results / FOLDER):
        known = read_commands(results)
        every = [*commands, *known] if first else [*known, *commands]
        write_json(results / FOLDER / _COMMANDS, [*dict.fromkeys(every)])
