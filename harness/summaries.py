"""Means and deviations of result rows over splits, training runs or draws."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.measuring import PROBABILITIES
from harness.results import TUNED, ResultRow

# Entries of the provenance that a mean takes from all of its runs.
_MARKS = ("not_as_trained", "assumed", "cleaning", "differs_from_released_code", PROBABILITIES)


def summary_rows(runs: Sequence[Sequence[ResultRow]], over: str) -> list[ResultRow]:
    """Mean and `<metric>_std` of the same metrics over runs; `over` is `splits` or `seeds`.

    `runs[run]` are the rows of one run, the same metrics in the same order. The deviation is that
    of the population, as in this field's tables. Counts of videos are summed over splits, and the
    largest over seeds, which score the same videos. Fields that differ between the runs are joined
    by `+`, a seed becomes None.
    """
    return [row for same in zip(*runs, strict=True) for row in _summary(same, over)]


def _summary(rows: Sequence[ResultRow], over: str) -> list[ResultRow]:
    values = [row.value for row in rows]
    first = rows[0]
    count = sum if over == "splits" else max
    origins = [row.provenance for row in rows]
    mean = replace(
        first,
        value=float(np.mean(values)),
        protocol=TUNED if any(row.protocol == TUNED for row in rows) else first.protocol,
        split=joined(row.split for row in rows) or "",
        feature_set=joined(row.feature_set for row in rows) or "",
        scored_checkpoint=joined(row.scored_checkpoint for row in rows) or "",
        text_set=joined(row.text_set for row in rows) or "",
        feature_names=_names_of_runs(rows),
        seed=first.seed if len({row.seed for row in rows}) == 1 else None,
        num_videos=count(row.num_videos for row in rows),
        num_quarantined=count(row.num_quarantined for row in rows),
        listed=count(row.num_listed for row in rows) if any(r.listed for r in rows) else None,
        ci_low=None,
        ci_high=None,
        tuned_on=", ".join(dict.fromkeys(row.tuned_on for row in rows if row.tuned_on)),
        provenance={name: told for name, told in first.provenance.items() if name != "reliability"}
        | _claims_of(origins, count)
        | _marks_of(origins)
        | {name: joined(o[name] for o in origins) for name in ("recipe", "checkpoint", "manifest")}
        | {name: count(o[name] for o in origins) for name in ("rows_covered", "num_todo")}
        | _files_of(origins, count)
        | {"over": over, "count": len(rows), "ddof": 0, "values": values},
    )
    return [mean, replace(mean, metric=f"{first.metric}_std", value=float(np.std(values)))]


def _names_of_runs(rows: Sequence[ResultRow]) -> tuple[str, ...]:
    """One name for each run; of draws from one set all of its names."""
    if len({(row.feature_set, row.checkpoint) for row in rows}) == 1:
        return rows[0].feature_names
    return tuple(dict.fromkeys(row.feature_names[0] for row in rows if row.feature_names))


def _claims_of(origins: Sequence[Mapping], count: Callable[[Iterable[int]], int]) -> dict:
    """What several runs share with what their checkpoints were tuned on."""
    entries = {
        (entry["dataset"], entry["split"]): {"dataset": entry["dataset"], "split": entry["split"]}
        for origin in origins
        for entry in origin.get("tuned_on", ())
    }
    if not entries:
        return {}
    return {
        "tuned_on": list(entries.values()),
        "shared_videos": count(origin.get("shared_videos", 0) for origin in origins),
        "shared_class_names": max(origin.get("shared_class_names", 0) for origin in origins),
    }


def _files_of(origins: Sequence[Mapping], count: Callable[[Iterable[int]], int]) -> dict:
    """How many files the videos of several runs are stretches of; nothing of whole videos."""
    if not any("files" in origin for origin in origins):
        return {}
    return {"files": count(origin.get("files", origin["rows_covered"]) for origin in origins)}


def _marks_of(origins: Sequence[Mapping]) -> dict:
    """What keeps the numbers of several runs from being what they look like, of any of them."""
    marks: dict = {}
    for name in _MARKS:
        for mark in (origin[name] for origin in origins if origin.get(name)):
            known = marks.setdefault(name, mark)
            if isinstance(mark, Mapping):
                marks[name] = {**mark, **known}
            elif isinstance(mark, list | tuple):
                marks[name] = list(dict.fromkeys([*known, *mark]))
            else:
                marks[name] = joined([known, mark])
    return marks


def joined(values: Iterable[str | None]) -> str | None:
    """Different texts joined by `+`; None where all are."""
    return "+".join(dict.fromkeys(value for value in values if value is not None)) or None
