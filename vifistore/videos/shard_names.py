"""Shards as they are named on the command line: one, a pattern, or a row in braces."""

import fnmatch
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vifistore.errors import UsageError, short
from vifistore.sources.roots import Root, root_of
from vifistore.videos.folders import Folders

_NAMED = re.compile(r"\.(tar(\.\w{1,4})?|tgz|tbz2?|txz)$", re.IGNORECASE)
_WILD = re.compile(r"[{*?\[]")
_BRACES = re.compile(r"\{([^{}]*)\}")
_ROW = re.compile(r"(\d{1,9})\.\.(\d{1,9})", re.ASCII)
_MOST_SHARDS = 100_000


class ShardSource(NamedTuple):
    """Shards that a source names."""

    folder: Root
    """What their names start from."""
    patterns: list[str]
    """Names below it, where * stands for any."""


def shard_source(source: str | Path) -> ShardSource | None:
    """What a source names, if it is shards. Raises UsageError for braces that are none."""
    text = str(source)
    if not _NAMED.search(text) or Path(text).is_dir():
        return None
    wild = _WILD.search(text)
    folder = text[: wild.start() if wild else len(text)].rpartition("/")[0]
    rest = text[len(folder) :].lstrip("/")
    if not folder and text.startswith("/"):
        folder = "/"
    return ShardSource(root_of(folder or "."), list(expanded(rest)))


def expanded(text: str) -> Iterator[str]:
    """`{0000..0009}` and `{a,b}` in braces, written out. Raises UsageError for anything else."""
    choices: list[Sequence[str]] = []
    end = 0
    for match in _BRACES.finditer(text):
        choices += [[text[end : match.start()]], _choices(match[1])]
        end = match.end()
    choices.append([text[end:]])
    count = 1
    for parts in choices:
        count *= len(parts)
    if count > _MOST_SHARDS or "{" in text[end:]:
        raise UsageError(
            f"{short(text)} does not name shards; write {{0000..0099}} or {{a,b}}, up to "
            f"{_MOST_SHARDS:,} of them"
        )
    return map("".join, itertools.product(*choices))


def _choices(inside: str) -> Sequence[str]:
    row = _ROW.fullmatch(inside)
    if not row:
        return inside.split(",")
    first, last = int(row[1]), int(row[2])
    if last - first >= _MOST_SHARDS:
        raise UsageError(f"{{{inside}}} are more than {_MOST_SHARDS:,} shards; name fewer at once")
    width = len(row[1]) if row[1].startswith("0") else 0
    return [f"{number:0{width}}" for number in range(first, last + 1)]


def named_shards(tree: Folders, below: str, patterns: Sequence[str]) -> list[str]:
    """The shards of a tree that patterns name, each once.

    Raises UsageError for a pattern that names none.
    """
    prefix = f"{below}/" if below else ""
    found: dict[str, None] = {}
    for pattern in (prefix + pattern for pattern in patterns):
        if not _WILD.search(pattern):
            found[pattern] = None
            continue
        fitting = [name for name in tree.shards(below) if fnmatch.fnmatchcase(name, pattern)]
        if not fitting:
            raise UsageError(
                f"no shard below {tree.root} is called {pattern}; name those there are"
            )
        found |= dict.fromkeys(fitting)
    return list(found)
