"""What the names of files and folders say of labels: a class file of another dataset shows here.

Files of UCF101 and HMDB51 hold their class; any other video shows it where a folder above it has
the name of a class.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vifistore.videos.file_names import disagrees, letters, names_class


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Which labels names confirm or contradict, as positions in the list."""

    num_named: int
    """How many videos have a name that tells a class."""
    against: list[int]
    """Those whose label is another class."""


def weigh(paths: Sequence[str], labels: Sequence[str], classes: Sequence[str]) -> Evidence:
    """Hold the labels of some videos, "" for none, against the names of files and folders."""
    known = set(map(letters, classes)) - {""}
    folders = _telling(paths, labels, known)
    num_named, against = 0, []
    for index, (path, label) in enumerate(zip(paths, labels, strict=True)):
        if not label:
            continue
        if names_class(path):
            is_against = disagrees(path, label)
        elif named := folders[path.rpartition("/")[0]]:
            is_against = letters(label) not in named
        else:
            continue
        num_named += 1
        if is_against:
            against.append(index)
    return Evidence(num_named=num_named, against=against)


def _telling(
    paths: Sequence[str], labels: Sequence[str], known: set[str]
) -> dict[str, frozenset[str]]:
    """Of every folder of a video, the classes that it and those above it are called by.

    A folder that holds all videos of several classes is no class, whatever it is called.
    """
    parents = {path.rpartition("/")[0] for path in paths}
    common = set.intersection(*(set(_above(parent)) for parent in parents)) if parents else set()
    ignored = common if len(set(labels) - {""}) > 1 else set()
    return {
        parent: frozenset(
            name
            for folder in _above(parent)
            if folder not in ignored and (name := letters(folder.rpartition("/")[2])) in known
        )
        for parent in parents
    }


def _above(folder: str) -> Iterator[str]:
    """A folder and those above it."""
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


def strangers(
    paths: Sequence[str], labels: Sequence[str], classes: Sequence[str]
) -> list[tuple[str, str]]:
    """(folder, label) where folders and labels go together one to one, but by other names.

    Empty where some folder is called like a class, or numbers the classes.
    """
    pairs = dict.fromkeys(
        (path.rpartition("/")[0].rpartition("/")[2], label)
        for path, label in zip(paths, labels, strict=True)
        if label
    )
    folders, names = {folder for folder, _ in pairs}, {label for _, label in pairs}
    known = set(map(letters, classes))
    if len(pairs) < 2 or not len(folders) == len(names) == len(pairs):
        return []
    if any(letters(folder) in known or any(map(str.isdigit, folder)) for folder in folders):
        return []
    return [*pairs]
