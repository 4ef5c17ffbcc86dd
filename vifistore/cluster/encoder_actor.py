"""One encoder of a cluster: runs the extraction on the pieces that a driver gives it.

Nothing here knows the engine: the driver makes an actor of it. It is asked in its main thread, and
works in another, which lasts as long as it: torch's CUDA graphs, and much of what it keeps beside
them, belong to the thread that made them.
"""

import os
import signal
import socket
import threading
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import FrameType

import numpy as np
import torch

from vifistore.errors import LockedError, VifiError, first_line
from vifistore.extract.clock import Clock
from vifistore.extract.cosines_beside import CosinesBeside
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.given_rows import GivenRows, Piece
from vifistore.extract.job import new_writer
from vifistore.extract.pipeline import encode_rows, told_of_memory
from vifistore.extract.prepare import Job, prepare
from vifistore.extract.run_figures import device_name
from vifistore.store import open_store
from vifistore.store.provenance import package_versions
from vifistore.store.schema import TODO

_PACKAGE = "vifistore"


@dataclass(frozen=True, kw_only=True)
class EncoderTask:
    """What all encoders of a job are told."""

    store: str
    dataset: str
    settings: ExtractSettings


@dataclass(frozen=True, kw_only=True)
class EncoderStart:
    """What encoders are told once the set is planned."""

    num_videos: int
    """Of the set."""
    texts: tuple[str, ...] = ()
    """Text sets, where texts follow the video."""
    purpose: str = "extract"
    """Kept in the provenance of blocks."""
    attempts: np.ndarray | None = None
    """How often each video was tried before, uint8 [video]; None where none was."""


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What a node would encode with."""

    host: str
    process: int
    device: str
    recipe: dict
    checkpoint: str
    """Digest of the whole checkpoint."""
    refusal: str = ""
    """Why it cannot encode; else empty."""
    version: str = ""
    """Of vifistore; empty of one that does not tell it."""


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """What an encoder has to say."""

    settled: list[Piece] = field(default_factory=list)
    """Written to the store."""
    found_done: list[Piece] = field(default_factory=list)
    """In the store already when their turn came."""
    elsewhere: list[Piece] = field(default_factory=list)
    """Of blocks that other processes have."""
    given_back: list[Piece] = field(default_factory=list)
    """Not begun, and not going to be."""
    num_waiting: int = 0
    """How many pieces it has that have not begun."""
    counts: dict[str, int] = field(default_factory=dict)
    """Videos by kind of result, since it began."""
    error: VifiError | None = None
    """What ends the whole job."""
    failure: str = ""
    """Why it cannot go on; another may."""
    refusal: str = ""
    """Why nothing can be encoded on its machine, through no fault of what it had."""
    was_overtaken: bool = False
    """Whether that is because its claims had expired, which is no fault of what it had."""
    is_leaving: bool = False
    """Whether it was told to end, by its machine or by the driver."""


def own_version() -> str:
    """The version of vifistore in this process; empty where it is not installed."""
    return package_versions([_PACKAGE]).get(_PACKAGE, "")


class EncoderActor:
    """Encodes pieces of one feature set."""

    def __init__(self, task: EncoderTask) -> None:
        self._task = task
        self._job: Job | None = None
        self._source: GivenRows | None = None
        self._given = threading.Event()
        self._counts: Counter[str] = Counter()
        self._error: VifiError | None = None
        self._failure, self._refusal, self._was_overtaken = "", "", False
        self._is_leaving = False
        # A machine that is about to go says so.
        signal.signal(signal.SIGTERM, self._leave)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self._is_leaving = True

    def facts(self) -> NodeFacts:
        """Load the model, and say what it is here."""
        where = {"host": socket.gethostname(), "process": os.getpid()}
        told = {**where, "version": own_version()}
        try:
            dataset = open_store(self._task.store, mode="a").dataset(self._task.dataset)
            # By its name a set of other weights would be refused for the wrong reason.
            unnamed = replace(self._task.settings, name="")
            job = self._job = prepare(dataset, unnamed, must_be_free=False)
        except VifiError as error:
            return NodeFacts(**told, device="", recipe={}, checkpoint="", refusal=str(error))
        except Exception as error:  # noqa: BLE001 - told to the driver, which leaves this machine out
            why = f"{type(error).__name__}: {first_line(error)}"
            return NodeFacts(**told, device="", recipe={}, checkpoint="", refusal=why)
        return NodeFacts(
            **told,
            device=device_name(job.device),
            recipe=job.recipe.as_dict(),
            checkpoint=job.loaded.digest,
        )

    def begin(self, start: EncoderStart) -> None:
        """Get ready for pieces."""
        assert self._job is not None, "it was asked for facts"
        job = self._job = replace(self._job, num_videos=start.num_videos)
        self._writer = new_writer(job, start.purpose)
        none = np.zeros(start.num_videos, np.uint8)
        self._attempts = none if start.attempts is None else start.attempts
        self._cosines = CosinesBeside(job, self._writer) if job.loaded.video_texts else None
        if self._cosines:
            self._cosines.begin(start.texts)
        # Of ten million videos a list would take 400 MB.
        planned = array("q", np.flatnonzero(self._writer.status == TODO).tobytes())
        self._source = GivenRows(self._writer, planned)
        threading.Thread(target=self._work, args=(self._source,), daemon=True).start()

    def pulse(self, pieces: Sequence[Piece], *, leave: bool = False) -> Pulse:
        """Take pieces, and say how it goes; `leave` has it begin no more."""
        source = self._source
        assert source is not None, "it has begun"
        source.give(pieces)
        self._is_leaving |= leave
        is_stopped = self._is_leaving or self._has_failed
        given_back = source.take_back() if is_stopped else []
        if source.num_waiting:
            self._given.set()
        return Pulse(
            settled=source.settled(),
            found_done=source.found_done(),
            elsewhere=source.elsewhere(),
            given_back=given_back,
            num_waiting=source.num_waiting,
            counts=dict(self._counts),
            error=self._error,
            failure=self._failure,
            refusal=self._refusal,
            was_overtaken=self._was_overtaken,
            is_leaving=self._is_leaving,
        )

    @property
    def _has_failed(self) -> bool:
        return bool(self._error or self._failure or self._refusal)

    def _work(self, source: GivenRows) -> None:
        """Encode what is given whenever there is something, until that fails."""
        while not self._has_failed:
            self._given.wait()
            self._given.clear()
            # What came while others were encoded went with them.
            if source.num_waiting:
                self._encode(source)

    def _encode(self, source: GivenRows) -> None:
        assert self._job is not None, "it was asked for facts"
        shared = (self._counts, Clock(), lambda: None, None, self._cosines)
        try:
            encode_rows(self._job, self._writer, source, self._attempts, *shared)
        except LockedError as error:
            self._failure, self._was_overtaken = str(error), True
        except OSError as error:
            # Its disk is full, or what others see is not mounted, or it may not write there.
            is_told = isinstance(error, VifiError)
            self._refusal = str(error) if is_told else f"{type(error).__name__}: {error}"
        except torch.OutOfMemoryError:
            self._refusal = told_of_memory(self._job.device)
        except VifiError as error:
            # Of a kind that is made of its words alone, as it is on its way to the driver.
            kind = next(kind for kind in type(error).__mro__ if "__init__" not in vars(kind))
            self._error = kind(str(error))
        except BaseException as error:  # noqa: BLE001 - told to the driver, which replaces this one
            self._failure = f"{type(error).__name__}: {first_line(error)}"
