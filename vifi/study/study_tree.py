"""How far a study is: a branch for each kind of step, with a bar, its seconds, what is left, and
which steps wait for which."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from vifi.study.ledger import Ledger
from vifi.study.steps import REPORT, Step
from vifistore.errors import first_few
from vifistore.progress import duration

_BAR = 20
_FULL, _EMPTY = "█", "·"
# Of the lines under a branch, and of the names in each.
_MOST_LINES, _MOST_NAMES = 4, 3


@dataclass(kw_only=True)
class _Branch:
    """Steps of one kind."""

    steps: list[Step] = field(default_factory=list)
    done: int = 0
    seconds: list[float] = field(default_factory=list)
    """Of those that are done, as far as they are known."""

    @property
    def counted(self) -> str:
        """How many are done, and about how long the others take, if they take as long each."""
        total = len(self.steps)
        left = total - self.done
        if not (left and self.seconds):
            return f"{self.done}/{total}"
        each = sum(self.seconds) / len(self.seconds)
        return f"{self.done}/{total}, about {duration(each * left)} left"

    def line(self, kind: str, width: int) -> str:
        """The branch."""
        full = _BAR * self.done // len(self.steps)
        took = f"  {duration(sum(self.seconds))}" if self.seconds else ""
        return f"{kind:<{width}} {_FULL * full}{_EMPTY * (_BAR - full)} {self.counted}{took}"


class StudyTree:
    """The steps of a study by their kinds; it is told of each that is done, or failed."""

    def __init__(self, steps: Iterable[Step], digests: Mapping[str, str], ledger: Ledger) -> None:
        self._branches: dict[str, _Branch] = {}
        self._open: set[str] = set()
        self._failed: set[str] = set()
        self.to_do: list[Step] = []
        for step in steps:
            self._branches.setdefault(step.kind, _Branch()).steps.append(step)
            self._open.add(step.name)
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
        self._open.discard(step.name)
        return branch.counted

    def fail(self, step: Step) -> None:
        """Say of a step that it failed: what needs it goes on waiting."""
        self._failed.add(step.name)

    @property
    def lines(self) -> list[str]:
        """A branch a line, in the order of the study; under it which of its steps failed, and for
        which others wait."""
        width = max(map(len, self._branches), default=0)
        told = []
        for i, (kind, branch) in enumerate(self._branches.items()):
            is_last = i == len(self._branches) - 1
            told.append(f"{'└─' if is_last else '├─'} {branch.line(kind, width)}")
            told += [f"{' ' if is_last else '│'}    {line}" for line in self._held(branch)]
        return told

    def _held(self, branch: _Branch) -> Iterator[str]:
        """Lines on the steps of a branch that failed, and on those that wait, by what for."""
        groups: dict[str, list[str]] = {}
        for step in branch.steps:
            if step.name in self._open and step.name != REPORT:
                told = self._holding(step)
                if told:
                    groups.setdefault(told, []).append(step.name.partition(" ")[2])
        shown = list(groups.items())[:_MOST_LINES]
        for told, names in shown:
            yield f"{told}: {first_few(names, _MOST_NAMES)}"
        if left := sum(map(len, groups.values())) - sum(len(names) for _, names in shown):
            yield f"and {left:,} more wait"

    def _holding(self, step: Step) -> str:
        """Why a step is not done: it failed, or waits for the first of those that it needs."""
        if step.name in self._failed:
            return "failed"
        name = next((need for need in step.needs if need in self._open), "")
        failed = " (failed)" if name in self._failed else ""
        return f"waiting for {name}{failed}" if name else ""
