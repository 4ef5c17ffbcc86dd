"""One job of extraction: load a checkpoint, record it, encode a dataset, name the result."""

import logging
from dataclasses import dataclass, replace

from vifistore.errors import TextTowerError, UsageError
from vifistore.extract.class_texts import cleaning_field, dataset_class_lists, ensure_texts
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.origin import say_origin
from vifistore.extract.pipeline import Extraction, ExtractReport
from vifistore.extract.plan import plan, rows_to_do
from vifistore.extract.recipes import resolve_recipe, settled
from vifistore.extract.repair import Repair, compare_with_seal, earlier_attempts, start_repair
from vifistore.extract.set_names import choose_name
from vifistore.extract.trainer_frames import TrainerFrames
from vifistore.models.towers import LoadedModel, load_model
from vifistore.scanning.presence import Presence
from vifistore.store.dataset import Dataset
from vifistore.store.disk import clear_disk_errors
from vifistore.store.locks import BlockLocks
from vifistore.store.names import require_free, set_name
from vifistore.store.recipe import Recipe

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class JobReport(ExtractReport):
    """What an extraction did, and what its result is called."""

    name: str
    num_quarantined: int
    """Videos quarantined in the whole set."""
    num_todo: int = 0
    """Videos of the whole set that are neither encoded nor quarantined."""


def extract_dataset(
    dataset: Dataset,
    settings: ExtractSettings,
    *,
    blocks: range | None = None,
    limit: int | None = None,
    loaded: LoadedModel | None = None,
    retry: bool = False,
    repair: bool = False,
    trainer: TrainerFrames | None = None,
) -> JobReport:
    """Encode the videos of a dataset that are still to do, and the texts of its classes.

    Parameters
    ----------
    retry
        Try the quarantined videos again instead; a sealed set is sealed again.
    repair
        Encode the damaged blocks of a feature set again instead.
    trainer
        What a trainer keeps in the same frame cache: a video is decoded for both.

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
        If the disk is full or read-only, or most of the videos are not where they were scanned.
        What was finished is kept.
    """
    job = prepare(dataset, settings, loaded)
    if retry or repair:
        _require_set(job)
    # Before all that is written: what is not there is no reason to quarantine all of it.
    if retry or repair or rows_to_do(dataset, job.recipe.id, dataset.num_videos):
        Presence(dataset).require()
    with clear_disk_errors(dataset.store.path):
        if not repair:
            return _run(job, blocks=blocks, limit=limit, retry=retry, trainer=trainer)
        # Before all else that is written, so that a run that is refused leaves no trace.
        repairing = start_repair(dataset, job.recipe.id)
        try:
            return _run(job, blocks=blocks, limit=limit, repairing=repairing)
        finally:
            repairing.locks.release()


@dataclass(frozen=True, kw_only=True)
class Job:
    """An extraction that nothing speaks against, before anything is written."""

    dataset: Dataset
    settings: ExtractSettings
    """With nothing left open."""
    loaded: LoadedModel
    recipe: Recipe
    name: str
    """What the feature set will be called."""


def prepare(dataset: Dataset, settings: ExtractSettings, loaded: LoadedModel | None = None) -> Job:
    """Load the model and settle what is left open; raises as `extract_dataset` does."""
    loaded = loaded or load_model(settings.model, settings.pretrained, weights=settings.weights)
    asked, settings = settings, settled(settings, loaded)
    settings = continue_precision(dataset, settings, loaded)
    recipe = resolve_recipe(settings, loaded)
    say_origin(asked, settings, loaded, recipe, dataset.class_names())
    for class_names in dataset_class_lists(dataset):
        cleaning_field(class_names, settings.class_names)
    name = settings.name or choose_name(dataset, settings, loaded, lambda: recipe.id)
    # Refused before anything is written, so that a wrong --name leaves no trace.
    require_free(dataset, name, recipe.id, loaded.digest)
    return Job(
        dataset=dataset,
        settings=settings,
        loaded=loaded,
        recipe=recipe,
        name=name,
    )


def _require_set(job: Job) -> None:
    if job.recipe.id not in job.dataset.feature_ids():
        raise UsageError(
            f"{job.dataset.name} has no feature set of this recipe ({job.recipe.id}) to go over "
            "again; run vifi extract without --retry and --repair"
        )


def _run(
    job: Job,
    *,
    blocks: range | None,
    limit: int | None,
    retry: bool = False,
    repairing: Repair | None = None,
    trainer: TrainerFrames | None = None,
) -> JobReport:
    dataset, feature_id = job.dataset, job.recipe.id
    dataset.store.add_checkpoint(job.loaded.record(), job.loaded.identity)
    purpose = "repair" if repairing else "retry" if retry else "extract"
    extraction = Extraction(
        dataset, job.settings, job.loaded, retry=retry, purpose=purpose, trainer=trainer
    )
    set_name(dataset, job.name, feature_id, job.loaded.digest, force=False)
    _ensure_texts(job)
    attempts = repairing.attempts if repairing else None
    if retry:
        attempts = earlier_attempts(dataset, feature_id)
    report = extraction.run(blocks=blocks, limit=limit, attempts=attempts)
    if repairing:
        repairing.finish()
    else:
        # This run may have finished a repair that was stopped.
        locks = BlockLocks(dataset.store.cache_folder, dataset.name, feature_id)
        compare_with_seal(dataset.backend, extraction.writer.path, locks)
    counts = dataset.features(job.name).counts()
    return JobReport(
        **vars(report),
        name=job.name,
        num_quarantined=counts["quarantined"],
        num_todo=counts["todo"],
    )


def _ensure_texts(job: Job) -> None:
    """Encode the class names, where that can be done here: pictures need no texts."""
    try:
        for class_names in dataset_class_lists(job.dataset):
            prompts = (job.settings.template, job.settings.class_names)
            ensure_texts(job.dataset.store, job.loaded, class_names, *prompts)
    except TextTowerError as error:
        logger.warning(
            "no text embeddings of %s, pictures are encoded: %s", job.dataset.name, error
        )


def continue_precision(
    dataset: Dataset, settings: ExtractSettings, loaded: LoadedModel
) -> ExtractSettings:
    """Settle precision `auto` on that of the one feature set that differs in nothing else, else on
    this machine's own.

    Another machine would choose another precision, and begin a second set instead of going on.
    """
    if settings.precision != "auto":
        return settings
    own = resolve_recipe(settings, loaded)
    wanted = {**own.as_dict(), "precision": ""}
    recipes = [dataset.features(name).recipe for name in dataset.feature_ids()]
    found = [r["precision"] for r in recipes if {**r, "precision": ""} == wanted]
    if len(found) != 1:
        logger.info("precision %s, chosen for this machine", own.precision)
        return replace(settings, precision=own.precision)
    logger.info("precision %s, that of the feature set this goes on with", found[0])
    return replace(settings, precision=found[0])


def plan_dataset(
    dataset: Dataset,
    settings: ExtractSettings,
    *,
    blocks: range | None = None,
    limit: int | None = None,
) -> dict:
    """Say what `extract_dataset` would do, without doing it; see `plan.plan`."""
    job = prepare(dataset, settings)
    return plan(dataset, job.settings, job.loaded, job.recipe, blocks=blocks, limit=limit)
