"""What a results folder keeps of trainings: their curves, and scores of followed checkpoints."""

import csv
import hashlib
import io
import json
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from harness.measuring import Scoring
from harness.protocols.zero_shot import zero_shot
from harness.results.run_histories import FollowedScore, RunHistory, RunPoint
from vifi.scoring.run_features import FollowedStep, followed_steps
from vifi.scoring.scored_rows import choose_texts
from vifistore.errors import UsageError, short
from vifistore.files import read_regular
from vifistore.store.dataset import Dataset

logger = logging.getLogger("vifi")

_LOG = "log.csv"
_NEEDED = ("step", "loss", "accuracy", "learning_rate", "num_views", "seconds")
# A curve has no more points than a screen shows.
_MOST_POINTS = 200


def add_runs(results: Path, folders: Sequence[Path], dataset: Dataset | None, split: str) -> None:
    """Keep the histories of runs in a results folder; with a dataset also top-1 of every
    checkpoint that was extracted, by the class names of a split.

    What was scored before is not scored again. A folder without a log is told and left out. Raises
    UsageError for a log that is none.
    """
    known = {run.name: run for run in RunHistory.read_all(results)}
    names = run_names(folders)
    found = []
    for folder in folders:
        if not (folder / _LOG).is_file():
            logger.warning("%s holds no log of a training; it is left out", short(folder))
            continue
        before = known.get(names[folder])
        scores = before.scores if before else ()
        if dataset is not None:
            scores = tuple(_scores(dataset, split, folder, scores))
        found.append(_history(names[folder], folder / _LOG, scores))
    RunHistory.add(results, found)


def run_names(folders: Sequence[Path]) -> dict[Path, str]:
    """The last part of each path, or as many as tell it from the others."""
    names = {folder: folder.resolve() for folder in folders}
    for count in range(1, 9):
        short_names = {f: "/".join(path.parts[-count:]) for f, path in names.items()}
        if len(set(short_names.values())) == len(folders):
            return short_names
    return {folder: str(path) for folder, path in names.items()}


def _history(name: str, log: Path, scores: Sequence[FollowedScore]) -> RunHistory:
    rows = _read(log)
    seconds = [row["seconds"] for row in rows if math.isfinite(row["seconds"])]
    ordered = sorted(scores, key=lambda score: (score.dataset, score.split, score.step))
    return RunHistory(
        name=name,
        num_steps=int(rows[-1]["step"]) if rows else 0,
        seconds=round(sum(seconds), 1),
        points=tuple(_points(rows)),
        scores=tuple(ordered),
    )


def _read(log: Path) -> list[dict[str, float]]:
    """The steps of a log; a last line that is being written is left out."""
    lines = csv.DictReader(io.StringIO(read_regular(log).decode("utf-8", "replace"), newline=""))
    if not set(_NEEDED) <= set(lines.fieldnames or ()):
        raise UsageError(f"{short(log)} is no log of vifi train; give the folder of a run")
    rows = []
    for line in lines:
        try:
            row = {name: float(line[name]) for name in _NEEDED}
        except (ValueError, TypeError):
            continue
        if row["step"] >= 0 and row["step"].is_integer():
            rows.append(row)
    return rows


def _points(rows: Sequence[dict[str, float]]) -> Iterator[RunPoint]:
    count = min(len(rows), _MOST_POINTS)
    for part in np.array_split(np.arange(len(rows)), count) if count else []:
        some = [rows[place] for place in part]
        seconds = sum(row["seconds"] for row in some)
        yield RunPoint(
            step=int(some[-1]["step"]),
            loss=_mean(some, "loss"),
            accuracy=_mean(some, "accuracy"),
            learning_rate=_mean(some, "learning_rate"),
            videos_per_second=sum(row["num_views"] for row in some) / seconds if seconds else None,
        )


def _mean(rows: Sequence[dict[str, float]], name: str) -> float | None:
    """Of what is a number: a step without a view has no loss."""
    values = [row[name] for row in rows if math.isfinite(row[name])]
    return sum(values) / len(values) if values else None


def _scores(
    dataset: Dataset, split: str, folder: Path, known: Sequence[FollowedScore]
) -> Iterator[FollowedScore]:
    """Those of other splits as they are known, then those of this one: where the checkpoint or
    what the split holds has changed, scored again."""
    before = {}
    for score in known:
        if (score.dataset, score.split) == (dataset.name, split):
            before[score.features, score.made_of] = score
        else:
            yield score
    for followed in followed_steps(dataset, folder):
        made_of = _made_of(dataset, split, followed.features)
        yield before.get((followed.features, made_of)) or _score(dataset, split, followed, made_of)


def _made_of(dataset: Dataset, split: str, features: str) -> str:
    found, chosen = dataset.features(features), dataset.split(split)
    digest = hashlib.sha256(json.dumps([found.id, found.checkpoint, chosen.class_names]).encode())
    digest.update(chosen.rows.tobytes() + chosen.labels.tobytes())
    return digest.hexdigest()[:16]


def _score(dataset: Dataset, split: str, followed: FollowedStep, made_of: str) -> FollowedScore:
    features = dataset.features(followed.features)
    settings = Scoring(texts=choose_texts(features, split, ()))
    (top1,) = [row for row in zero_shot(features, (split,), settings) if row.metric == "top1"]
    return FollowedScore(
        step=followed.step,
        features=followed.features,
        dataset=dataset.name,
        split=split,
        value=top1.value,
        ci_low=top1.ci_low,
        ci_high=top1.ci_high,
        made_of=made_of,
    )
