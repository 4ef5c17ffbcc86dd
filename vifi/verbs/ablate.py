"""`vifi ablate S`: what fusion, frames, views, templates and blended weights are worth.

Prints a table per ablation, first the matrix trained-with x scored-with; where the checkpoints
given were tuned with embedding, decision and image fusion, its diagonal is the paper's Table 5.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import tyro

from harness.ablations import (
    PAPER_FUSIONS,
    Ablation,
    blend_ablation,
    blend_shares,
    frames_ablation,
    fusion_matrix,
    levers_ablation,
    missing_of_table5,
    templates_ablation,
    views_ablation,
)
from harness.class_tables import video_answers
from harness.comparison import Compared
from harness.fusion import check_fusions
from harness.levers.known_levers import check_lever_names
from harness.results import ResultRow, made_folder
from harness.results.video_answers import VideoAnswers
from harness.scoring import scored_split
from harness.whole_views import ONLY_FUSION, has_one_embedding
from reports.layouts.fusion_table import fusion_table
from reports.layouts.lever_table import lever_table
from reports.layouts.protocol_tables import protocol_tables
from reports.measurements import measurements
from reports.writers.markdown import to_markdown
from vifi.command_line.choices import choose_features
from vifi.command_line.console import parse, renamed, say
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifi.command_line.template_sets import expand
from vifi.scoring.comparing import sentence
from vifi.scoring.lever_choice import LeverArguments, asked_levers, asks_for_levers
from vifi.scoring.own_fusions import own_differences
from vifi.scoring.scored_rows import choose_texts, warn_of_leaks, write_and_print
from vifi.scoring.store_facts import record_command
from vifistore.errors import Faults, UsageError, shell
from vifistore.models.wording import check_templates
from vifistore.store import open_store
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features

logger = logging.getLogger("vifi")

_WITHOUT_FRAMES = ("embedding", "decision")

_RENAMED = {"--num-frames": "--frames", "--num-views": "--views"}

Repeated = tyro.conf.UseAppendAction[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class AblateArguments(PrintArguments, LeverArguments, StoreArguments):
    """Score cached features under every fusion: the matrix trained-with x scored-with."""

    dataset: tuple[str, ...]
    """Dataset to score; several make the columns of one table."""
    features: tuple[str, ...] = ()
    """Names or ids of feature sets, the same in every dataset. Default: the first's only one."""
    split: tuple[str, ...] = ()
    """Split to score: one for all datasets, or one for each. `all`: every labelled video, which is
    the default where a dataset has no splits."""
    fusion: tuple[str, ...] = ()
    """Where frames are merged: embedding, decision, image (default), max, top-K (as
    top-4), attention; best-text, transport and time-warping compare with each text of a class."""
    template: Repeated = ()
    """Prompt of a class name, {} standing for it, or a named set (paper, bare, kinetics,
    actionclip). Several are averaged, and also scored one by one. Encoded if the store lacks
    them. Default: the one that the checkpoint was trained with."""
    class_names: Literal["", "as-is", "spaces", "words"] = ""
    """Words of a class name in a prompt: as-is, spaces (no underscores) or words (CamelCase split
    as well). Default: as the checkpoint was trained."""
    frames: tuple[int, ...] = ()
    """Also score with so many of the cached frames."""
    views: tuple[int, ...] = ()
    """Also score with so many of the cached views."""
    against: tuple[str, ...] = ()
    """Feature sets to compare each of --features with, one for all or one for each, on the same
    videos by a paired bootstrap: each scored with the fusion that it was trained with, or with
    embedding."""
    partial: bool = False
    """Score feature sets that are not complete; rows say how many videos they cover."""
    results: Path | None = None
    """Folder to append the rows to."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("ablate", AblateArguments, renamed(arguments, _RENAMED))
    splits, found = _splits(wanted), Faults()
    found.attempt(check_fusions, wanted.fusion)
    found.attempt(check_lever_names, wanted.lever)
    found.attempt(check_templates, expand(wanted.template))
    found.refuse()
    store = open_store(wanted.store)
    datasets = [store.dataset(name) for name in wanted.dataset]
    splits = [scored_split(*place) for place in zip(datasets, splits, strict=True)]
    if wanted.results is not None:
        # Scoring may take long: what cannot be written is told before.
        made_folder(wanted.results)
    names = [features.name for features in choose_features(datasets[0], wanted.features)]
    names = list(dict.fromkeys(names))
    _check_against(wanted, names)
    found = _found(wanted, datasets, splits, names)
    rows = [*found.rows, *(compared.result for compared in found.compared)]
    write_and_print(rows, wanted.results, json=wanted.json, shown=())
    if wanted.results is not None:
        for answers in found.answers:
            answers.write(wanted.results)
        record_command(wanted.results)
    if not wanted.json:
        _print_tables(rows)
        for compared in found.compared:
            say(sentence(compared))
    return 0


@dataclass(kw_only=True)
class _Ablated:
    """What ablations found."""

    rows: list[ResultRow] = field(default_factory=list)
    answers: list[VideoAnswers] = field(default_factory=list)
    """One a score, where there is a results folder for them."""
    compared: list[Compared] = field(default_factory=list)


def _found(
    wanted: AblateArguments, datasets: Sequence[Dataset], splits: Sequence[str], names: list[str]
) -> _Ablated:
    found = _Ablated()
    settings = _settings(wanted, found.answers)
    for dataset, split in zip(datasets, splits, strict=True):
        sets, others = (list(map(dataset.features, of)) for of in (names, wanted.against))
        warn_of_leaks(sets, split, is_tuned_here=True, partial=wanted.partial)
        for features in sets:
            found.rows += _rows(features, wanted, split, settings)
        found.rows += _blend_rows(sets, wanted, split, settings)
        found.compared += own_differences(sets, others, split, settings)
    return found


def _check_against(wanted: AblateArguments, names: Sequence[str]) -> None:
    """Raise UsageError for other sets to compare with than one for all, or one for each."""
    if len(wanted.against) not in (0, 1, len(names)):
        counts = f"--against names {len(wanted.against)} feature sets and --features {len(names)}"
        raise UsageError(f"{counts}; give one for all, or one for each")


def _splits(wanted: AblateArguments) -> Sequence[str]:
    """One split per dataset. Raises UsageError where the counts do not fit."""
    splits = wanted.split or ("",)
    if len(splits) == 1:
        splits *= len(wanted.dataset)
    if len(splits) != len(wanted.dataset):
        raise UsageError(
            f"{len(wanted.dataset)} datasets and {len(splits)} splits; give one --split for all, "
            "or one for each"
        )
    return splits


def _settings(wanted: AblateArguments, answers: list[VideoAnswers]) -> Ablation:
    """What all ablations share; the answers of each score are added to a list."""
    keep = (lambda scored: answers.append(video_answers(scored))) if wanted.results else None
    return Ablation(
        fusions=wanted.fusion or PAPER_FUSIONS,
        keep=keep,
        templates=expand(wanted.template),
        cleaning=wanted.class_names,
        partial=wanted.partial,
    )


def _rows(
    features: Features, wanted: AblateArguments, split: str, settings: Ablation
) -> list[ResultRow]:
    how = wanted.class_names
    texts = choose_texts(features, split, expand(wanted.template), how)
    settings = replace(settings, texts=texts, fusions=_fusions(features, wanted))
    place = (split, settings)
    rows = fusion_matrix([features], *place)
    if wanted.frames:
        rows += frames_ablation(features, wanted.frames, *place)
    if wanted.views:
        rows += views_ablation(features, wanted.views, *place)
    if asks_for_levers(wanted):
        levers = asked_levers(features, split, wanted, expand(wanted.template), how)
        fusions = wanted.fusion or (ONLY_FUSION,)
        rows += levers_ablation(features, split, replace(settings, fusions=fusions, levers=levers))
    if len(wanted.template) > 1:
        each = [choose_texts(features, split, expand((t,)), how) for t in wanted.template]
        rows += templates_ablation(features, (*each, texts), *place)
    return rows


def _fusions(features: Features, wanted: AblateArguments) -> tuple[str, ...]:
    """Those that are asked for, else those of the paper that a set can give; a line says what is
    left out."""
    if wanted.fusion:
        return wanted.fusion
    if has_one_embedding(features):
        logger.info(
            "%s has one embedding of each view: fusions are equal, so embedding alone is scored",
            features.name,
        )
        return (ONLY_FUSION,)
    if why := _lacks_frames(features):
        logger.info("%s %s: image fusion is left out", features.name, why)
        return _WITHOUT_FRAMES
    return PAPER_FUSIONS


def _lacks_frames(features: Features) -> str:
    """Why the frames of a set cannot be scored one by one; empty where they can."""
    if features.frames is not None:
        return ""
    why = "a head has pooled them" if features.parent else "its means alone are stored"
    return f"has no frames, {why}"


def _blend_rows(
    sets: Sequence[Features], wanted: AblateArguments, split: str, settings: Ablation
) -> list[ResultRow]:
    shares = blend_shares(sets)
    if not wanted.fusion and any(map(has_one_embedding, shares)):
        settings = replace(settings, fusions=(ONLY_FUSION,))
    elif not wanted.fusion and any(map(_lacks_frames, shares)):
        settings = replace(settings, fusions=_WITHOUT_FRAMES)
    return blend_ablation(tuple(shares), split, settings)


def _print_tables(rows: Sequence[ResultRow]) -> None:
    measured = measurements(rows)
    found = [one for one in measured if not one.row.lever]
    single = [table for table in (fusion_table(found), lever_table(measured)) if table]
    for table in [*single, *protocol_tables(found)]:
        say(to_markdown(table))
    if len(missing := missing_of_table5(rows)) < len(PAPER_FUSIONS):
        for fusion in missing:
            say(
                f"Table 5 lacks {fusion} fusion: tune a checkpoint with "
                f"`{shell('vifi', 'train', '...', '--fusion', fusion)}` and give its features too"
            )
