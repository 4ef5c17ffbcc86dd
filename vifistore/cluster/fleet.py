"""The encoders of a job on the machines of a cluster: made, compared, asked and replaced."""

import logging
import math
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from vifistore.cluster.encoder_actor import (
    EncoderActor,
    EncoderStart,
    EncoderTask,
    NodeFacts,
    Pulse,
)
from vifistore.cluster.ray_session import nodes_of
from vifistore.cluster.room import Needs, Room
from vifistore.errors import UsageError
from vifistore.extract.given_rows import Piece

logger = logging.getLogger("vifi")

_PULSE_SECONDS = 0.2
_WAIT_SECONDS = 0.1
SILENCE_SECONDS = 120.0
"""How long a member may leave unsaid how it goes."""


@dataclass(eq=False, kw_only=True)
class FleetMember:
    """One encoder, as the driver sees it."""

    name: str
    handle: Any
    """Ray's handle of the actor."""
    answer: Any
    """What it was asked last, and has not answered."""
    facts: NodeFacts | None = None
    node: str = ""
    """Ray's name of its machine; empty while it waits for room on one."""
    made: float = field(default_factory=time.monotonic)
    """When it was asked for."""
    has_begun: bool = False
    is_leaving: bool = False
    pieces: dict[Piece, None] = field(default_factory=dict)
    """What it has been given, and has not done."""
    num_waiting: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    next_pulse: float = 0.0
    asked: float = math.inf
    """When it was asked how it goes; infinite while it does anything that may take long."""

    @property
    def host(self) -> str:
        """The name of its machine."""
        return self.facts.host if self.facts else "a machine that has not answered"


@dataclass(frozen=True, kw_only=True)
class Heard:
    """Something that a member said, or that it is no more."""

    member: FleetMember
    said: NodeFacts | Pulse | None
    """None where it has got a machine, or has begun."""
    death: str = ""
    """What it died of."""
    is_node_gone: bool = False
    """Whether its machine is gone, too."""
    refusal: str = ""
    """Why it could not begin, though it lives."""


class RayEncoder(EncoderActor):
    """An encoder that knows which machine Ray has put it on."""

    def node(self) -> str:
        """Ray's name of the machine."""
        import ray

        return ray.get_runtime_context().get_node_id()


class Fleet:
    """The members that are alive."""

    def __init__(self, ray: Any, task: EncoderTask, needs: Needs, most: int | None) -> None:
        """`most` is how many there may be; None for as many as find room."""
        self._ray, self._task, self._needs, self._most = ray, task, needs, most
        self._run = uuid.uuid4().hex[:6]
        self._class = ray.remote(RayEncoder)
        self.members: list[FleetMember] = []
        self._num_made = 0
        self._room = Room(ray, needs)

    def require_room(self) -> None:
        """Raise UsageError where no machine has room, and none is asked for that may come."""
        if self._most is None and not self._room.count:
            raise UsageError(
                f"no machine of the Ray cluster has {self._needs} for an encoder; give fewer "
                "--cores, or --actors N where the cluster grows by itself"
            )

    @property
    def has_refused(self) -> bool:
        """Whether a machine gets no member."""
        return bool(self._room.refused)

    @property
    def is_refused_by_all(self) -> bool:
        """Whether all machines that are there get no member."""
        return self._room.is_all_refused

    def fit(self, num_wanted: int) -> None:
        """Have as many members as are wanted and allowed: the rest wait for machines to come."""
        most = self._room.count if self._most is None else self._most
        while len(self.members) < min(num_wanted, most):
            self._add()

    def tell_of_room(self) -> None:
        """Say what members wait for, once and when it changes."""
        running = [member for member in self.members if member.node]
        self._room.tell(len(running), [m.made for m in self.members if not m.node])

    def _add(self) -> None:
        self._num_made += 1
        name = f"vifi {self._task.dataset} {self._run} {self._num_made}"
        options: dict[str, Any] = {"name": name, "num_cpus": self._needs.cores, "max_restarts": 0}
        if self._needs.gpus:
            options["num_gpus"] = self._needs.gpus
        if refused := self._room.refused:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(refused)})"}
        handle = self._class.options(**options).remote(self._task)
        self.members.append(FleetMember(name=name, handle=handle, answer=handle.node.remote()))

    def refuse(self, member: FleetMember) -> None:
        """Have no member on this machine."""
        self._room.refused.add(member.node)
        self._room.look()
        self.dismiss(member)

    def dismiss(self, member: FleetMember) -> None:
        """End a member at once."""
        self.members.remove(member)
        self._ray.kill(member.handle)

    def begin(self, member: FleetMember, start: EncoderStart) -> None:
        """Have a member get ready for pieces."""
        member.has_begun = True
        member.answer = member.handle.begin.remote(start)

    def pulse(self, member: FleetMember, pieces: Sequence[Piece], *, leave: bool) -> None:
        """Give a member pieces, and ask how it goes."""
        member.pieces |= dict.fromkeys(pieces)
        member.answer = member.handle.pulse.remote(list(pieces), leave=leave)
        member.asked = time.monotonic()
        member.next_pulse = member.asked + _PULSE_SECONDS

    def hear(self) -> Iterator[Heard]:
        """What members say within a moment."""
        asked = {member.answer: member for member in self.members if member.answer is not None}
        if not asked:
            time.sleep(_WAIT_SECONDS)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ready, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=_WAIT_SECONDS)
        for answer in ready:
            yield self._heard(asked[answer], answer)

    def _heard(self, member: FleetMember, answer: Any) -> Heard:
        member.answer, member.asked = None, math.inf
        try:
            said = self._ray.get(answer)
        except self._ray.exceptions.RayActorError as error:
            self.members.remove(member)
            self._room.look()
            alive = {node.id for node in nodes_of(self._ray)}
            is_gone = bool(member.node) and member.node not in alive
            death = str(error).strip().splitlines()[0]
            return Heard(member=member, said=None, death=death, is_node_gone=is_gone)
        except self._ray.exceptions.RayTaskError as error:
            # What it raised, and not that it died.
            return Heard(member=member, said=None, refusal=str(error.cause))
        if isinstance(said, str):
            member.node, member.answer = said, member.handle.facts.remote()
            return Heard(member=member, said=None)
        if isinstance(said, NodeFacts):
            member.facts = said
        return Heard(member=member, said=said)

    def silent(self) -> list[FleetMember]:
        """Members that have not said for long how it goes: stopped, or cut off."""
        before = time.monotonic() - SILENCE_SECONDS
        return [member for member in self.members if member.asked < before]

    def close(self) -> None:
        """End all members."""
        for member in list(self.members):
            self.dismiss(member)
