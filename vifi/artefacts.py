"""Files of a results folder that the report reads beside result rows (see reports.artefacts)."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reports.artefacts import FOLDER
from reports.files import write_text
from vifistore.store.store import Store


def write_artefact(results: Path, name: str, document: object) -> None:
    """Write a JSON artefact whole or not at all."""
    folder = results / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{name}.json", json.dumps(document, indent=1, allow_nan=False))


def write_map(results: Path, name: str, points: pd.DataFrame, separation: pd.DataFrame) -> None:
    """Write the coordinates of a map (tsne, pca) and how well its classes separate."""
    folder = results / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{name}.csv", points.to_csv(index=False))
    write_text(folder / f"{name}_separation.csv", separation.to_csv(index=False))


def quarantined_videos(store: Store, datasets: Sequence[str]) -> list[dict]:
    """Every quarantined video of these datasets, once per feature set: where, why, how often."""
    found = []
    for dataset in datasets:
        videos = store.videos(dataset)
        for feature_id in store.feature_ids(dataset):
            features = store.features(dataset, feature_id)
            decoder = features.recipe.get("decoder", "")
            for entry in features.quarantine():
                place = videos.iloc[entry["row"]]
                found.append(
                    {
                        "dataset": dataset,
                        "features": feature_id,
                        "id": place["id"],
                        "path": place["path"],
                        "decoder": decoder,
                        **entry,
                    }
                )
    return found
