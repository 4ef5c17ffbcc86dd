"""The pages of the documentation, and the blocks of code in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.test_house import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of code."""

    where: str
    """Page and line."""
    language: str
    runs: bool
    """Whether it is marked `run`: a test runs it for real."""
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of a shell, comments left out."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks_of(path: Path) -> list[Block]:
    """Every block of a page, in order."""
    text = path.read_text(encoding="utf-8")
    return [
        Block(
            where=f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}",
            language=found[1],
            runs=found[2] == " run",
            text=found[3],
        )
        for found in _BLOCK.finditer(text)
    ]


def every_block() -> list[Block]:
    """Every block of every page, the README's first."""
    return [block for path in PAGES for block in blocks_of(path)]


def vifi_words(words: list[str]) -> list[str]:
    """Arguments of the vifi command in a command line, be it behind a launcher; none for others."""
    return words[words.index("vifi") + 1 :] if "vifi" in words else []
