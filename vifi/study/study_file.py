"""What a study is, as its TOML file says: datasets, systems, and what is asked of them.

    title = "Three ways to tune CLIP"

    [datasets.mine]                        # `vifi scan`, a list of words for each call of it
    scan = [["videos", "--split-by", "(?P<test>_g0[1-7]_)|(?P<train>_g)"]]

    [systems.clip]                         # a model as it is
    model = "ViT-B-16"
    pretrained = "openai"

    [systems.full]                         # trained by `vifi train supervised_k400`
    start = "clip"
    preset = "supervised_k400"
    dataset = "mine"
    split = "train"
    flags = { epochs = 10 }                # more flags of it

    [questions.table]                      # `vifi evaluate STORE supervised`, of both
    ask = "evaluate supervised"
    systems = ["clip", "full"]             # or "*"
    dataset = "mine"
    flags = { split = "test", train-split = "train" }

    [tables.table1]                        # what of its tables is shown (vifi report --tables)
    rows = ["full*", "clip"]

Datasets, systems and questions may have `each`: a table of lists, every combination of which makes
one of them, with `{name}` in any of its words standing for the value.
"""

import fnmatch
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, get_origin

from reports.layouts.table_options import parse_tables
from vifi.study.expanding import expanded
from vifistore.errors import UnknownNameError, UsageError, short
from vifistore.files import read_regular
from vifistore.store.schema import check_name

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
    together: bool = False
    """Whether `evaluate` is called once for all systems, as seeds of one, and not for each."""
    flags: Flags = field(default_factory=dict)

    @property
    def asked_of(self) -> list[str]:
        """The datasets."""
        return self.datasets or [self.dataset]


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
    prepare: dict[str, Preparation]
    datasets: dict[str, StudyDataset]
    systems: dict[str, StudySystem]
    questions: dict[str, Question]
    train: Flags
    """Flags of every `vifi train`."""
    extract: Flags
    """Flags of every `vifi extract`."""
    has_tables: bool = False
    """Whether it says what tables show, as `vifi report --tables` reads it."""


_KINDS: dict[str, Any] = {
    "prepare": Preparation,
    "datasets": StudyDataset,
    "systems": StudySystem,
    "questions": Question,
}
_Value = TypeVar("_Value")


def read_study(path: Path) -> Study:
    """Raises UsageError for a file that is none, with what is wrong in it."""
    try:
        document = tomllib.loads(read_regular(path).decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{short(path, 120)} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"{short(path, 120)} is no TOML: {short(error, 120)}") from error
    try:
        return parse_study(document)
    except UsageError as error:
        raise UsageError(f"{short(path.name, 60)}: {error}") from error


def parse_study(document: Mapping) -> Study:
    """The study of such a document. Raises UsageError for what is missing, odd or unknown."""
    known = ("title", "train", "extract", "tables", *_KINDS)
    for name in document:
        if name not in known:
            raise UnknownNameError("part of a study", name, known)
    tables = _checked("a study", "tables", document.get("tables", {}), dict)
    parse_tables(tables)
    study = Study(
        title=_checked("a study", "title", document.get("title", ""), str),
        train=_checked("a study", "train", document.get("train", {}), dict),
        extract=_checked("a study", "extract", document.get("extract", {}), dict),
        has_tables=bool(tables),
        **{kind: _entries(kind, document.get(kind, {}), of) for kind, of in _KINDS.items()},
    )
    study = replace(study, questions=_with_systems(study))
    _check_names(study)
    return study


def _with_systems(study: Study) -> dict[str, Question]:
    """The questions, with systems in the place of patterns that match any."""
    found: dict[str, Question] = {}
    for name, question in study.questions.items():
        named = [fnmatch.filter(study.systems, system) or [system] for system in question.systems]
        systems = list(dict.fromkeys(chain.from_iterable(named)))
        found[name] = replace(question, systems=systems)
    return found


def _entries(kind: str, tables: object, of: Any) -> dict[str, Any]:
    if not isinstance(tables, dict):
        raise UsageError(f"{kind} is no table; write [{kind}.NAME]")
    found: dict[str, Any] = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UsageError(f"{kind}.{short(name, 40)} is no table; write [{kind}.NAME]")
        for full_name, values in expanded(f"{kind}.{name}", name, table):
            check_name(kind, full_name)
            if full_name in found:
                raise UsageError(f"{kind}.{full_name} comes twice; give each a name of its own")
            found[full_name] = _entry(f"{kind}.{full_name}", full_name, values, of)
    return found


def _entry(where: str, name: str, values: Mapping, of: Any) -> Any:
    known = {each.name: each for each in fields(of) if each.name != "name"}
    for key, value in values.items():
        if key not in known:
            raise UnknownNameError(f"field of {where}", key, known)
        _checked(where, key, value, _plain(known[key].type))
    for key, each in known.items():
        lacks_default = each.default is MISSING and each.default_factory is MISSING
        if lacks_default and key not in values:
            raise UsageError(f"{where} has no {key}; give one")
    return of(name=name, **values)


def _plain(kind: object) -> type:
    """The type of a field as TOML has it."""
    if kind == Flags:
        return dict
    plain = get_origin(kind) or kind
    assert isinstance(plain, type), "fields of a study are plain"
    return plain


def _checked(where: str, key: str, value: object, of: type[_Value]) -> _Value:
    kinds = {str: "a text", int: "a whole number", bool: "true or false", list: "a list"}
    is_right = isinstance(value, of) and (of is bool or not isinstance(value, bool))
    if is_right and isinstance(value, list):
        texts = [
            part for entry in value for part in (entry if isinstance(entry, list) else [entry])
        ]
        is_right = all(isinstance(part, str) for part in texts)
        kinds[list] = "a list of texts"
    if not isinstance(value, of) or not is_right:
        raise UsageError(
            f"{where}: {key} is {short(repr(value), 60)}; give {kinds.get(of, 'a table')}"
        )
    return value


def _check_names(study: Study) -> None:
    """Raise UnknownNameError for a system or dataset that is named and is not there, and
    UsageError for a system that cannot be made."""
    for system in study.systems.values():
        _check_system(study, system)
    for question in study.questions.values():
        where = f"of question {question.name}"
        for name in question.systems:
            _require(study.systems, f"system {where}", name)
        for name in question.asked_of:
            _require(study.datasets, f"dataset {where}", name)
        if not question.ask.split() or not question.systems:
            raise UsageError(f"question {question.name} asks nothing; give ask and systems")


def _check_system(study: Study, system: StudySystem) -> None:
    where = f"system {system.name}"
    if system.preset and system.head:
        raise UsageError(f"{where} has a preset and a head; give one of them")
    if system.preset or system.head:
        _require(study.systems, f"start of {where}", system.start)
        _require(study.datasets, f"dataset of {where}", system.dataset)
        seen = [system.name]
        while (start := study.systems[seen[-1]].start) in study.systems:
            if start in seen:
                raise UsageError(f"{where} starts from itself, by {' and '.join(seen)}")
            seen.append(start)
    elif not system.model or not system.pretrained:
        raise UsageError(f"{where} is not trained, so it needs model and pretrained; give both")


def _require(known: Mapping, what: str, name: str) -> None:
    if name not in known:
        raise UnknownNameError(what, name, list(known))
