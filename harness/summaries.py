"""Means and deviations of result rows over splits, training runs or draws."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.measuring import PROBABILITIES
from harness.results import TUNED, ResultRow
from harness.results.video_answers import DIGEST

# Entries of the provenance that are of the videos of one run, whatever another's are.
_OF_ONE_RUN = ("reliability", "p_value", DIGEST)
# Counts of what makes a number better than it is: of a mean they are those of its worst run.
_LEAKS = ("num_test_copies_in_train", "num_test_stretches_of_train_files")
_LEAKS_OF_LEVERS = ("seen_in_training", "stretches_of_scored_files")
# Entries of the provenance that a mean takes from all of its runs.
_MARKS = ("not_as_trained", "assumed", "cleaning", "differs_from_released_code", PROBABILITIES)


def summary_rows(runs: Sequence[Sequence[ResultRow]], over: str) -> list[ResultRow]:
    """Mean and `<metric>_std` of the same metrics over runs; `over` is `splits` or `seeds`.

    `runs[run]` are the rows of one run, the same metrics in the same order. The deviation is that
    of the population, as in this field's tables. Counts of videos are summed over splits, and the
    largest over seeds, which score the same videos. Fields that differ between the runs are joined
    by `+`, a seed becomes None. What a provenance tells of one run alone, it does not tell of the
    mean.
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
        provenance=_shared(origins)
        | _lifted_of(origins)
        | _claims_of(origins, count)
        | _marks_of(origins)
        | _worst_of(origins, _LEAKS)
        | {name: joined(o[name] for o in origins) for name in ("recipe", "checkpoint", "manifest")}
        | {name: count(o[name] for o in origins) for name in ("rows_covered", "num_todo")}
        | _sources_of(origins, count)
        | {"over": over, "count": len(rows), "ddof": 0, "values": values},
    )
    return [mean, replace(mean, metric=f"{first.metric}_std", value=float(np.std(values)))]


def _names_of_runs(rows: Sequence[ResultRow]) -> tuple[str, ...]:
    """One name for each run; of draws from one set all of its names."""
    if len({(row.feature_set, row.checkpoint) for row in rows}) == 1:
        return rows[0].feature_names
    return tuple(dict.fromkeys(row.feature_names[0] for row in rows if row.feature_names))


def _shared(origins: Sequence[Mapping]) -> dict:
    """What all runs tell alike, and the time of the last."""
    first = origins[0]
    told = {
        name: value
        for name, value in first.items()
        if name not in _OF_ONE_RUN and all(other.get(name) == value for other in origins)
    }
    return told | ({"time": max(str(one["time"]) for one in origins)} if "time" in first else {})


def _lifted_of(origins: Sequence[Mapping]) -> dict:
    """What a lever chose in all runs alike, and the seconds of all; what was encoded is so once."""
    lifted = [origin["lifted"] for origin in origins if origin.get("lifted")]
    if not lifted:
        return {}
    encoded = lifted[0].get("encode_seconds", 0.0)
    seconds = encoded + sum(one["seconds"] - one.get("encode_seconds", 0.0) for one in lifted)
    told = {"seconds": round(seconds, 3), **_worst_of(lifted, _LEAKS_OF_LEVERS)}
    return {"lifted": _shared(lifted) | told}


def _worst_of(origins: Sequence[Mapping], names: Sequence[str]) -> dict:
    """The largest of each of these counts; none that no run tells."""
    told = {name: [one[name] for one in origins if name in one] for name in names}
    return {name: max(counts) for name, counts in told.items() if counts}


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


def _sources_of(origins: Sequence[Mapping], count: Callable[[Iterable[int]], int]) -> dict:
    """How many files or other sources the videos of several runs are of; nothing where each video
    is one of its own."""
    found: dict[str, object] = {}
    for name in ("files", "sources"):
        if any(name in origin for origin in origins):
            found[name] = count(origin.get(name, origin["rows_covered"]) for origin in origins)
    told = dict.fromkeys(origin["source"] for origin in origins if "source" in origin)
    return found | ({"source": " or ".join(told)} if told else {})


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
