"""What a results folder tells of the store that its numbers come from."""

from collections.abc import Sequence
from pathlib import Path

from harness.results.json_artefacts import (
    Origin,
    OriginCheckpoint,
    OriginRecipe,
    Quarantined,
    Throughput,
    add_commands,
)
from harness.row_provenance import versions
from vifistore.extract.clock import STAGES
from vifistore.extract.run_figures import kept_runs
from vifistore.store.features import Features
from vifistore.store.info import lineage
from vifistore.store.provenance import command_line
from vifistore.store.store import Store

# What the page tells of an extraction, besides where its time went, and of how many.
_RUN_FACTS = (
    *("time", "dataset", "id", "model", "device", "precision", "encoded", "frames_encoded"),
    *("seconds", "videos_per_second", "frames_per_second", "peak_mebibytes"),
)
_MAX_RUNS = 50


def write_provenance(store: Store, results: Path) -> None:
    """Write what the store's numbers were made from: checkpoints, recipes, versions."""
    recipes = tuple(
        OriginRecipe(
            dataset=dataset.name,
            id=features.id,
            names=tuple(features.names),
            recipe=features.recipe,
        )
        for dataset in map(store.dataset, store.datasets())
        for features in map(dataset.features, dataset.feature_ids())
    )
    checkpoints = tuple(map(OriginCheckpoint.from_dict, lineage(store)))
    Origin(checkpoints=checkpoints, recipes=recipes, versions=versions()).write(results)


def write_throughput(store: Store, results: Path) -> None:
    """Write how fast the newest extractions into the store were, as this machine knows them."""
    runs = [run for run in kept_runs(store.cache_folder) if run.get("frames_encoded")]
    Throughput.write_all(results, [Throughput(further=_facts(run)) for run in runs[-_MAX_RUNS:]])


def _facts(run: dict) -> dict:
    shares = {
        f"{stage} (%)": round(100 * run[f"{stage}_share"], 1)
        for stage in (*STAGES, "idle")
        if f"{stage}_share" in run
    }
    return {name: run.get(name) for name in _RUN_FACTS} | shares


def record_command(results: Path) -> None:
    """Add the command line of this process to those that made the results, once."""
    add_commands(results, [command_line()])


def write_quarantine(results: Path, sets: Sequence[Features]) -> None:
    """The quarantined videos of feature sets, one file each; none for a set that has none now."""
    for features in {features.id: features for features in sets}.values():
        entries = _quarantined_of(features)
        Quarantined.write_set(results, features.dataset.name, features.id, entries)


def quarantined_videos(store: Store) -> list[Quarantined]:
    """Every quarantined video of a store, once per feature set: where, why, how often."""
    return [
        entry
        for dataset in map(store.dataset, store.datasets())
        for features in map(dataset.features, dataset.feature_ids())
        for entry in _quarantined_of(features)
    ]


def _quarantined_of(features: Features) -> list[Quarantined]:
    if not (found := features.quarantine()):
        return []
    columns = features.dataset.columns_at_once("id", "path")
    ids, paths = columns["id"].tolist(), columns["path"].tolist()
    return [
        Quarantined(
            dataset=features.dataset.name,
            features=features.id,
            id=ids[entry["row"]],
            path=paths[entry["row"]],
            decoder=features.source_recipe.get("decoder", ""),
            reason=entry["reason"],
            message=entry["message"],
            further={"row": entry["row"], "attempts": entry["attempts"]},
        )
        for entry in found
    ]
