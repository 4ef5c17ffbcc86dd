"""What a study is made of, expanded: each entry of its file as one of these."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Flags = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class StudyDataset:
    """Videos, and how they come into the store."""

    name: str
    scan: list[list[str]] = field(default_factory=list)
    """Words of each `vifi scan`, behind the store."""
    num_videos: int = 0
    """How many are encoded, for a plan before they are scanned."""


@dataclass(frozen=True, kw_only=True)
class StudySystem:
    """A checkpoint: a model as it is, or what a training makes of another system."""

    name: str
    features: str = ""
    """What its feature sets are called, where that is not its name: systems of several datasets
    may share one."""
    model: str = ""
    """Default: that of `start`."""
    pretrained: str = ""
    start: str = ""
    """System that the training begins with."""
    preset: str = ""
    """Of `vifi train`; empty for a model as it is."""
    head: str = ""
    """In the place of a preset: what `vifi train-head` trains on the frames of `start`."""
    weights: str = ""
    """In the place of a preset: a file of the run of `start`, as a blend that it wrote."""
    dataset: str = ""
    """That it is trained on."""
    split: str = ""
    flags: Flags = field(default_factory=dict)
    """Further ones of its training."""
    extract: Flags = field(default_factory=dict)
    """Further ones of `vifi extract`."""
    num_videos: int = 0
    """How many it is trained on, for a plan before they are scanned."""

    @property
    def is_trained(self) -> bool:
        """Whether a training makes it."""
        return bool(self.preset or self.head)

    @property
    def feature_name(self) -> str:
        """What its feature sets are called."""
        return self.features or self.name


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of the store: a verb that scores or draws."""

    name: str
    ask: str
    """The verb, and the words behind the store: `evaluate zero-shot`, `ablate`, `tsne`."""
    systems: list[str]
    """By name; `full-*` means all that begin so."""
    dataset: str = ""
    datasets: list[str] = field(default_factory=list)
    """Several make the columns of one table (ablate)."""
    against: list[str] = field(default_factory=list)
    """Systems that they are compared with on the same videos: one for all, or one for each."""
    beside: list[str] = field(default_factory=list)
    """Further systems whose feature sets its flags name."""
    together: bool = False
    """Whether `evaluate` is called once for all systems, as seeds of one, and not for each."""
    headline: bool = False
    """Whether the page begins with what came of its comparisons."""
    flags: Flags = field(default_factory=dict)

    @property
    def asked_of(self) -> list[str]:
        """The datasets; none of a question about weights alone."""
        return [] if self.is_of_weights else self.datasets or [self.dataset]

    @property
    def is_of_weights(self) -> bool:
        """Whether a verb is asked that knows of no store, of one system at a time."""
        return self.ask.split()[:1] == ["bench"]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Something to do first: any verb."""

    name: str
    command: list[str]
    makes: list[str] = field(default_factory=list)
    """What is there afterwards; where it is gone, it is done again."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """All of it, expanded."""

    title: str
    about: list[str]
    """What the page says first, a paragraph each."""
    prepare: dict[str, Preparation]
    datasets: dict[str, StudyDataset]
    systems: dict[str, StudySystem]
    questions: dict[str, Question]
    train: Flags
    """Flags of every `vifi train`."""
    extract: Flags
    """Flags of every `vifi extract`."""
    report: Flags = field(default_factory=dict)
    """Flags of its `vifi report`."""
    has_tables: bool = False
    """Whether it says what tables show, as `vifi report --tables` reads it."""
