"""Recall that others published for data sets of captions: `recall.csv`, each with its source."""

import re
from dataclasses import dataclass
from functools import cache

from reports.paper.paper_numbers import csv_records


@dataclass(frozen=True, kw_only=True)
class PublishedRecall:
    """One number of others."""

    dataset: str
    """msrvtt, didemo, activitynet, msvd or vatex."""
    method: str
    way: str
    """t2v, captions ask for videos, or v2t."""
    metric: str
    """recall_at_1, ..., in percent."""
    value: float
    text: str
    """What is to be known of it."""
    source: str
    """Where it can be checked."""


@cache
def published_recalls() -> tuple[PublishedRecall, ...]:
    """All of them, in the order of the file."""
    return tuple(
        PublishedRecall(
            dataset=record["dataset"],
            method=record["method"],
            way=record["way"],
            metric=record["metric"],
            value=float(record["value"]),
            text=record["text"],
            source=record["source"],
        )
        for record in csv_records("recall.csv")
    )


def benchmark_of(dataset: str) -> str:
    """The published data set that a name begins with (`MSR-VTT-1kA` -> msrvtt); empty for none."""
    plain = re.sub(r"[^a-z0-9]", "", dataset.casefold())
    return next((r.dataset for r in published_recalls() if plain.startswith(r.dataset)), "")
