"""Follow a folder of checkpoints: extract each one that appears, while training goes on.

What is done is in the store, and nowhere else. A follower that is killed and started again goes
through the folder from the start; a record beside the store spares it to load the checkpoints of
which everything is there (`follow_record.py`).
"""

import contextlib
import gc
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from vifistore.cluster.on_ray import RayExtraction
from vifistore.cluster.ray_settings import RaySettings
from vifistore.errors import LockedError, ModelError, UsageError
from vifistore.extract.extract_settings import EncodeSettings, ExtractSettings
from vifistore.extract.job import JobReport, run_job
from vifistore.extract.prepare import prepare
from vifistore.extract.recipes import choose_device
from vifistore.extract.trainer_frames import trainer_of
from vifistore.following.follow_folder import CheckpointFolder, Signature
from vifistore.following.follow_record import FollowRecord, Outcome, outcome_of
from vifistore.following.follow_settings import FollowSettings
from vifistore.frames.decoders.decoding import check_decoder
from vifistore.models.checkpoint_files import read_header
from vifistore.models.plugins.plugin_names import find_entry, require_allowed
from vifistore.models.registry import model_config
from vifistore.models.towers import load_model
from vifistore.store.dataset import Dataset

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What became of one checkpoint file."""

    path: Path
    digest: str
    """Of the checkpoint; empty for a file that is none."""
    report: JobReport | None
    """What the extraction did; None for a file that is skipped."""
    error: str
    """Why it is skipped, in one line; else empty."""
    outcome: Outcome | None = None
    """What to remember of it; None where nothing is new, or something is missing yet."""


def follow(
    dataset: Dataset,
    folder: Path,
    encode: EncodeSettings,
    settings: FollowSettings,
    where: RaySettings | None = None,
) -> Iterator[Followed]:
    """Extract every checkpoint of a folder, as it appears, and yield what became of it.

    Videos are encoded here, or on the cluster that `where` names, whose machines have to see the
    folder under the same name. Ends as `settings` says, else never. A file that cannot be loaded is
    skipped, and looked at again when it changes. One that another process is extracting is waited
    for.

    Raises
    ------
    UnknownNameError
        If there is no such dataset, model or decoder.
    UsageError
        If the device is not there, or there is no such folder and nothing to wait for; and where no
        cluster answers, or none of its machines has room for an encoder.
    StoreError
        If the store is damaged, or its disk is full. What was finished is kept.
    """
    _check(folder, encode, settings)
    with RayExtraction.opened(where) if where else contextlib.nullcontext() as cluster:
        yield from _follow(dataset, folder, encode, settings, cluster)


def _follow(
    dataset: Dataset,
    folder: Path,
    encode: EncodeSettings,
    settings: FollowSettings,
    cluster: RayExtraction | None,
) -> Iterator[Followed]:
    checkpoints = CheckpointFolder(folder)
    record = FollowRecord(dataset, encode, settings)
    while True:
        # Asked before looking: what was written last is then among what is found.
        is_last_look = settings.once or _has_ended(folder, settings)
        for path in checkpoints.look():
            signature = checkpoints.signature(path)
            try:
                followed = _recalled(record, path, signature) or _extract(
                    dataset, path, encode, settings, cluster
                )
            except LockedError as error:
                logger.info("%s waits: %s", path.name, error)
                continue
            is_unchanged = checkpoints.finish(path)
            if is_unchanged and followed.outcome:
                record.keep(path, signature, followed.outcome)
            # What changed or went meanwhile says nothing by failing.
            if is_unchanged or followed.report:
                yield followed
        if is_last_look and not checkpoints.has_waiting:
            return
        time.sleep(settings.poll)


def _check(folder: Path, encode: EncodeSettings, settings: FollowSettings) -> None:
    """Refuse what would fail for every file alike; raises as `follow` does."""
    choose_device(encode.device)
    check_decoder(encode.decoder)
    if settings.model:
        _require_model(settings.model)
    if folder.is_dir():
        return
    if settings.once or folder.exists():
        raise UsageError(f"there is no folder {folder}; give the folder of the checkpoints")
    logger.info("waiting for %s, which is not there yet", folder)


def _recalled(record: FollowRecord, path: Path, signature: Signature) -> Followed | None:
    """What an earlier follower made of a file, if nothing of it is missing."""
    recalled = record.find(path, signature)
    if recalled is None:
        return None
    outcome, report = recalled
    return Followed(path=path, digest=outcome.digest, report=report, error="")


def _release(device: str) -> None:
    """Give the GPU's memory back: what trains beside needs it, and the next checkpoint may be long.

    A compiled tower and its recorded graphs would stay until the next is compiled.
    """
    if choose_device(device).type == "cuda":
        torch.compiler.reset()
        gc.collect()
        torch.cuda.empty_cache()


def _require_model(model: str) -> None:
    """Raise UnknownNameError for a model that there is not, so that no folder is waited for."""
    if find_entry(model) is None:
        model_config(model)


def _has_ended(folder: Path, settings: FollowSettings) -> bool:
    return settings.until_done and (
        (folder / "finished.json").exists() or not _is_running(settings.trainer)
    )


def _is_running(process: int) -> bool:
    """Whether a process of this machine runs; 0 stands for one that nobody knows the end of."""
    if not process:
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _has_exited(process)


def _has_exited(process: int) -> bool:
    """Whether it has ended, and its parent has not taken note; known on Linux alone."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    # `PID (NAME) STATE ...`, where the name may hold anything.
    return status.rpartition(")")[2].split()[0] in ("Z", "X")


def _extract(
    dataset: Dataset,
    path: Path,
    encode: EncodeSettings,
    settings: FollowSettings,
    cluster: RayExtraction | None,
) -> Followed:
    """Raises LockedError if another process is writing the same feature set."""
    try:
        weights = settings.weights
        loaded = load_model(_model_of(path, settings.model), str(path), weights=weights)
        of_file = {"model": loaded.model, "pretrained": str(path), "weights": weights}
        extraction = ExtractSettings(**vars(encode), **of_file)
        # A run may be made again, with other settings, in the folder of an older one.
        if cluster:
            job, report = cluster.run(dataset, extraction, loaded=loaded, must_be_free=False)
        else:
            job = prepare(dataset, extraction, loaded, must_be_free=False)
            report = run_job(job, trainer=trainer_of(path.parent, dataset, encode))
        if report.num_todo:
            told = f"{report.num_todo} videos of {report.name} are being encoded by other processes"
            raise LockedError(told)
    except (ModelError, UsageError) as error:
        return Followed(path=path, digest="", report=None, error=str(error))
    finally:
        _release(encode.device)
    outcome = outcome_of(job.loaded, encode, report) if report.sealed else None
    return Followed(path=path, digest=job.loaded.digest, report=report, error="", outcome=outcome)


def _model_of(path: Path, model: str) -> str:
    header = read_header(path)
    if header is None and not model:
        raise UsageError(f"{path} does not say which model it is; name it with --model")
    if header is None:
        return model
    require_allowed(header.model)
    return header.model
