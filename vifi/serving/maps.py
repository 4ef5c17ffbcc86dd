"""Where videos lie on the page's map: the results folder's t-SNE if it has one, else our own.

Our own shows up to 2,000 videos, drawn at random where there are more; it is kept in the store's
cache under the manifest of the feature set, and so never older than the videos.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from harness.retrieval.hits import VideoTable
from harness.retrieval.indexes import Index
from harness.retrieval.sources import Source
from vifistore.errors import UsageError
from vifistore.store.store import Store

MAX_VIDEOS = 2000
MIN_VIDEOS = 5
_COLUMNS = ("row", "x", "y")


def map_points(
    store: Store, source: Source, index: Index, table: VideoTable, results: Path | None
) -> dict:
    """Row, id, label and place of every video on the map, as columns.

    Raises UsageError for fewer than 5 videos.
    """
    points = _from_results(results, source) if results else None
    if points is None:
        points = _cached(store.backend.cache_folder, source, index)
    rows = points["row"].to_numpy()
    return {
        "row": rows.tolist(),
        "id": table.ids[rows].tolist(),
        "label": table.labels[rows].tolist(),
        "x": np.round(points["x"], 3).tolist(),
        "y": np.round(points["y"], 3).tolist(),
    }


def _from_results(results: Path, source: Source) -> pd.DataFrame | None:
    from reports.artefacts import read_artefacts

    for found in read_artefacts(results).maps:
        points = found.points
        if found.name == "tsne" and {"row", "dataset"} <= set(points.columns):
            is_ours = (points["panel"] == source.features.name) & (
                points["dataset"] == source.dataset
            )
            inside = points["row"].between(0, source.features.num_videos - 1)
            if is_ours.any():
                return points[is_ours & inside].astype({"row": int})
    return None


def _cached(cache_folder: Path, source: Source, index: Index) -> pd.DataFrame:
    if source.features.sealed is None:
        return _draw(index)
    name = f"{source.features.id}-{source.features.sealed['manifest'][:12]}.csv"
    path = cache_folder / "maps" / source.dataset / name
    if path.is_file():
        return pd.read_csv(path, usecols=list(_COLUMNS))
    points = _draw(index)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        points.to_csv(file, index=False)
    os.replace(file.name, path)
    return points


def _draw(index: Index) -> pd.DataFrame:
    if len(index.rows) < MIN_VIDEOS:
        raise UsageError(f"{len(index.rows)} videos make no map; it takes {MIN_VIDEOS}")

    # openTSNE brings in scikit-learn, which takes seconds to import.
    from harness.projection.maps import Projection, embed

    count = min(MAX_VIDEOS, len(index.rows))
    places = np.random.default_rng(0).choice(len(index.rows), count, replace=False)
    places.sort()
    at = embed(index.faiss.reconstruct_batch(places), Projection())
    return pd.DataFrame({"row": index.rows[places], "x": at[:, 0], "y": at[:, 1]})
