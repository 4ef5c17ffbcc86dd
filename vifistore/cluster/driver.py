"""Gives out the blocks of a job to encoders, and takes note of what becomes of them."""

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vifistore.cluster.encoder_actor import EncoderStart, NodeFacts, Pulse, own_version
from vifistore.cluster.fleet import Fleet, FleetMember, Heard
from vifistore.cluster.node_lines import NodeLines
from vifistore.cluster.piece_queue import MOST_DEATHS, PieceQueue
from vifistore.errors import DecodeError, LockedError, UsageError, first_line
from vifistore.extract.blocks import quarantined, stack
from vifistore.extract.given_rows import Piece
from vifistore.extract.prepare import Job
from vifistore.progress import Progress
from vifistore.store.claims.claim_objects import lease_of_process
from vifistore.store.schema import TODO
from vifistore.store.writer import FeatureWriter

logger = logging.getLogger("vifi")

# Pieces that wait at an encoder, so that its pipeline never runs dry.
_AHEAD = 3
# How often members are counted, and blocks asked for again that another process had, seconds.
_LOOK_SECONDS = 3.0
# How long blocks are waited for that others have, once what a process that is gone had is free.
_PATIENCE_SECONDS = 60.0
# Encoders that may die one after the other before any has begun.
_MOST_STARTS = 5


class Driver:
    """One extraction by the members of a fleet."""

    def __init__(
        self,
        job: Job,
        fleet: Fleet,
        writer: FeatureWriter,
        pieces: Sequence[Piece],
        start: EncoderStart,
    ) -> None:
        """`start` is what encoders are told as they begin."""
        self._job, self._fleet, self._writer, self._start = job, fleet, writer, start
        self._queue = PieceQueue(pieces)
        self._num_rows = sum(len(piece.rows) for piece in pieces)
        self._elsewhere: list[Piece] = []
        self._lost: set[Piece] = set()
        self._looked = self._news = time.monotonic()
        self._patience_seconds = lease_of_process() + _PATIENCE_SECONDS
        self._failed_starts = 0
        self._refusals: dict[str, str] = {}
        self._is_draining, self._has_told = False, False
        self._has_worked = False
        self.settled: list[Piece] = []
        """What this job has brought into the store."""
        self.lines = NodeLines(job.shape.view * job.shape.frame)

    def work(self) -> None:
        """Have all pieces done.

        Where the process is told to end, encoders finish what they have begun. Raises UsageError
        where no encoder is left, and what encoders fail with that another would, too.
        """
        with Progress(total=self._num_rows, unit="video", desc="extract") as bar:
            self.lines.begin(bar)
            with signals_noticed() as stops:
                while self._is_at_work() and not stops:
                    self._go_on()
                if stops:
                    logger.info("encoders finish the blocks that they have begun")
                    self._is_draining = True
                while any(member.pieces for member in self._fleet.members):
                    self._go_on()
            self.lines.end(self._fleet.members)

    def _is_at_work(self) -> bool:
        if self._queue or any(member.pieces for member in self._fleet.members):
            return True
        is_waiting = self._elsewhere or self._queue.culprits
        return bool(is_waiting) and time.monotonic() < self._news + self._patience_seconds

    def _go_on(self) -> None:
        now = time.monotonic()
        if now >= self._looked + _LOOK_SECONDS:
            self._looked = now
            self._tell_of_others()
            self._queue.put_back(self._elsewhere)
            self._elsewhere = []
            self._quarantine_culprits()
        if not self._is_draining:
            self._fleet.fit(self._num_wanted())
        self._require_members()
        self._fleet.tell_of_room()
        for member in list(self._fleet.members):
            if member.answer is None:
                self._talk_to(member, now)
        for heard in self._fleet.hear():
            self._take(heard)
        for member in self._fleet.silent():
            self._fleet.dismiss(member)
            # What it still writes is refused once its claims have expired.
            self._lose(member, "it does not answer", is_to_blame=False)
        self.lines.say(self._fleet.members)

    def _tell_of_others(self) -> None:
        """Say once that nothing is left but what other processes have."""
        is_idle = not any(member.pieces for member in self._fleet.members)
        if self._elsewhere and not self._queue and is_idle and not self._has_told:
            self._has_told = True
            logger.info(
                "other processes have the last %d blocks: waiting for them, and taking over what "
                "nobody writes any more once its claim expires",
                len(self._elsewhere),
            )

    def _num_wanted(self) -> int:
        return len(self._queue) + sum(bool(member.pieces) for member in self._fleet.members)

    def _require_members(self) -> None:
        # Of machines that are gone others may come; none that is refused gets better.
        is_in_vain = self._queue and not self._fleet.members and self._fleet.has_refused
        is_last = not self._has_worked or self._fleet.is_refused_by_all
        if self._failed_starts >= _MOST_STARTS or (is_in_vain and is_last):
            told = "; ".join(self._refusals.values())
            raise UsageError(f"no machine can encode: {first_line(told, 250)}")

    def _talk_to(self, member: FleetMember, now: float) -> None:
        """Compare it, have it begin, or give it pieces and ask how it goes."""
        if not member.has_begun:
            if self._is_like_here(member):
                self._fleet.begin(member, self._start)
        elif member.is_leaving and not member.pieces:
            self._fleet.dismiss(member)
        elif now >= member.next_pulse:
            self._fleet.pulse(member, self._pieces_for(member), leave=self._is_draining)

    def _pieces_for(self, member: FleetMember) -> list[Piece]:
        is_alone = any(map(self._queue.is_suspect, member.pieces))
        if member.is_leaving or self._is_draining or is_alone:
            return []
        return self._queue.take(self._num_due(member), is_idle=not member.pieces)

    def _num_due(self, member: FleetMember) -> int:
        """How many more pieces it may have. The last ones go to who has fewest, so that all members
        end together."""
        takers = [m for m in self._fleet.members if m.has_begun and not m.is_leaving]
        share = len(self._queue) // len(takers)
        if share >= _AHEAD:
            return _AHEAD - member.num_waiting
        has_fewest = len(member.pieces) <= min(len(taker.pieces) for taker in takers)
        return max(1, share - member.num_waiting) if has_fewest else 0

    def _is_like_here(self, member: FleetMember) -> bool:
        """Whether it would give the same embeddings; it is dismissed, by name, if not."""
        facts = member.facts
        assert facts is not None, "it has answered"
        refusal = facts.refusal or _difference(facts, self._job)
        if refusal:
            self._refuse(member, refusal)
        return not refusal

    def _refuse(self, member: FleetMember, why: str) -> None:
        """Have no encoder on its machine."""
        self._refusals[member.host] = told = f"{member.host} is left out: {first_line(why, 250)}"
        logger.warning("%s", told)
        self._fleet.refuse(member)

    def _take(self, heard: Heard) -> None:
        member = heard.member
        if heard.refusal:
            self._refuse(member, heard.refusal)
            self._lose(member, heard.refusal, is_to_blame=False)
        elif heard.death:
            self._failed_starts += not (member.has_begun or heard.is_node_gone)
            self._refusals[member.host] = f"{member.host}: {heard.death}"
            self._lose(member, heard.death, is_to_blame=not heard.is_node_gone)
        elif isinstance(heard.said, Pulse):
            self._take_pulse(member, heard.said)

    def _take_pulse(self, member: FleetMember, pulse: Pulse) -> None:
        if pulse.error:
            raise type(pulse.error)(*pulse.error.args)
        self._failed_starts, self._has_worked = 0, True
        gone = (*pulse.settled, *pulse.found_done, *pulse.elsewhere, *pulse.given_back)
        for piece in gone:
            member.pieces.pop(piece, None)
        # What a lost encoder had done without saying so is this job's as well.
        is_own = {piece: piece in self._lost for piece in pulse.found_done}
        self._settle([*pulse.settled, *(piece for piece, own in is_own.items() if own)])
        self._pass(piece for piece, own in is_own.items() if not own)
        self._elsewhere += pulse.elsewhere
        self._queue.put_back(pulse.given_back)
        member.num_waiting, member.is_leaving = pulse.num_waiting, pulse.is_leaving
        member.counts = pulse.counts
        if pulse.refusal:
            self._refuse(member, pulse.refusal)
            self._lose(member, pulse.refusal, is_to_blame=False)
        elif pulse.failure:
            self._fleet.dismiss(member)
            self._lose(member, pulse.failure, is_to_blame=not pulse.was_overtaken)

    def _settle(self, pieces: Sequence[Piece]) -> None:
        self.settled.extend(pieces)
        self._pass(pieces)

    def _pass(self, pieces: Iterable[Piece]) -> None:
        """Take note of pieces that are in the store, whoever wrote them."""
        for piece in pieces:
            self._news = time.monotonic()
            self.lines.done(len(piece.rows))

    def _lose(self, member: FleetMember, why: str, *, is_to_blame: bool) -> None:
        self.lines.lose(member)
        self._lost.update(member.pieces)
        if not member.pieces:
            return
        logger.warning(
            "an encoder on %s is gone with %d blocks, which others do again: %s",
            *(member.host, len(member.pieces), first_line(why, 150)),
        )
        (self._queue.blame if is_to_blame else self._queue.put_back)(list(member.pieces))

    def _quarantine_culprits(self) -> None:
        """Quarantine single videos that encoders died of; one whose block another process has is
        tried again later."""
        culprits, self._queue.culprits = self._queue.culprits, []
        for piece in culprits:
            with contextlib.suppress(LockedError):
                self._quarantine(piece)
                self._settle([piece])
                continue
            self._queue.culprits.append(piece)

    def _quarantine(self, piece: Piece) -> None:
        (row,) = piece.rows
        footage = self._job.dataset.files()[row]
        told = f"{MOST_DEATHS} encoders ended while they had it, the last one with it alone"
        result = quarantined(row, footage, DecodeError("worker crashed", told))
        data = stack([result], self._job.shape, self._job.further)
        data["attempts"] = np.full(1, MOST_DEATHS, np.uint8)
        try:
            self._writer.claim([piece.block])
            # Another process may have done it since.
            if self._writer.status[row] == TODO:
                self._writer.write_block(piece.block, [row], data)
                logger.warning("%s is quarantined: %s", footage, told)
        finally:
            self._writer.release([piece.block])


@contextlib.contextmanager
def signals_noticed() -> Iterator[list[int]]:
    """The signals to end that have come, which take effect when the context ends: an answer that
    is cut off by one would be lost."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    usual = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in usual:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield came
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    for number in came[:1]:
        signal.raise_signal(number)


def _difference(facts: NodeFacts, job: Job) -> str:
    """How what a machine would encode with differs from what this job does, if it does."""
    own = job.recipe.as_dict()
    names = sorted(
        name for name in {*own, *facts.recipe} if own.get(name) != facts.recipe.get(name)
    )
    told = [f"{name} {facts.recipe.get(name)!r} and not {own.get(name)!r}" for name in names]
    if not told and facts.checkpoint != job.loaded.digest:
        told = [f"checkpoint {facts.checkpoint} and not {job.loaded.digest}"]
    if facts.version != (here := own_version()):
        told.insert(0, f"vifistore {facts.version or 'of an unknown version'} and not {here}")
    return f"it has {', '.join(told)}" if told else ""
