"""Where videos lie on the page's map: the results folder's t-SNE if it has one, else our own.

Our own shows up to 2,000 videos, drawn at random where there are more; it is kept in the store's
cache under the manifest of the feature set, and so never older than the videos.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from harness.retrieval.hits import VideoTable
from harness.retrieval.indexing.indexes import Index
from vifistore.errors import UsageError
from vifistore.store.features import Features
from vifistore.store.key_value.durable import put_stages

logger = logging.getLogger("vifi")

MAX_VIDEOS = 2000
MIN_VIDEOS = 5
_COLUMNS = {"row": int, "x": float, "y": float}


def map_points(features: Features, index: Index, table: VideoTable, results: Path | None) -> dict:
    """Row, id, label and place of every video on the map, as columns.

    Raises UsageError for fewer than 5 videos.
    """
    points = _from_results(results, features) if results else None
    if points is None:
        points = _cached(features, index)
    rows = points["row"].to_numpy()
    return {
        "row": rows.tolist(),
        "id": table.ids[rows].tolist(),
        "label": table.labels[rows].tolist(),
        "x": np.round(points["x"], 3).tolist(),
        "y": np.round(points["y"], 3).tolist(),
    }


def _from_results(results: Path, features: Features) -> pd.DataFrame | None:
    from harness.results.csv_artefacts import Map

    for found in Map.read_all(results):
        points = found.points
        if found.name == "tsne" and {"row", "dataset"} <= set(points.columns):
            is_ours = (points["panel"] == features.name) & (
                points["dataset"] == features.dataset.name
            )
            inside = points["row"].between(0, features.num_videos - 1)
            if bool(is_ours.any()):
                return points.loc[is_ours & inside].dropna(subset=["x", "y"]).astype({"row": int})
    return None


def _cached(features: Features, index: Index) -> pd.DataFrame:
    if features.sealed is None:
        return _draw(index)
    name = f"{features.id}-{features.sealed['manifest'][:12]}.csv"
    path = features.store.cache_folder / "maps" / features.dataset.name / name
    points = _read(path)
    if points is not None:
        return points
    points = _draw(index)
    try:
        put_stages([{path: [points.to_csv(index=False).encode()]}])
    except OSError as error:
        logger.warning("the map is not kept: %s", error)
    return points


def _read(path: Path) -> pd.DataFrame | None:
    """The map that is kept at `path`; None where there is none that can be read."""
    try:
        if path.is_file():
            return pd.read_csv(path).loc[:, list(_COLUMNS)].astype(_COLUMNS)
    except (OSError, ValueError, KeyError) as error:
        logger.warning("the map at %s is drawn again: %s", path, error)
    return None


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
