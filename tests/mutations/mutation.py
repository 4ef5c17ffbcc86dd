"""One-line mutations of the product, each with the tests that should notice it.

A list is a TOML file beside this one:

    [[mutation]]
    file = "harness/measuring.py"
    line = 'values["top5"] = bootstrap_mean(ranks < TOP5_CLASSES, **options)'
    becomes = 'values["top5"] = bootstrap_mean(ranks <= TOP5_CLASSES, **options)'
    tests = ["tests/harness/test_metrics.py"]

`line` stands once in the file, whatever its indentation, which `becomes` takes over.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LISTS = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One line that becomes another one."""

    file: str
    """File of the product, from the root of the tree."""
    line: str
    becomes: str
    tests: tuple[str, ...]
    """Files or single tests, as pytest takes them."""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return f"{self.file}: {self.line}  ->  {self.becomes}"

    def applied(self, text: str) -> str:
        """The text of the file with the line changed. Raises ValueError unless it stands once."""
        lines = text.splitlines(keepends=True)
        places = [number for number, line in enumerate(lines) if line.strip() == self.line]
        if len(places) != 1:
            raise ValueError(f"{self.name}: the line stands {len(places)} times; mend the list")
        old = lines[places[0]]
        lines[places[0]] = old.replace(self.line, self.becomes)
        return "".join(lines)


def read_mutations(folder: Path = LISTS) -> list[Mutation]:
    """All mutations of the lists in a folder."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]:
            found.append(Mutation(**{**entry, "tests": tuple(entry["tests"])}))
    return found


def of_files(mutations: Iterable[Mutation], changed: Iterable[str]) -> list[Mutation]:
    """The mutations whose own file, or one of whose tests, is among the changed files."""
    changed = set(changed)
    return [
        mutation
        for mutation in mutations
        if changed & {mutation.file, *(test.partition("::")[0] for test in mutation.tests)}
    ]


def rotating(mutations: list[Mutation], turn: int, count: int = 10) -> list[Mutation]:
    """So many mutations in a row, others at every turn."""
    start = turn * count
    return [mutations[(start + i) % len(mutations)] for i in range(min(count, len(mutations)))]
