"""Extraction by the encoders of a Ray cluster: this process plans, gives out blocks and seals.

Which block is whose is said by claims in the store, not here: what a driver has forgotten, and what
an encoder that was cut off still does, does no harm.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from vifistore.cluster.again import Beginning, Begun, begin
from vifistore.cluster.driver import Driver
from vifistore.cluster.encoder_actor import EncoderStart, EncoderTask
from vifistore.cluster.fleet import Fleet
from vifistore.cluster.ray_session import nodes_of, ray_session
from vifistore.cluster.ray_settings import RaySettings
from vifistore.cluster.room import Needs
from vifistore.errors import UsageError, first_few
from vifistore.extract.cosines_beside import CosinesBeside
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.given_rows import Piece
from vifistore.extract.job import JobReport, end_set, texts_of
from vifistore.extract.pipeline import ExtractReport, seal_if_complete
from vifistore.extract.prepare import Job, prepare
from vifistore.extract.row_sources import ALL, Wanted
from vifistore.models.encoders import LoadedModel
from vifistore.scanning.presence import Presence
from vifistore.store.dataset import Dataset
from vifistore.store.key_value.disk import clear_disk_errors
from vifistore.store.schema import BLOCK_SIZE, QUARANTINED, TODO


def extract_on_ray(
    dataset: Dataset,
    settings: ExtractSettings,
    where: RaySettings,
    wanted: Wanted = ALL,
    *,
    beginning: Beginning = begin,
) -> JobReport:
    """As `extract_dataset`, by the encoders of a Ray cluster; `beginning` says what is to do.

    Raises as that does, and UsageError where no cluster answers, or none of its machines has room
    for an encoder, or the same vifistore, weights, decoder and precision.
    """
    with RayExtraction.opened(where) as extraction:
        return extraction.run(dataset, settings, wanted, beginning=beginning)[1]


@dataclass(frozen=True, kw_only=True)
class RayExtraction:
    """Extractions on one cluster, one after the other."""

    ray: Any
    where: RaySettings

    @classmethod
    @contextlib.contextmanager
    def opened(cls, where: RaySettings) -> Iterator[Self]:
        """Connected to the cluster. Raises UsageError where none answers."""
        with ray_session(where.address) as ray:
            yield cls(ray=ray, where=where)

    def run(
        self,
        dataset: Dataset,
        settings: ExtractSettings,
        wanted: Wanted = ALL,
        *,
        beginning: Beginning = begin,
        loaded: LoadedModel | None = None,
        must_be_free: bool = True,
    ) -> tuple[Job, JobReport]:
        """One extraction: as it was prepared, and what it did. See `extract_on_ray`, and `prepare`
        for the last two."""
        Presence(dataset).require()
        ray, where = self.ray, self.where
        needs = _needs(ray, where)
        place = dataset.store.path
        task = EncoderTask(
            store=str(place.resolve() if isinstance(place, Path) else place),
            dataset=dataset.name,
            settings=_for_encoders(settings, needs),
        )
        fleet = Fleet(ray, task, needs, where.actors)
        fleet.require_room()
        try:
            fleet.fit(-(-dataset.num_videos // BLOCK_SIZE))
            precision = settings.precision
            if precision == "auto":
                precision = _precision_there(fleet)
            settings = replace(settings, precision=precision)
            job = prepare(dataset, settings, loaded, must_be_free=must_be_free)
            with clear_disk_errors(dataset.store.path):
                return job, _run(job, fleet, beginning(job, wanted))
        finally:
            fleet.close()


def _needs(ray: Any, where: RaySettings) -> Needs:
    nodes = [node for node in nodes_of(ray) if node.cores >= 1]
    gpus = max((node.gpus for node in nodes), default=0.0)
    if where.cores is not None:
        return Needs(cores=where.cores, gpus=1.0 if gpus else 0.0)
    shares = [node.cores / max(1.0, node.gpus) for node in nodes if node.gpus or not gpus]
    return Needs(cores=max(1, int(min(shares, default=1))), gpus=1.0 if gpus else 0.0)


def _for_encoders(settings: ExtractSettings, needs: Needs) -> ExtractSettings:
    """As many decode workers as an encoder has cores, but for the one that feeds a GPU."""
    workers = settings.workers or max(1, needs.cores - bool(needs.gpus))
    weights = Path(settings.pretrained)
    # They may work in another folder.
    pretrained = str(weights.resolve()) if weights.is_file() else settings.pretrained
    return replace(settings, workers=workers, pretrained=pretrained)


def _precision_there(fleet: Fleet) -> str:
    """The precision that the first encoder would take: this machine may have no GPU."""
    told: dict[str, str] = {}
    while fleet.members:
        fleet.tell_of_room()
        for heard in fleet.hear():
            facts = heard.member.facts
            if facts and facts.recipe:
                return facts.recipe["precision"]
            if facts:
                fleet.refuse(heard.member)
            if why := facts.refusal if facts else heard.death:
                told[heard.member.host] = why
    said = first_few((f"{host}: {why}" for host, why in told.items()), 1, 250)
    raise UsageError(f"no encoder can be started: {said}")


def _run(job: Job, fleet: Fleet, begun: Begun) -> JobReport:
    writer, texts = begun.writer, texts_of(job)
    pieces = pieces_of(begun.status, begun.wanted)
    told = {"purpose": begun.purpose, "attempts": begun.attempts}
    start = EncoderStart(num_videos=job.num_videos, texts=tuple(texts), **told)
    driver = Driver(job, fleet, writer, pieces, start)
    lacking: Sequence[str] = ()
    try:
        driver.work()
        is_sealed = seal_if_complete(writer, [])
        if is_sealed and job.loaded.video_texts:
            cosines = CosinesBeside(job, writer)
            cosines.begin(texts)
            lacking = cosines.seal(job.dataset.features(writer.id))
    finally:
        writer.release()
    counts = sum(driver.lines.counts(fleet.members).values(), Counter[str]())
    is_settled = np.zeros(len(writer.status), bool)
    for piece in driver.settled:
        is_settled[np.array(piece.rows)] = True
    settled = writer.status[is_settled]
    num_quarantined = int((settled == QUARANTINED).sum())
    num_done = len(settled) - num_quarantined
    reused = min(counts["copied"], num_done)
    report = ExtractReport(
        id=writer.id,
        encoded=num_done - reused,
        reused=reused,
        quarantined=num_quarantined,
        sealed=is_sealed,
    )
    return end_set(job, writer, report, lacking, begun.repairing)


def pieces_of(status: np.ndarray, wanted: Wanted) -> list[Piece]:
    """The rows to do of uint8 [video] that are wanted, a piece for each block."""
    pieces: list[Piece] = []
    left = len(status) if wanted.limit is None else wanted.limit
    for start in range(0, len(status), BLOCK_SIZE):
        block = start // BLOCK_SIZE
        if wanted.blocks is not None and block not in wanted.blocks:
            continue
        found = np.flatnonzero(status[start : start + BLOCK_SIZE] == TODO)[:left] + start
        if len(found):
            left -= len(found)
            pieces.append(Piece(block=block, rows=_as_range(found.tolist())))
    return pieces


def _as_range(rows: list[int]) -> range | tuple[int, ...]:
    """The same rows, ascending, as a range where none is left out."""
    whole = range(rows[0], rows[-1] + 1)
    return whole if len(whole) == len(rows) else tuple(rows)
