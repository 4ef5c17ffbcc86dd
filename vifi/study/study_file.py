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

from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeVar, get_origin

from reports.layouts.table_options import parse_tables
from vifi.study.expanding import expanded
from vifi.study.study_document import read_document
from vifi.study.study_flags import check_flags
from vifi.study.study_pairs import with_systems
from vifi.study.study_parts import (
    Flags,
    Preparation,
    Question,
    Study,
    StudyDataset,
    StudySystem,
)
from vifistore.errors import UnknownNameError, UsageError, short
from vifistore.store.names import check_set_name
from vifistore.store.schema import check_name

_KINDS: dict[str, Any] = {
    "prepare": Preparation,
    "datasets": StudyDataset,
    "systems": StudySystem,
    "questions": Question,
}
# Words of several calls.
_NESTED = "scan"
_Value = TypeVar("_Value")


def read_study(path: Path) -> Study:
    """Raises UsageError for a file that is none, with what is wrong in it."""
    document = read_document(path)
    try:
        return parse_study(document)
    except UsageError as error:
        raise UsageError(f"{short(path.name, 60)}: {error}") from error


def parse_study(document: Mapping) -> Study:
    """The study of such a document. Raises UsageError for what is missing, odd or unknown."""
    known = ("title", "about", "train", "extract", "report", "tables", *_KINDS)
    for name in document:
        if name not in known:
            raise UnknownNameError("part of a study", name, known)
    tables = _checked("a study", "tables", document.get("tables", {}), dict)
    parse_tables(tables)
    study = Study(
        title=_checked("a study", "title", document.get("title", ""), str),
        about=_checked("a study", "about", document.get("about", []), list),
        train=_checked("a study", "train", document.get("train", {}), dict),
        extract=_checked("a study", "extract", document.get("extract", {}), dict),
        report=_checked("a study", "report", document.get("report", {}), dict),
        has_tables=bool(tables),
        **{kind: _entries(kind, document.get(kind, {}), of) for kind, of in _KINDS.items()},
    )
    asked = {name: with_systems(study.systems, each) for name, each in study.questions.items()}
    study = replace(study, questions=asked)
    if not study.questions:
        raise UsageError("it asks no question; write [questions.NAME]")
    _check_names(study)
    _check_feature_names(study)
    for key in ("train", "extract", "report"):
        check_flags(key, getattr(study, key))
    return study


def _entries(kind: str, tables: object, of: Any) -> dict[str, Any]:
    if not isinstance(tables, dict):
        raise UsageError(f"{kind} is no table; write [{kind}.NAME]")
    found: dict[str, Any] = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UsageError(f"{kind}.{short(name, 40)} is no table; write [{kind}.NAME]")
        for full_name, values in expanded(f"{kind}.{name}", name, table):
            check_name(kind.removesuffix("s"), full_name)
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
        if known[key].type == Flags:
            check_flags(f"{where}: {key}", value)
        if known[key].type is int and value < 0:
            raise UsageError(f"{where}: {key} is {value}; give 0 or more")
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
    kinds = {str: "a text", int: "a whole number", bool: "true or false", list: "a list of texts"}
    is_right = isinstance(value, of) and (of is bool or not isinstance(value, bool))
    if not isinstance(value, of) or not is_right or not _holds_texts(key, value):
        told = "a list of lists of texts" if key == _NESTED else kinds.get(of, "a table")
        raise UsageError(f"{where}: {key} is {short(repr(value), 60)}; give {told}")
    return value


def _holds_texts(key: str, value: object) -> bool:
    """Whether a list holds texts, or lists of texts where a key wants these; anything else does."""
    if not isinstance(value, list):
        return True
    if key != _NESTED:
        return all(isinstance(entry, str) for entry in value)
    return all(isinstance(entry, list) and _holds_texts("", entry) for entry in value)


def _check_names(study: Study) -> None:
    """Raise UnknownNameError for a system or dataset that is named and is not there, and
    UsageError for a system that cannot be made."""
    for system in study.systems.values():
        _check_system(study, system)
    for question in study.questions.values():
        where = f"of question {question.name}"
        for name in (*question.systems, *question.against, *question.beside):
            _require(study.systems, f"system {where}", name)
        for name in question.asked_of:
            _require(study.datasets, f"dataset {where}", name)
        if len(question.against) not in (0, 1, len(question.systems)):
            counts = f"{len(question.systems)} systems and {len(question.against)} against them"
            raise UsageError(f"question {question.name} has {counts}; give one, or one for each")
        if not question.ask.split() or not question.systems:
            raise UsageError(f"question {question.name} asks nothing; give ask and systems")


def _check_feature_names(study: Study) -> None:
    """Raise UsageError for two systems whose feature sets of one dataset would have one name: a
    number of either would be of whichever was encoded first."""
    known: dict[tuple[str, str], str] = {}
    for question in study.questions.values():
        named = (*question.systems, *question.against, *question.beside)
        for dataset, name in product(question.asked_of, named):
            called = study.systems[name].feature_name
            other = known.setdefault((dataset, called), name)
            if other != name:
                told = f"systems {other} and {name} are both called {called} in {dataset}"
                raise UsageError(f"{told} (question {question.name}); give one other features")


def _check_system(study: Study, system: StudySystem) -> None:
    where = f"system {system.name}"
    check_set_name(system.feature_name)
    if sum(map(bool, (system.preset, system.head, system.weights))) > 1:
        raise UsageError(f"{where} has two of preset, head and weights; give one of them")
    if system.is_trained or system.weights:
        _require(study.systems, f"start of {where}", system.start)
        if system.is_trained:
            _require(study.datasets, f"dataset of {where}", system.dataset)
        seen = [system.name]
        while (start := study.systems[seen[-1]].start) in study.systems:
            if start in seen:
                raise UsageError(f"{where} starts from itself, by {' and '.join(seen)}")
            seen.append(start)
        if system.head and study.systems[system.start].head:
            told = f"{where} starts from {system.start}, a head, which leaves no frames to pool"
            raise UsageError(f"{told}; start from the system that {system.start} starts from")
    elif not system.model or not system.pretrained:
        raise UsageError(f"{where} is not trained, so it needs model and pretrained; give both")


def _require(known: Mapping, what: str, name: str) -> None:
    if name not in known:
        raise UnknownNameError(what, name, list(known))
