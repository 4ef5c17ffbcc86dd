"""As much of Ray as a fleet asks for: actors answer in this process, where they have room."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from vifistore.cluster.encoder_actor import NodeFacts, Pulse, own_version


class ActorDiedError(Exception):
    """What asking an actor that died gives."""


class TaskError(Exception):
    """What asking an actor gives that raised an error and lives."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass
class FakeActor:
    """An encoder that has written at once what it is given."""

    name: str
    cores: float
    is_placed: bool = False
    is_silent: bool = False
    given: list = field(default_factory=list)
    elsewhere: list = field(default_factory=list)
    """What it says that other processes have."""

    dies_of: frozenset[int] = frozenset()
    """Rows that end it."""
    failure: Exception | None = None
    """What it raises where it is to begin."""
    refusal: str = ""
    """Why its machine is of no use, once it has done a piece."""
    version: str = field(default_factory=own_version)

    def answer(self, method: str, args: tuple) -> Any:
        """What it says."""
        if method == "node":
            return "node"
        if method == "facts":
            told = {"host": self.name, "process": 1, "device": "cpu", "version": self.version}
            return NodeFacts(**told, recipe={"a": 1}, checkpoint="c")
        if method == "begin" and self.failure:
            raise TaskError(self.failure)
        if method == "pulse":
            if any(self.dies_of.intersection(piece.rows) for piece in args[0]):
                raise ActorDiedError("it died")
            if self.refusal and self.given:
                return Pulse(refusal=self.refusal, given_back=args[0][1:])
            done = [piece for piece in args[0] if piece not in self.elsewhere]
            self.given += done
            told = {"elsewhere": [p for p in args[0] if p not in done]}
            return Pulse(settled=done, **told, counts={"encoded": len(self.given)})
        return None


class FakeAnswer:
    """What an actor was asked; each is another."""


class FakeRay:
    """A cluster of one machine."""

    exceptions = SimpleNamespace(RayActorError=ActorDiedError, RayTaskError=TaskError)

    def __init__(self, cores: float) -> None:
        self.cores, self.actors = cores, []
        self.others = 0.0
        """Cores that something else has."""
        self.told: dict[str, Any] = {}
        """What new actors are."""
        self.times_counted = 0
        self._asked: dict[FakeAnswer, tuple] = {}

    def nodes(self) -> list[dict]:
        """See Ray."""
        self.times_counted += 1
        resources = {"CPU": self.cores}
        return [
            {"NodeID": "node", "NodeManagerHostname": "h", "Resources": resources, "Alive": True}
        ]

    def cluster_resources(self) -> dict[str, float]:
        """See Ray."""
        return {"CPU": self.cores}

    def available_resources(self) -> dict[str, float]:
        """See Ray."""
        return {"CPU": self.free} if self.free else {}

    @property
    def free(self) -> float:
        """Cores that nobody has."""
        return self.cores - self.others - sum(a.cores for a in self.actors if a.is_placed)

    def remote(self, _: type) -> Any:
        """See Ray."""

        def options(name: str, num_cpus: float, **_: object) -> Any:
            def make(_: object) -> Any:
                self.actors.append(actor := FakeActor(name, num_cpus, **self.told))
                return self._handle(actor)

            return SimpleNamespace(remote=make)

        return SimpleNamespace(options=options)

    def _handle(self, actor: FakeActor) -> Any:
        def method(name: str) -> Any:
            def remote(*args: object, **_: object) -> FakeAnswer:
                self._asked[answer := FakeAnswer()] = (actor, name, args)
                return answer

            return SimpleNamespace(remote=remote)

        names = ("node", "facts", "begin", "pulse")
        return SimpleNamespace(actor=actor, **{name: method(name) for name in names})

    def wait(self, answers: list, **_: object) -> tuple[list, list]:
        """See Ray; actors get room first."""
        for actor in self.actors:
            if not actor.is_placed and self.free >= actor.cores:
                actor.is_placed = True
        ready = [a for a in answers if self._is_ready(self._asked[a][0])]
        return ready, []

    def _is_ready(self, actor: FakeActor) -> bool:
        return actor.is_placed and not actor.is_silent

    def get(self, answer: FakeAnswer) -> Any:
        """See Ray."""
        actor, name, args = self._asked.pop(answer)
        try:
            return actor.answer(name, args)
        except ActorDiedError:
            self.actors.remove(actor)
            raise

    def kill(self, handle: Any) -> None:
        """See Ray."""
        self.actors.remove(handle.actor)
