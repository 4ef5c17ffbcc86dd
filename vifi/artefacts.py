"""Files of a results folder that the report reads beside result rows (see reports.artefacts)."""

import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.provenance import versions
from harness.results.csv_cells import to_safe_csv
from harness.results.files import write_text
from reports.artefacts import FOLDER
from reports.page.extras import thumbnail_path
from vifi.video_files import video_file
from vifistore.errors import DamagedError, DecodeError, StoreError
from vifistore.extract.clock import STAGES
from vifistore.extract.figures import kept_runs
from vifistore.files import locked, read_json
from vifistore.store.dataset import Dataset
from vifistore.store.info import lineage
from vifistore.store.provenance import command_line
from vifistore.store.store import Store

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("vifi")

# What the page tells of an extraction, besides where its time went, and of how many.
_RUN_FACTS = (
    *("time", "dataset", "id", "model", "device", "precision", "encoded", "frames_encoded"),
    *("seconds", "videos_per_second", "frames_per_second", "peak_mebibytes"),
)
_MAX_RUNS = 50


def write_artefact(results: Path, name: str, document: object) -> None:
    """Write a JSON artefact whole or not at all."""
    folder = results / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{name}.json", json.dumps(document, indent=1, allow_nan=False))


def update_artefact(results: Path, name: str, change: Callable[[list], list]) -> None:
    """Write what `change` makes of the JSON list that is there; of an empty one if none is.

    Several processes may do so at once. Raises DamagedError for a file that holds no list.
    """
    path = results / FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(".lock")):
        write_artefact(results, name, change(_read_list(path)))


def _read_list(path: Path) -> list:
    if not path.is_file():
        return []
    try:
        found = read_json(path)
    except ValueError as error:
        raise DamagedError(f"{path} is not JSON ({error}); mend the file or remove it") from error
    if not isinstance(found, list):
        raise DamagedError(f"{path} is no JSON list; mend the file or remove it")
    return found


def write_map(results: Path, name: str, points: "pd.DataFrame", separation: "pd.DataFrame") -> None:
    """Write the coordinates of a map (tsne, pca) and how well its classes separate."""
    folder = results / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{name}.csv", to_safe_csv(points))
    write_text(folder / f"{name}_separation.csv", to_safe_csv(separation))


def write_thumbnails(dataset: Dataset, results: Path, rows: Iterable[int]) -> dict[int, str]:
    """Make a picture of each video below `results`; returns row -> its path from there.

    Pictures that are there are kept. A video that cannot be read gets none, with a line in the log.
    """
    paths = dataset.videos()["path"].to_numpy()
    written, failed = {}, []
    for row in map(int, rows):
        place = thumbnail_path(dataset.name, row)
        try:
            draw_picture(dataset, paths[row], results / place)
            written[row] = place
        except (DecodeError, StoreError) as error:
            failed.append(str(error))
    if failed:
        logger.warning("%d videos have no picture (first: %s)", len(failed), failed[0])
    return written


def draw_picture(dataset: Dataset, path: str, target: Path, seconds: float | None = None) -> None:
    """Draw the video at `path` of a dataset, its middle or a moment; a picture that is there stays.

    Raises DecodeError for a video that cannot be read, StoreError for a path that is none.
    """
    # PyAV and Pillow: only where there is something to draw.
    from vifistore.frames.thumbnails import write_thumbnail

    if not target.is_file():
        write_thumbnail(video_file(dataset, path), target, seconds)


def write_provenance(store: Store, results: Path) -> None:
    """Write what the store's numbers were made from: checkpoints, recipes, versions."""
    recipes = [
        {"dataset": dataset.name, "id": one.id, "names": one.names, "recipe": one.recipe}
        for dataset in map(store.dataset, store.datasets())
        for one in map(dataset.features, dataset.feature_ids())
    ]
    document = {"checkpoints": lineage(store), "recipes": recipes, "versions": versions()}
    write_artefact(results, "provenance", document)


def write_throughput(store: Store, results: Path) -> None:
    """Write how fast the newest extractions into the store were, as this machine knows them."""
    runs = [run for run in kept_runs(store.cache_folder) if run.get("frames_encoded")]
    records = [
        {name: run.get(name) for name in _RUN_FACTS}
        | {
            f"{stage} (%)": round(100 * run[f"{stage}_share"], 1)
            for stage in (*STAGES, "idle")
            if f"{stage}_share" in run
        }
        for run in runs[-_MAX_RUNS:]
    ]
    write_artefact(results, "throughput", records)


def record_command(results: Path) -> None:
    """Add the command line of this process to those that made the results, once."""
    update_artefact(results, "commands", lambda known: [*dict.fromkeys([*known, command_line()])])


def quarantined_videos(datasets: Iterable[Dataset]) -> list[dict]:
    """Every quarantined video of these datasets, once per feature set: where, why, how often."""
    found = []
    for dataset in datasets:
        videos = dataset.videos()
        for features in map(dataset.features, dataset.feature_ids()):
            decoder = features.source_recipe.get("decoder", "")
            for entry in features.quarantine():
                place = videos.iloc[entry["row"]]
                found.append(
                    {
                        "dataset": dataset.name,
                        "features": features.id,
                        "id": place["id"],
                        "path": place["path"],
                        "decoder": decoder,
                        **entry,
                    }
                )
    return found
