"""`vifi evaluate S PROTOCOL`: score cached features by one of the paper's protocols.

Ends with 0 also where videos of a split are quarantined: everything that was asked is done, and
every row and every printed line says how many videos it lacks. `vifi extract` ends with 3.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from harness.class_tables import class_tables
from harness.comparison import Answers, answers_of, compare_answers
from harness.frequencies import class_frequencies
from harness.measuring import Scored, Scoring
from harness.protocols.base_to_novel import BaseToNovel, base_to_novel
from harness.protocols.few_shot import FewShot, few_shot
from harness.protocols.supervised import supervised
from harness.protocols.trained import Trained, require_split
from harness.protocols.zero_shot import zero_shot
from harness.results import ResultRow, made_folder
from vifi.artefacts import record_command
from vifi.console import parse, say
from vifi.retrieval import retrieval_rows
from vifi.score_artefacts import write_class_tables, write_frequencies, write_quarantine
from vifi.scoring import (
    choose_texts,
    place_of,
    require_features,
    warn_of_leaks,
    write_and_print,
)
from vifi.templates import expand
from vifistore.errors import UsageError
from vifistore.store import open_store
from vifistore.store.store import Store

Keep = Callable[[Scored], None]
Repeated = tyro.conf.UseAppendAction[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments:
    """Score cached features by one of the paper's protocols.

    Quarantined videos are left out and counted in every row; the exit code is 0 with them too.
    """

    store: tyro.conf.Positional[str]
    """Path of the store, or its URL: s3://bucket/S.zarr."""
    protocol: tyro.conf.Positional[
        Literal["zero-shot", "base-to-novel", "few-shot", "supervised", "retrieval"]
    ]
    """How the number is computed; retrieval by captions and class names, whichever there are."""
    dataset: str
    """Dataset to score."""
    features: tuple[str, ...] = ()
    """Name or id of the feature set; base-to-novel takes one per seed."""
    split: tuple[str, ...] = ()
    """Split to score; several give their mean as well. Default: every labelled video."""
    fusion: tuple[str, ...] = ()
    """Where frames are merged: embedding (default), decision, image, max, top-4, attention."""
    template: Repeated = ()
    """Prompt of a class name, {} standing for it, or a named set (paper, bare, kinetics,
    actionclip); several are averaged. Encoded if the store lacks them."""
    against: tuple[str, ...] = ()
    """Feature set to compare with on the same videos, by a paired bootstrap; base-to-novel takes
    one per seed."""
    train_split: str = ""
    """Split to train a classifier on (few-shot, supervised); split whose videos are counted per
    class (base-to-novel, default: every labelled video)."""
    classifier: Literal["text", "linear-probe", "prototype", "tip-adapter"] = "text"
    """What scores (few-shot, supervised): text, or one trained on cached embeddings."""
    shots: tuple[int, ...] = ()
    """Videos per class to draw, or that the checkpoint was tuned on (few-shot)."""
    draws: int = 1
    """Random draws per number of shots (few-shot)."""
    base_split: str = "base_val"
    """Test videos of the base classes (base-to-novel)."""
    novel_split: str = "novel_val"
    """Test videos of the novel classes (base-to-novel)."""
    partial: bool = False
    """Score a feature set that is not complete; rows say how many videos they cover."""
    results: Path | None = None
    """Folder to append the rows to; also gets tables of classes and of mistakes."""
    json: bool = False
    """Print one JSON document."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("evaluate", EvaluateArguments, arguments)
    wanted = replace(wanted, template=expand(wanted.template))
    require_features(wanted.features, "evaluate", one=wanted.protocol != "base-to-novel")
    _refuse_unused(wanted)
    store = open_store(wanted.store)
    if wanted.results is not None:
        # Scoring may take long: what cannot be written is told before.
        made_folder(wanted.results)
    _warn(store, wanted)
    rows, answers = _score(store, wanted)
    sentences = []
    if wanted.against:
        others = _score(store, replace(wanted, features=wanted.against, results=None))[1]
        compared, sentences = _compare(wanted, answers, others)
        rows += compared
    write_and_print(rows, wanted.results, json=wanted.json)
    if not wanted.json:
        for sentence in sentences:
            say(sentence)
    if wanted.results is not None:
        write_quarantine(wanted.results, store, wanted.dataset, wanted.features)
        _write_frequencies(store, wanted)
        record_command(wanted.results)
    return 0


def _score(store: Store, wanted: EvaluateArguments) -> tuple[list[ResultRow], list[Answers]]:
    """Rows of the protocol and what it got right; tables of classes go to the results folder."""
    answers: list[Answers] = []

    def keep(scored: Scored) -> None:
        answers.append(answers_of(scored))
        if wanted.results is not None:
            write_class_tables(wanted.results, class_tables(scored))

    return _PROTOCOLS[wanted.protocol](store, wanted, keep), answers


def _compare(
    wanted: EvaluateArguments, answers: Sequence[Answers], others: Sequence[Answers]
) -> tuple[list[ResultRow], list[str]]:
    """A row and a sentence per score; runs of several seeds are compared seed by seed."""
    per_run = len(answers) // len(wanted.features)
    rows, sentences = [], []
    for position, pair in enumerate(zip(answers, others, strict=True)):
        run = position // per_run
        found = compare_answers(wanted.features[run], wanted.against[run], *pair)
        rows.append(found.result)
        sentences.append(f"{place_of(found.row)}: {found.sentence} ({found.num_videos} videos)")
    return rows, sentences


def _warn(store: Store, wanted: EvaluateArguments) -> None:
    if wanted.protocol == "retrieval":
        # Captioned videos have no classes that could leak.
        return
    splits = wanted.split or ("",)
    if wanted.protocol == "base-to-novel":
        splits = (wanted.base_split, wanted.novel_split)
    elif wanted.protocol in ("few-shot", "supervised"):
        require_split(store, wanted.dataset, *splits)
    for split in splits:
        warn_of_leaks(
            store,
            wanted.dataset,
            wanted.features[0],
            split,
            is_tuned_here=wanted.protocol != "zero-shot",
            # Base-to-novel counts the videos of its training split and trains on none of them.
            train_split="" if wanted.protocol == "base-to-novel" else wanted.train_split,
            partial=wanted.partial,
        )


def _write_frequencies(store: Store, wanted: EvaluateArguments) -> None:
    if wanted.protocol == "base-to-novel":
        halves = (wanted.base_split, wanted.novel_split)
        table = class_frequencies(store, wanted.dataset, *halves, wanted.train_split)
        write_frequencies(wanted.results, wanted.dataset, table)


def _refuse_unused(wanted: EvaluateArguments) -> None:
    """Raise UsageError for a flag that the protocol would ignore, or a number it cannot take."""
    for field in ("base_split", "novel_split", "train_split", "classifier", "shots", "draws"):
        default = EvaluateArguments.__dataclass_fields__[field].default
        if getattr(wanted, field) != default and field not in _USED.get(wanted.protocol, ()):
            flag = field.replace("_", "-")
            raise UsageError(f"--{flag} has no meaning for {wanted.protocol}; leave it out")
    most = {"zero-shot": len(wanted.split), "base-to-novel": 0}.get(wanted.protocol, 1)
    if len(wanted.split) > most:
        raise UsageError(
            f"{wanted.protocol} takes {'no --split' if most == 0 else 'one split'}, not "
            f"{', '.join(wanted.split)}"
        )
    if wanted.against and wanted.protocol == "retrieval":
        raise UsageError("--against has no meaning for retrieval; leave it out")
    if wanted.against and len(wanted.against) != len(wanted.features):
        raise UsageError(
            f"--against names {len(wanted.against)} feature sets and --features "
            f"{len(wanted.features)}; give one for each"
        )
    if wanted.draws < 1 or any(shots < 1 for shots in wanted.shots):
        raise UsageError("--shots and --draws must be 1 or more")


# Flags beyond those that every protocol takes.
_USED = {
    "base-to-novel": ("base_split", "novel_split", "train_split"),
    "few-shot": ("train_split", "classifier", "shots", "draws"),
    "supervised": ("train_split", "classifier"),
}


def _common(wanted: EvaluateArguments, keep: Keep) -> dict:
    return {
        "keep": keep,
        "fusions": wanted.fusion or ("embedding",),
        "partial": wanted.partial,
        "templates": wanted.template,
    }


def _zero_shot(store: Store, wanted: EvaluateArguments, keep: Keep) -> list[ResultRow]:
    splits = wanted.split or ("",)
    (features,) = wanted.features
    texts = [choose_texts(store, wanted.dataset, features, s, wanted.template) for s in splits]
    settings = Scoring(**_common(wanted, keep), texts=texts[0] if len(set(texts)) == 1 else "")
    return zero_shot(store, wanted.dataset, features, splits, settings)


def _base_to_novel(store: Store, wanted: EvaluateArguments, keep: Keep) -> list[ResultRow]:
    splits = (wanted.base_split, wanted.novel_split)
    for features in wanted.features:
        for split in splits:
            choose_texts(store, wanted.dataset, features, split, wanted.template)
    settings = BaseToNovel(**_common(wanted, keep), base_split=splits[0], novel_split=splits[1])
    return base_to_novel(store, wanted.dataset, wanted.features, (), settings)


def _trained(store: Store, wanted: EvaluateArguments, keep: Keep) -> tuple[str, str, dict]:
    (features,) = wanted.features
    split = wanted.split[0] if wanted.split else ""
    texts = ""
    if wanted.classifier in ("text", "tip-adapter"):
        texts = choose_texts(store, wanted.dataset, features, split, wanted.template)
    chosen = {"classifier": wanted.classifier, "train_split": wanted.train_split, "texts": texts}
    return features, split, {**_common(wanted, keep), **chosen}


def _few_shot(store: Store, wanted: EvaluateArguments, keep: Keep) -> list[ResultRow]:
    features, split, chosen = _trained(store, wanted, keep)
    settings = FewShot(**chosen, shots=wanted.shots, draws=wanted.draws)
    return few_shot(store, wanted.dataset, features, split, settings)


def _supervised(store: Store, wanted: EvaluateArguments, keep: Keep) -> list[ResultRow]:
    features, split, chosen = _trained(store, wanted, keep)
    return supervised(store, wanted.dataset, features, split, Trained(**chosen))


def _retrieval(store: Store, wanted: EvaluateArguments, keep: Keep) -> list[ResultRow]:
    (features,) = wanted.features
    split = wanted.split[0] if wanted.split else ""
    settings = Scoring(**_common(wanted, None))
    return retrieval_rows(store, wanted.dataset, features, split, settings)


_PROTOCOLS: dict[str, Callable[[Store, EvaluateArguments, Keep], list[ResultRow]]] = {
    "zero-shot": _zero_shot,
    "base-to-novel": _base_to_novel,
    "few-shot": _few_shot,
    "supervised": _supervised,
    "retrieval": _retrieval,
}
