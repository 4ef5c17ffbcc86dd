"""`vifi ablate S`: score cached features under every fusion."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from harness.ablations import (
    PAPER_FUSIONS,
    Ablation,
    frames_ablation,
    fusion_matrix,
    views_ablation,
)
from harness.results import ResultRow
from vifi.console import parse
from vifi.scoring import choose_texts, require_features, write_and_print
from vifistore.store import open_store
from vifistore.store.store import Store

Repeated = tyro.conf.UseAppendAction[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class AblateArguments:
    """Score cached features under every fusion: the matrix trained-with x scored-with."""

    store: tyro.conf.Positional[Path]
    """Path of the store."""
    dataset: str
    """Dataset to score."""
    features: tuple[str, ...] = ()
    """Names or ids of feature sets."""
    split: str = ""
    """Split to score. Default: every labelled video."""
    fusion: tuple[str, ...] = ()
    """Where frames are merged: embedding, decision, image (default), max, top-4, attention."""
    template: Repeated = ()
    """Prompt of a class name, {} standing for it; encoded if the store lacks it."""
    num_frames: tuple[int, ...] = ()
    """Also score with so many of the cached frames."""
    num_views: tuple[int, ...] = ()
    """Also score with so many of the cached views."""
    partial: bool = False
    """Score feature sets that are not complete; rows say how many videos they cover."""
    results: Path | None = None
    """Folder to append the rows to."""
    json: bool = False
    """Print one JSON document."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("ablate", AblateArguments, arguments)
    require_features(wanted.features, "ablate", one=False)
    store = open_store(wanted.store)
    rows = [row for name in dict.fromkeys(wanted.features) for row in _rows(store, wanted, name)]
    write_and_print(rows, wanted.results, json=wanted.json)
    return 0


def _rows(store: Store, wanted: AblateArguments, name: str) -> list[ResultRow]:
    texts = choose_texts(store, wanted.dataset, name, wanted.split, wanted.template)
    settings = Ablation(fusions=wanted.fusion or PAPER_FUSIONS, texts=texts, partial=wanted.partial)
    place = (wanted.split, settings)
    rows = fusion_matrix(store, wanted.dataset, [name], *place)
    if wanted.num_frames:
        rows += frames_ablation(store, wanted.dataset, name, wanted.num_frames, *place)
    if wanted.num_views:
        rows += views_ablation(store, wanted.dataset, name, wanted.num_views, *place)
    return rows
