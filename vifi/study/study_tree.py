"""How far a study is: a branch for each kind of step, with a bar, its seconds and what is left."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vifi.study.ledger import Ledger
from vifi.study.steps import REPORT, Step
from vifistore.progress import duration

_BAR = 20
_FULL, _EMPTY = "█", "·"


@dataclass(kw_only=True)
class _Branch:
    """Steps of one kind."""

    total: int = 0
    done: int = 0
    seconds: list[float] = field(default_factory=list)
    """Of those that are done, as far as they are known."""

    @property
    def counted(self) -> str:
        """How many are done, and about how long the others take, if they take as long each."""
        left = self.total - self.done
        if not (left and self.seconds):
            return f"{self.done}/{self.total}"
        each = sum(self.seconds) / len(self.seconds)
        return f"{self.done}/{self.total}, about {duration(each * left)} left"

    def line(self, kind: str, width: int) -> str:
        """The branch."""
        full = _BAR * self.done // self.total
        took = f"  {duration(sum(self.seconds))}" if self.seconds else ""
        return f"{kind:<{width}} {_FULL * full}{_EMPTY * (_BAR - full)} {self.counted}{took}"


class StudyTree:
    """The steps of a study by their kinds; it is told of each that is done."""

    def __init__(self, steps: Iterable[Step], digests: Mapping[str, str], ledger: Ledger) -> None:
        self._branches: dict[str, _Branch] = {}
        self.to_do: list[Step] = []
        for step in steps:
            branch = self._branches.setdefault(step.kind, _Branch())
            branch.total += 1
            is_done = ledger.is_done(step, digests[step.name])
            # The page will have more to show.
            is_done = is_done and not (step.name == REPORT and self.to_do)
            entry = ledger.entry(step.name) if is_done else None
            if entry is None:
                self.to_do.append(step)
            else:
                self.add(step, entry.seconds)

    def add(self, step: Step, seconds: float) -> str:
        """Count a step as done; returns how many of its kind are, and what is left."""
        branch = self._branches[step.kind]
        branch.done += 1
        branch.seconds.append(seconds)
        return branch.counted

    @property
    def lines(self) -> list[str]:
        """A branch a line, in the order of the study."""
        width = max(map(len, self._branches), default=0)
        told = [branch.line(kind, width) for kind, branch in self._branches.items()]
        return [f"{'├─' if i < len(told) - 1 else '└─'} {line}" for i, line in enumerate(told)]
