"""Follow a folder of checkpoints: extract each one that appears, while training goes on.

Nothing is remembered outside the store. A follower that is killed and started again goes through
the folder from the start: what a checkpoint has in the store already costs loading its weights.
"""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vifistore.errors import LockedError, ModelError, UsageError
from vifistore.extract.follow_folder import CheckpointFolder
from vifistore.extract.follow_settings import FollowSettings
from vifistore.extract.job import JobReport, extract_dataset
from vifistore.extract.recipes import choose_device, default_name
from vifistore.extract.settings import EncodeSettings, ExtractSettings
from vifistore.frames.decoding import check_decoder
from vifistore.models.checkpoints import read_header
from vifistore.models.text import check_templates
from vifistore.models.towers import LoadedModel, load_model
from vifistore.store.names import read_names
from vifistore.store.store import Store

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


def follow(
    store: Store,
    dataset: str,
    folder: Path,
    encode: EncodeSettings,
    settings: FollowSettings,
) -> Iterator[Followed]:
    """Extract every checkpoint of a folder, as it appears, and yield what became of it.

    Ends as `settings` says, else never. A file that cannot be loaded is skipped, and looked at
    again when it changes. One that another process is extracting is waited for.

    Raises
    ------
    UnknownNameError
        If there is no such dataset or decoder.
    UsageError
        If the device is not there, or there is no such folder and nothing to wait for.
    StoreError
        If the store is damaged, or its disk is full. What was finished is kept.
    """
    store.videos(dataset)
    choose_device(encode.device)
    check_decoder(encode.decoder)
    check_templates(encode.template)
    if settings.once and not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; give the folder of the checkpoints")
    checkpoints = CheckpointFolder(folder)
    while True:
        # Asked before looking: what was written last is then among what is found.
        is_last_look = settings.once or _has_ended(folder, settings)
        for path in checkpoints.look():
            try:
                followed = _extract(store, dataset, path, encode, settings.model)
            except LockedError as error:
                logger.info("%s waits: %s", path.name, error)
                continue
            # What changed or went meanwhile says nothing by failing.
            if checkpoints.finish(path) or followed.report:
                yield followed
        if is_last_look and not checkpoints.has_waiting:
            return
        time.sleep(settings.poll)


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
    store: Store, dataset: str, path: Path, encode: EncodeSettings, model: str
) -> Followed:
    """Raises LockedError if another process is writing the same feature set."""
    try:
        loaded = load_model(_model_of(path, model), str(path))
        wanted = ExtractSettings(**vars(encode), model=loaded.model, pretrained=str(path))
        wanted = replace(wanted, name=_free_name(store, dataset, wanted, loaded))
        report = extract_dataset(store, dataset, wanted, loaded=loaded)
    except (ModelError, UsageError) as error:
        return Followed(path=path, digest="", report=None, error=str(error))
    return Followed(path=path, digest=loaded.digest, report=report, error="")


def _model_of(path: Path, model: str) -> str:
    header = read_header(path)
    if header is None and not model:
        raise UsageError(f"{path} does not say which model it is; name it with --model")
    return header.model if header else model


def _free_name(store: Store, dataset: str, settings: ExtractSettings, loaded: LoadedModel) -> str:
    """The default name; with the digest behind it where another checkpoint has that already.

    So it is when a run is made again, with other settings, in the folder of an older one.
    """
    name = default_name(settings, loaded)
    taken = {taken.name: taken.checkpoint for taken in read_names(store.backend, dataset)}
    return name if taken.get(name, loaded.digest) == loaded.digest else f"{name}.{loaded.digest}"
