"""One job of extraction: load a checkpoint, record it, encode a dataset, name the result."""

import shutil
from dataclasses import asdict, dataclass

from vifistore.extract.pipeline import Extraction, ExtractReport
from vifistore.extract.recipes import default_name, resolve_recipe
from vifistore.extract.settings import ExtractSettings
from vifistore.extract.texts import dataset_class_lists, ensure_texts
from vifistore.models.towers import LoadedModel, load_model
from vifistore.store.checkpoints import register_checkpoint
from vifistore.store.features import Features
from vifistore.store.names import require_free, set_name
from vifistore.store.store import Store


@dataclass(frozen=True, kw_only=True)
class JobReport(ExtractReport):
    """What an extraction did, and what its result is called."""

    name: str
    num_quarantined: int
    """Videos quarantined in the whole set."""


def extract_dataset(
    store: Store,
    dataset: str,
    settings: ExtractSettings,
    *,
    blocks: range | None = None,
    limit: int | None = None,
    loaded: LoadedModel | None = None,
) -> JobReport:
    """Encode the videos of a dataset that are still to do, and the texts of its classes.

    Raises
    ------
    UnknownNameError
        If there is no such dataset, model or weights tag.
    UsageError
        If the name already stands for another feature set.
    """
    loaded = loaded or load_model(settings.model, settings.pretrained)
    name = settings.name or default_name(settings, loaded)
    feature_id = resolve_recipe(settings, loaded).id
    # Refused before anything is written, so that a wrong --name leaves no trace.
    require_free(store.backend, dataset, name, feature_id, loaded.digest)
    register_checkpoint(store.backend, loaded.record())
    extraction = Extraction(store, dataset, settings, loaded)
    set_name(store.backend, dataset, name, feature_id, loaded.digest, force=False)
    for class_names in dataset_class_lists(store, dataset):
        ensure_texts(store, loaded, class_names, settings.template)
    report = extraction.run(blocks=blocks, limit=limit)
    counts = Features(store.backend, dataset, name).counts()
    return JobReport(**asdict(report), name=name, num_quarantined=counts["quarantined"])


def plan_dataset(store: Store, dataset: str, settings: ExtractSettings) -> dict:
    """Say what an extraction would do: videos, frames and bytes to write, free disk."""
    loaded = load_model(settings.model, settings.pretrained)
    recipe = resolve_recipe(settings, loaded)
    num_videos = len(store.videos(dataset))
    todo = num_videos
    if recipe.id in store.feature_ids(dataset):
        todo = store.features(dataset, recipe.id).counts()["todo"]
    frames = todo * settings.frames * settings.num_views
    dim = loaded.config["embed_dim"]
    per_view = settings.frames * dim * 2 + dim * 8 + settings.frames * 4
    return {
        "id": recipe.id,
        "videos": num_videos,
        "todo": todo,
        "frames": frames,
        "bytes": todo * settings.num_views * per_view,
        "free_bytes": shutil.disk_usage(store.path).free,
    }
