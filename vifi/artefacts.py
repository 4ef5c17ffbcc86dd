"""Files of a results folder that the report reads beside result rows (see reports.artefacts)."""

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.provenance import command_line, versions
from reports.artefacts import FOLDER
from reports.files import write_text
from vifistore.errors import DecodeError
from vifistore.store.info import lineage
from vifistore.store.store import Store

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("vifi")


def write_artefact(results: Path, name: str, document: object) -> None:
    """Write a JSON artefact whole or not at all."""
    folder = results / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{name}.json", json.dumps(document, indent=1, allow_nan=False))


def write_map(results: Path, name: str, points: "pd.DataFrame", separation: "pd.DataFrame") -> None:
    """Write the coordinates of a map (tsne, pca) and how well its classes separate."""
    folder = results / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{name}.csv", points.to_csv(index=False))
    write_text(folder / f"{name}_separation.csv", separation.to_csv(index=False))


def write_thumbnails(
    store: Store, results: Path, dataset: str, rows: Iterable[int]
) -> dict[int, str]:
    """Make a picture of each video below `results`; returns row -> its path from there.

    Pictures that are there are kept. A video that cannot be read gets none, with a line in the log.
    """
    from vifistore.frames.thumbnails import write_thumbnail

    root, paths = store.root(dataset), store.videos(dataset)["path"].to_numpy()
    written, failed = {}, []
    for row in map(int, rows):
        place = f"{FOLDER}/thumbnails/{dataset}/{row}.jpg"
        try:
            write_thumbnail(root / paths[row], results / place)
            written[row] = place
        except DecodeError as error:
            failed.append(str(error))
    if failed:
        logger.warning("%d videos have no picture (first: %s)", len(failed), failed[0])
    return written


def write_provenance(store: Store, results: Path) -> None:
    """Write what the store's numbers were made from: checkpoints, recipes, versions."""
    recipes = [
        {"dataset": dataset, "id": features.id, "names": features.names, "recipe": features.recipe}
        for dataset in store.datasets()
        for features in (store.features(dataset, name) for name in store.feature_ids(dataset))
    ]
    document = {"checkpoints": lineage(store), "recipes": recipes, "versions": versions()}
    write_artefact(results, "provenance", document)


def record_command(results: Path) -> None:
    """Add the command line of this process to those that made the results, once."""
    path = results / FOLDER / "commands.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    write_artefact(results, "commands", list(dict.fromkeys([*known, command_line()])))


def quarantined_videos(store: Store, datasets: Sequence[str]) -> list[dict]:
    """Every quarantined video of these datasets, once per feature set: where, why, how often."""
    found = []
    for dataset in datasets:
        videos = store.videos(dataset)
        for feature_id in store.feature_ids(dataset):
            features = store.features(dataset, feature_id)
            decoder = features.source_recipe.get("decoder", "")
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
