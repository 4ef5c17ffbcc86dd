"""`vifi evaluate S PROTOCOL`: score cached features by one of the paper's protocols.

Ends with 0 also where videos of a split are quarantined: everything that was asked is done, and
every row and every printed line says how many videos it lacks. `vifi extract` ends with 3.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.class_tables import ScoreTables, class_frequencies, score_tables
from harness.classifiers import USES_TEXT
from harness.comparison import Answers, Compared, answers_of
from harness.fusion import array_of, check_fusions
from harness.leaks import untrained_classes
from harness.measuring import Scored, Scoring
from harness.predictions import predictions, write_predictions
from harness.protocols.base_to_novel import BaseToNovel, base_to_novel
from harness.protocols.few_shot import FewShot, few_shot
from harness.protocols.supervised import supervised
from harness.protocols.trained import Trained
from harness.protocols.zero_shot import zero_shot
from harness.results import ResultRow, made_folder
from harness.results.csv_artefacts import Frequencies
from harness.scoring import load_videos, scored_split
from harness.whole_views import refuse_merging
from vifi.command_line.choices import choose_features
from vifi.command_line.console import parse, say
from vifi.command_line.template_sets import expand
from vifi.scoring.caption_retrieval import asked_rows
from vifi.scoring.comparing import check_baselines, comparisons, rows_of, sentence
from vifi.scoring.evaluate_arguments import MOMENTS, EvaluateArguments, note_unused
from vifi.scoring.lever_choice import NO_LEVERS, asked_levers
from vifi.scoring.moment_retrieval import evaluate_moments
from vifi.scoring.scored_rows import (
    choose_texts,
    warn_of_leaks,
    warn_of_tuning,
    write_and_print,
)
from vifi.scoring.store_facts import record_command, write_quarantine
from vifistore.errors import Faults, UsageError
from vifistore.models.wording import check_templates
from vifistore.store import open_store
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("vifi")

Keep = Callable[[Scored], None]


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("evaluate", EvaluateArguments, arguments)
    wanted = replace(wanted, template=expand(wanted.template))
    found = Faults()
    note_unused(found, wanted)
    found.attempt(check_fusions, wanted.fusion)
    found.attempt(check_templates, wanted.template)
    found.refuse()
    dataset = open_store(wanted.store).dataset(wanted.dataset)
    if not wanted.features:
        (only,) = choose_features(dataset, ())
        wanted = replace(wanted, features=(only.name,))
    _refuse_unknown(dataset, wanted)
    sets, others = (
        [dataset.features(name) for name in names] for names in (wanted.features, wanted.against)
    )
    if wanted.results is not None:
        # Scoring may take long: what cannot be written is told before.
        made_folder(wanted.results)
    if wanted.protocol == MOMENTS:
        return evaluate_moments(sets, wanted)
    check_baselines(sets, others)
    splits = _splits(dataset, wanted)
    wanted = replace(wanted, split=splits if wanted.protocol != "base-to-novel" else ())
    _warn(sets, others, wanted, splits)
    frequencies = _frequencies(dataset, wanted)
    found = _score(sets, wanted)
    compared = _compare(sets, others, wanted, found) if others else []
    rows = found.rows + rows_of(compared, wanted.against)
    # Nothing that can be refused comes after the first thing that is written.
    write_and_print(rows, wanted.results, json=wanted.json)
    if not wanted.json:
        for comparison in compared:
            say(sentence(comparison))
    if wanted.predictions is not None:
        write_predictions(wanted.predictions, found.predictions)
    if wanted.results is not None:
        _write_artefacts(sets, wanted.results, found.tables, frequencies)
    return 0


def _refuse_unknown(dataset: Dataset, wanted: EvaluateArguments) -> None:
    """Raise UsageError for all feature sets and splits that there are not, and for fusions of
    arrays that a set lacks: before texts are encoded."""
    found = Faults()
    for name in (*wanted.features, *wanted.against):
        found.attempt(_require_arrays, dataset, wanted, name)
    halves = (wanted.base_split, wanted.novel_split) if wanted.protocol == "base-to-novel" else ()
    for split in (*wanted.split, *halves, *filter(None, [wanted.train_split, wanted.bank])):
        if wanted.protocol != "retrieval" or not dataset.is_everything(split):
            found.attempt(dataset.split, split)
    found.refuse()


def _require_arrays(dataset: Dataset, wanted: EvaluateArguments, name: str) -> None:
    features = dataset.features(name)
    refuse_merging(features, wanted.fusion)
    for fusion in wanted.fusion:
        features.require_array(array_of(fusion))


def _write_artefacts(
    sets: Sequence[Features],
    results: Path,
    tables: Sequence[ScoreTables],
    frequencies: Frequencies | None,
) -> None:
    for table in tables:
        table.write(results)
    if frequencies is not None:
        frequencies.write(results)
    write_quarantine(results, sets)
    record_command(results)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What a protocol found."""

    rows: list[ResultRow]
    answers: list[Answers]
    """One per plain score: what it got right."""
    tables: list[ScoreTables]
    """Of every score, where there is a results folder for them."""
    predictions: list["pd.DataFrame"]
    """One per plain score, where there is a file for them."""


def _score(sets: Sequence[Features], wanted: EvaluateArguments) -> _Found:
    answers: list[Answers] = []
    tables: list[ScoreTables] = []
    lines: list[pd.DataFrame] = []

    def keep(scored: Scored) -> None:
        if wanted.results is not None:
            tables.extend(score_tables(scored))
        if not scored.is_plain:
            return
        answers.append(answers_of(scored))
        if wanted.predictions is not None:
            lines.append(predictions(scored, sets[0].dataset.videos()))

    is_one_score = wanted.protocol == "base-to-novel"
    rows: list[ResultRow] = []
    for scored in [sets] if is_one_score else [[features] for features in sets]:
        rows += _PROTOCOLS[wanted.protocol](scored, wanted, keep)
    return _Found(rows=rows, answers=answers, tables=tables, predictions=lines)


def _compare(
    sets: Sequence[Features], others: Sequence[Features], wanted: EvaluateArguments, found: _Found
) -> list[Compared]:
    """Every set that was scored with its baseline, and the mean of several runs with theirs."""
    other = replace(wanted, results=None, predictions=None, **NO_LEVERS)
    if wanted.protocol in ("few-shot", "supervised") and wanted.classifier == "text":
        # A baseline need not have been tuned: by class names it is scored all the same.
        other = replace(other, protocol="zero-shot")
    runs = _per_set(found.answers, len(sets))
    baselines = _per_set(_score(others, other).answers, len(others))
    return comparisons(found.rows, wanted.features, runs, wanted.against, baselines)


def _per_set(answers: list[Answers], num_sets: int) -> list[list[Answers]]:
    size = len(answers) // num_sets
    return [answers[at : at + size] for at in range(0, len(answers), size)]


def _splits(dataset: Dataset, wanted: EvaluateArguments) -> tuple[str, ...]:
    """Splits to score. Raises UsageError where one has to be named."""
    if wanted.protocol == "base-to-novel":
        return wanted.base_split, wanted.novel_split
    return tuple(scored_split(dataset, name) for name in wanted.split or ("",))


def _warn(
    sets: Sequence[Features],
    others: Sequence[Features],
    wanted: EvaluateArguments,
    splits: Sequence[str],
) -> None:
    if wanted.protocol == "retrieval":
        # Captioned videos have no classes that could leak: its rows say what else there is to say.
        return
    is_tuned_here = wanted.protocol != "zero-shot"
    for split in splits:
        warn_of_leaks(
            sets,
            split,
            is_tuned_here=is_tuned_here,
            # Base-to-novel counts the videos of its training split and trains on none of them.
            train_split="" if wanted.protocol == "base-to-novel" else wanted.train_split,
            partial=wanted.partial,
        )
        for other in others:
            warn_of_tuning(other, split, is_tuned_here=is_tuned_here, partial=wanted.partial)
    if wanted.classifier != "text":
        train = load_videos(sets[0], wanted.train_split, partial=wanted.partial)
        for line in untrained_classes(train):
            logger.warning("%s", line)


def _frequencies(dataset: Dataset, wanted: EvaluateArguments) -> Frequencies | None:
    """How many videos the base and the novel classes have, where that is to be written."""
    if wanted.protocol != "base-to-novel" or wanted.results is None:
        return None
    halves = (wanted.base_split, wanted.novel_split)
    try:
        table = class_frequencies(dataset, *halves, wanted.train_split)
        return Frequencies(dataset=dataset.name, table=table)
    except UsageError as error:
        if wanted.train_split:
            raise
        # Nobody asked for it: the scores do not need it.
        logger.warning("no figure of class frequencies: %s", error)
        return None


def _common(wanted: EvaluateArguments, keep: Keep | None) -> dict:
    return {
        "keep": keep,
        "fusions": wanted.fusion or ("embedding",),
        "partial": wanted.partial,
        "templates": wanted.template,
        "cleaning": wanted.class_names,
    }


def _texts(features: Features, wanted: EvaluateArguments, split: str) -> str:
    return choose_texts(features, split, wanted.template, wanted.class_names)


def _zero_shot(sets: Sequence[Features], wanted: EvaluateArguments, keep: Keep) -> list[ResultRow]:
    (features,) = sets
    texts = [_texts(features, wanted, split) for split in wanted.split]
    same = texts[0] if len(set(texts)) == 1 else ""
    levers = asked_levers(features, wanted.split[0], wanted, wanted.template, wanted.class_names)
    settings = Scoring(**_common(wanted, keep), texts=same, levers=levers)
    return zero_shot(features, wanted.split, settings)


def _base_to_novel(
    sets: Sequence[Features], wanted: EvaluateArguments, keep: Keep
) -> list[ResultRow]:
    splits = (wanted.base_split, wanted.novel_split)
    for features in sets:
        for split in splits:
            _texts(features, wanted, split)
    settings = BaseToNovel(**_common(wanted, keep), base_split=splits[0], novel_split=splits[1])
    return base_to_novel(sets, (), settings)


def _trained(
    sets: Sequence[Features], wanted: EvaluateArguments, keep: Keep
) -> tuple[Features, str, dict]:
    (features,), (split,) = sets, wanted.split
    texts = _texts(features, wanted, split) if wanted.classifier in ("text", *USES_TEXT) else ""
    chosen = {"classifier": wanted.classifier, "train_split": wanted.train_split, "texts": texts}
    levers = asked_levers(features, split, wanted, wanted.template, wanted.class_names)
    return features, split, {**_common(wanted, keep), **chosen, "levers": levers}


def _few_shot(sets: Sequence[Features], wanted: EvaluateArguments, keep: Keep) -> list[ResultRow]:
    features, split, chosen = _trained(sets, wanted, keep)
    settings = FewShot(**chosen, shots=wanted.shots, draws=wanted.draws)
    return few_shot(features, split, settings)


def _supervised(sets: Sequence[Features], wanted: EvaluateArguments, keep: Keep) -> list[ResultRow]:
    features, split, chosen = _trained(sets, wanted, keep)
    return supervised(features, split, Trained(**chosen))


def _retrieval(sets: Sequence[Features], wanted: EvaluateArguments, keep: Keep) -> list[ResultRow]:
    (features,), (split,) = sets, wanted.split
    return asked_rows(features, split, Scoring(**_common(wanted, None)), wanted)


_PROTOCOLS: dict[str, Callable[[Sequence[Features], EvaluateArguments, Keep], list[ResultRow]]] = {
    "zero-shot": _zero_shot,
    "base-to-novel": _base_to_novel,
    "few-shot": _few_shot,
    "supervised": _supervised,
    "retrieval": _retrieval,
}
