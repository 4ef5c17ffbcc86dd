"""One job of extraction: load a checkpoint, record it, encode a dataset, name the result."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vifistore.errors import TextTowerError, UsageError
from vifistore.extract.class_texts import dataset_class_lists, ensure_texts
from vifistore.extract.cosines_beside import CosinesBeside
from vifistore.extract.cosines_from_tokens import ensure_cosines
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.origin import not_as_trained
from vifistore.extract.pipeline import ExtractReport, rows_to_encode, run_rows
from vifistore.extract.plan import plan, rows_to_do
from vifistore.extract.prepare import Job, prepare
from vifistore.extract.repair import Repair, compare_with_seal, earlier_attempts, start_repair
from vifistore.extract.row_sources import ALL, Wanted
from vifistore.extract.run_figures import machine_provenance
from vifistore.extract.taking_over import TakingOver
from vifistore.extract.trainer_frames import TrainerFrames
from vifistore.models.encoders import LoadedModel
from vifistore.scanning.presence import Presence
from vifistore.store.claims.claiming import open_claims
from vifistore.store.dataset import Dataset
from vifistore.store.key_value.disk import clear_disk_errors
from vifistore.store.names import set_name
from vifistore.store.similarity_costs import without_tokens
from vifistore.store.writer import FeatureWriter

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
    first: range | None = None,
    limit: int | None = None,
    loaded: LoadedModel | None = None,
    retry: bool = False,
    repair: bool = False,
    trainer: TrainerFrames | None = None,
) -> JobReport:
    """Encode the videos of a dataset that are still to do, and the texts of its classes.

    Processes that do so at once share the blocks. Where claims keep them apart, blocks of one that
    was killed are waited for until its claims expire, and done here.

    Parameters
    ----------
    blocks
        Only rows of these blocks.
    first
        Blocks to begin with; the others follow, as far as nobody else has them.
    limit
        At most so many rows.
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
        If another process is writing one of the blocks that are gone over again.
    StoreError
        If the disk is full or read-only, or most of the videos are not where they were scanned.
        What was finished is kept.
    """
    job = prepare(dataset, settings, loaded)
    waits = limit is None and not (retry or repair)
    wanted = Wanted(blocks=blocks, first=first, limit=limit, waits=waits)
    return run_job(job, wanted, retry=retry, repair=repair, trainer=trainer)


def run_job(
    job: Job,
    wanted: Wanted = ALL,
    *,
    retry: bool = False,
    repair: bool = False,
    trainer: TrainerFrames | None = None,
) -> JobReport:
    """Do what was prepared; as `extract_dataset`, and raises as that does."""
    dataset, feature_id = job.dataset, job.recipe.id
    if retry or repair:
        require_set(job)
    # Before all that is written: what is not there is no reason to quarantine all of it.
    if retry or repair or rows_to_do(dataset, feature_id):
        Presence(dataset).require()
    with clear_disk_errors(dataset.store.path):
        if not repair:
            return _run(job, wanted, retry=retry, trainer=trainer)
        # Before all else that is written, so that a run that is refused leaves no trace.
        repairing = start_repair(dataset, feature_id)
        try:
            return _run(job, wanted, repairing=repairing)
        finally:
            repairing.claims.release()


def _run(
    job: Job,
    wanted: Wanted,
    *,
    retry: bool = False,
    repairing: Repair | None = None,
    trainer: TrainerFrames | None = None,
) -> JobReport:
    dataset, feature_id = job.dataset, job.recipe.id
    writer = begin_set(job, "repair" if repairing else "retry" if retry else "extract")
    attempts = np.zeros(job.num_videos, np.uint8)
    if retry:
        attempts = earlier_attempts(dataset, feature_id)
    elif repairing:
        attempts = repairing.attempts
    cosines = CosinesBeside(job, writer) if job.loaded.video_texts else None

    def encode(beside: Callable[[], None] = lambda: None) -> ExtractReport:
        with rows_to_encode(writer, wanted, retry=retry, at_once=bool(repairing)) as source:
            told = {"trainer": trainer, "cosines": cosines}
            return run_rows(job, writer, source, attempts, beside=beside, **told)

    try:
        report = encode(lambda: _begin_texts(job, cosines))
        if wanted.waits:
            report = _taken_over(writer, wanted, report, encode)
        lacking = cosines.seal(dataset.features(feature_id)) if cosines and report.sealed else ()
    finally:
        writer.release()
    return end_set(job, writer, report, lacking, repairing)


def require_set(job: Job) -> None:
    """Raise UsageError where there is no set of the recipe to go over again."""
    if job.recipe.id not in job.dataset.feature_ids():
        raise UsageError(
            f"{job.dataset.name} has no feature set of this recipe ({job.recipe.id}) to go over "
            "again; run vifi extract without --retry and --repair"
        )


def _taken_over(
    writer: FeatureWriter,
    wanted: Wanted,
    report: ExtractReport,
    encode: Callable[[], ExtractReport],
) -> ExtractReport:
    """The report of a run that also does what processes that were killed had begun."""
    over = TakingOver(writer.claims)
    while not report.sealed:
        blocks = [b for b in writer.todo_blocks() if wanted.blocks is None or b in wanted.blocks]
        if not over.wait(blocks):
            break
        report = report.gone_on_with(encode())
    return report


def begin_set(job: Job, purpose: str) -> FeatureWriter:
    """Plan the set in the store, and give it its name; see `new_writer`."""
    job.dataset.store.add_checkpoint(job.loaded.record(), job.loaded.identity)
    writer = new_writer(job, purpose)
    set_name(job.dataset, job.name, job.recipe.id, job.loaded.digest, force=False)
    return writer


def end_set(
    job: Job,
    writer: FeatureWriter,
    report: ExtractReport,
    lacking: Sequence[str] = (),
    repairing: Repair | None = None,
) -> JobReport:
    """Tell of a repair that has ended, make cosines with the texts that are `lacking`, and report.

    No block is claimed any more.
    """
    dataset = job.dataset
    if repairing:
        repairing.finish()
    else:
        # This run may have finished a repair that was stopped.
        claims = open_claims(dataset.backend, dataset.name, job.recipe.id)
        compare_with_seal(writer.path, claims)
    if lacking:
        _complete(job, lacking)
    counts = dataset.features(job.name).counts(as_sealed=True)
    return JobReport(
        **vars(report),
        name=job.name,
        num_quarantined=counts["quarantined"],
        num_todo=counts["todo"],
    )


def new_writer(job: Job, purpose: str) -> FeatureWriter:
    """The set in the store; `purpose` is kept in the provenance of the blocks of this run."""
    provenance = {**machine_provenance(job.device), "purpose": purpose}
    if differing := not_as_trained(job.loaded, job.recipe):
        provenance["not_as_trained"] = differing
    of_set = (job.dataset, job.recipe.as_dict(), job.shape, provenance)
    return FeatureWriter(*of_set, further=job.further, by_claims=job.settings.claims)


def _begin_texts(job: Job, cosines: CosinesBeside | None) -> None:
    """Encode the class names, and get ready for cosines with them where they follow the video."""
    texts = texts_of(job)
    if cosines:
        cosines.begin(texts)


def _complete(job: Job, texts: Sequence[str]) -> None:
    """Make cosines with classes that came after the videos were encoded, or say what that takes."""
    features = job.dataset.features(job.name)
    if ensure_cosines(features, job.loaded, texts, job.settings.device):
        return
    checkpoint = job.dataset.store.checkpoint(job.loaded.digest)
    logger.warning(
        "%s has no cosines with %d class lists that came later: %s",
        *(job.name, len(texts), without_tokens(features, checkpoint)),
    )


def texts_of(job: Job) -> list[str]:
    """Encode the class names, where that can be done here: pictures need no texts. Text sets."""
    made: list[str] = []
    try:
        for class_names in dataset_class_lists(job.dataset):
            prompts = (job.settings.template, job.settings.class_names)
            made.append(ensure_texts(job.dataset.store, job.loaded, class_names, *prompts))
    except TextTowerError as error:
        logger.warning(
            "no text embeddings of %s, pictures are encoded: %s", job.dataset.name, error
        )
    return made


def plan_dataset(
    dataset: Dataset,
    settings: ExtractSettings,
    *,
    blocks: range | None = None,
    limit: int | None = None,
) -> dict:
    """Say what `extract_dataset` would do, without doing it; see `plan.plan`.

    Raises as `prepare` does, and StoreError if the videos are gone.
    """
    return plan(prepare(dataset, settings), blocks=blocks, limit=limit)
