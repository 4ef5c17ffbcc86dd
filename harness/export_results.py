"""Result rows in the format of CLIP_benchmark, so that its `build` command reads them.

    export_clip_benchmark(read_rows("results"), "exported")   # one JSON file per evaluation

Text classifiers become the task `zeroshot_classification`, linear probes `linear_probe`, retrieval
`zeroshot_retrieval` (a video is its image), which are that format's words for scores by texts: the
keys `protocol` and `tuned_on` say whether they are zero-shot. The format is that of
LAION-AI/CLIP_benchmark 1.6.2 (`cli.py`: `run` writes it, `main_build` reads it). What it has no
field for (split, fusion, shots, seed, ...) goes into the file name and into further keys, which
become columns of its table. Values are fractions, as they are here.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from harness.results import KEY_FIELDS, ResultRow, made_folder
from vifistore.errors import UsageError
from vifistore.store.key_value.durable import put_stages

_TASKS = {"text": "zeroshot_classification", "linear-probe": "linear_probe"}
_RETRIEVAL = "retrieval"
_METRICS = {
    "top1": "acc1",
    "top5": "acc5",
    "mean_per_class": "mean_per_class_recall",
    **{f"t2v_recall_at_{k}": f"image_retrieval_recall@{k}" for k in (1, 5, 10)},
    **{f"v2t_recall_at_{k}": f"text_retrieval_recall@{k}" for k in (1, 5, 10)},
}
_SHARED_FIELDS = tuple(name for name in KEY_FIELDS if name != "metric")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.@=+-]+")


def export_clip_benchmark(rows: Iterable[ResultRow], folder: str | Path) -> list[Path]:
    """Write one JSON file per evaluation into `folder`, made if missing; returns the files.

    Rows of other classifiers, and what has no metric of CLIP_benchmark's, are left out. Raises
    UsageError when nothing is left, and when `folder` is no folder.
    """
    groups = _groups(rows)
    if not groups:
        raise UsageError(
            "no accuracy of a text classifier or a linear probe, and no recall, to export; run "
            "`vifi evaluate` first"
        )
    folder = made_folder(folder)
    documents = {folder / file_name(group[0]): to_clip_benchmark(group) for group in groups}
    texts = {
        path: json.dumps(document, allow_nan=False, indent=1) + "\n"
        for path, document in documents.items()
    }
    put_stages([{path: [text.encode()] for path, text in texts.items()}])
    return list(texts)


def to_clip_benchmark(group: Sequence[ResultRow]) -> dict:
    """The rows of one evaluation, which differ in their metric only, as one document."""
    row = group[0]
    prefix = "lp_" if row.classifier == "linear-probe" else ""
    metrics = {
        prefix + _METRICS[other.metric]: other.value
        for other in group
        if other.metric in _METRICS and math.isfinite(other.value)
    }
    if row.classifier == "linear-probe":
        metrics |= {"fewshot_k": -1 if row.shots is None else row.shots, "seed": row.seed}
    shared = {name: getattr(row, name) for name in _SHARED_FIELDS}
    shared["train_split"] = row.train_split
    return {
        **shared,
        "dataset": row.dataset,
        "model": row.provenance.get("model") or "unknown",
        "pretrained": _pretrained(row),
        "task": _task(row),
        "metrics": metrics,
        "language": "en",
        "num_videos": row.num_videos,
        "num_quarantined": row.num_quarantined,
        "tuned_on": row.tuned_on,
        "listed": row.listed,
    }


def file_name(row: ResultRow) -> str:
    """`DATASET_PRETRAINED_MODEL_en_TASK_DIGEST.json`; the digest tells other settings apart."""
    model = row.provenance.get("model") or "unknown"
    parts = (row.dataset, _pretrained(row), model, "en", _task(row))
    key = json.dumps(_group(row))
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    # A leading dot or a slash would put the file out of sight or out of the folder.
    safe = "_".join(_UNSAFE.sub("-", part) for part in parts).lstrip(".")
    return f"{safe[:150]}_{digest}.json"


def _pretrained(row: ResultRow) -> str:
    """The checkpoint, or the name of embeddings that were made elsewhere."""
    return row.scored_checkpoint or next(iter(row.feature_names), row.feature_set)


def _task(row: ResultRow) -> str:
    return "zeroshot_retrieval" if row.protocol == _RETRIEVAL else _TASKS[row.classifier]


def _group(row: ResultRow) -> tuple:
    return replace(row, metric="").nameless_key


def _groups(rows: Iterable[ResultRow]) -> list[list[ResultRow]]:
    groups: dict[tuple, list[ResultRow]] = {}
    for row in rows:
        if row.classifier in _TASKS:
            groups.setdefault(_group(row), []).append(row)
    return [group for group in groups.values() if any(row.metric in _METRICS for row in group)]
