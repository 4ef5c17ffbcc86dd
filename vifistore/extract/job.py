"""One job of extraction: load a checkpoint, record it, encode a dataset, name the result."""

import logging
import shutil
from dataclasses import asdict, dataclass, replace

from vifistore.errors import UsageError
from vifistore.extract.pipeline import Extraction, ExtractReport
from vifistore.extract.recipes import default_name, resolve_recipe
from vifistore.extract.repair import earlier_attempts, start_repair
from vifistore.extract.settings import ExtractSettings
from vifistore.extract.texts import dataset_class_lists, ensure_texts
from vifistore.models.text import PAPER_TEMPLATE, check_templates
from vifistore.models.towers import LoadedModel, load_model
from vifistore.store.checkpoints import register_checkpoint
from vifistore.store.disk import clear_disk_errors
from vifistore.store.features import Features
from vifistore.store.names import require_free, set_name
from vifistore.store.store import Store

logger = logging.getLogger("vifi")


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
    retry: bool = False,
    repair: bool = False,
) -> JobReport:
    """Encode the videos of a dataset that are still to do, and the texts of its classes.

    Parameters
    ----------
    retry
        Try the quarantined videos again instead; a sealed set is sealed again.
    repair
        Encode the damaged blocks of a feature set again instead.

    Raises
    ------
    UnknownNameError
        If there is no such dataset, model or weights tag.
    UsageError
        If the name already stands for another feature set, or there is nothing to retry in or to
        repair.
    LockedError
        If another process is writing one of the blocks.
    StoreError
        If the disk is full or read-only. What was finished is kept.
    """
    templates = settings.template or (PAPER_TEMPLATE,)
    check_templates(templates)
    loaded = loaded or load_model(settings.model, settings.pretrained)
    settings = continue_precision(store, dataset, settings, loaded)
    name = settings.name or default_name(settings, loaded)
    feature_id = resolve_recipe(settings, loaded).id
    if (retry or repair) and feature_id not in store.feature_ids(dataset):
        raise UsageError(
            f"{dataset} has no feature set of this recipe ({feature_id}) to go over again; run "
            "vifi extract without --retry and --repair"
        )
    # Refused before anything is written, so that a wrong --name leaves no trace.
    require_free(store.backend, dataset, name, feature_id, loaded.digest)
    with clear_disk_errors(store.path):
        register_checkpoint(store.backend, loaded.record())
        repairing = start_repair(store, dataset, feature_id) if repair else None
        purpose = "repair" if repair else "retry" if retry else "extract"
        extraction = Extraction(store, dataset, settings, loaded, retry=retry, purpose=purpose)
        set_name(store.backend, dataset, name, feature_id, loaded.digest, force=False)
        for class_names in dataset_class_lists(store, dataset):
            ensure_texts(store, loaded, class_names, templates)
        attempts = repairing.attempts if repairing else None
        if retry:
            attempts = earlier_attempts(store, dataset, feature_id)
        report = extraction.run(blocks=blocks, limit=limit, attempts=attempts)
        if repairing:
            repairing.finish()
    counts = Features(store.backend, dataset, name).counts()
    return JobReport(**asdict(report), name=name, num_quarantined=counts["quarantined"])


def continue_precision(
    store: Store, dataset: str, settings: ExtractSettings, loaded: LoadedModel
) -> ExtractSettings:
    """Settle precision `auto` on that of the one feature set that differs in nothing else.

    Another machine would choose another precision, and begin a second set instead of going on.
    """
    if settings.precision != "auto":
        return settings
    wanted = {**resolve_recipe(settings, loaded).as_dict(), "precision": ""}
    recipes = [store.features(dataset, name).recipe for name in store.feature_ids(dataset)]
    found = [r["precision"] for r in recipes if {**r, "precision": ""} == wanted]
    if len(found) != 1:
        return settings
    logger.info("precision %s, that of the feature set this goes on with", found[0])
    return replace(settings, precision=found[0])


def plan_dataset(store: Store, dataset: str, settings: ExtractSettings) -> dict:
    """Say what an extraction would do: videos, frames and bytes to write, free disk."""
    loaded = load_model(settings.model, settings.pretrained)
    recipe = resolve_recipe(continue_precision(store, dataset, settings, loaded), loaded)
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
