"""What a reader collects from a source, before the disk is asked which of it exists."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vifistore.errors import UsageError
from vifistore.videos.folders import Folders
from vifistore.videos.known import KnownVideos
from vifistore.videos.line_paths import ListedPaths, Prefixes
from vifistore.videos.records import UNLABELLED, Line, SplitListing
from vifistore.videos.stretches import WHOLE, Stretch
from vifistore.videos.text_lines import some


@dataclass(kw_only=True)
class Draft:
    """Videos as they are listed, each once, and the splits and captions that point at them."""

    tree: Folders[Any] | KnownVideos
    """The folder that the paths start from, or what stands for it."""
    prefixes: Prefixes = ()
    """What listed paths begin with on another machine, and what that is here."""
    searches_all: bool = True
    """False where nobody named the root, so that only folders which lists name are searched."""
    takes_times: bool = True
    """False where rows are whole videos, whatever times a list gives."""
    match: str = "path"
    """How the paths that are added next find their files; a name in `vifistore.videos.match`."""
    class_names: list[str] = field(default_factory=list)
    """Names in the order of a class file, where the source has one."""
    paths: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    matches: list[str] = field(default_factory=list)
    """How each path finds its file."""
    relabelled: set[int] = field(default_factory=set)
    """Rows that another list gives another label."""
    ids: dict[int, str] = field(default_factory=dict)
    """Ids that the source gives, by row; any other video goes by its path."""
    splits: dict[str, SplitListing] = field(default_factory=dict)
    names_splits: bool = True
    """False where the split's name is only a default that the caller may replace."""
    captions: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    listed: dict[str, str] = field(default_factory=dict)
    """Paths that were read otherwise than they are written, and how they are."""
    stretches: dict[int, Stretch] = field(default_factory=dict)
    """Which part of its file a row is, of those that are not all of it."""
    _rows: dict[tuple[str, Stretch], int] = field(default_factory=dict)

    def placed(self, lines: Sequence[Line]) -> list[Line]:
        """Lines with their paths below the root. Raises UsageError with file and line."""
        listed_paths = ListedPaths(tree=self.tree, prefixes=self.prefixes)
        paths = listed_paths.below_root(lines, self.match)
        self.notes += [note for note in listed_paths.notes if note not in self.notes]
        self.listed |= {
            path: line.path for path, line in zip(paths, lines, strict=True) if path != line.path
        }
        return [line._replace(path=path) for path, line in zip(paths, lines, strict=True)]

    def video(self, path: str, label: str = "", stretch: Stretch = WHOLE) -> int:
        """The row of a video, by its path below the root and the part of the file that it is; it
        keeps the first label it is given."""
        stretch = stretch if self.takes_times else WHOLE
        row = self._rows.setdefault((path, stretch), len(self.paths))
        if row == len(self.paths):
            self.paths.append(path)
            self.labels.append(label)
            self.matches.append(self.match)
            if not stretch.is_whole:
                self.stretches[row] = stretch
        elif not self.labels[row]:
            self.labels[row] = label
        elif label and label != self.labels[row]:
            self.relabelled.add(row)
        return row

    def add_split(
        self,
        name: str,
        rows: Sequence[int],
        labels: Sequence[str],
        *,
        source: str,
        digest: str,
        class_names: Sequence[str] = (),
        owns_classes: bool = False,
    ) -> None:
        """One split from a class name (or "") per row; `class_names` gives their order.

        A row that comes twice is kept once, which is noted. Raises UsageError where one video has
        two labels, and where two lists make one split.
        """
        if name in self.splits:
            sources = f"{self.splits[name].source} and {source} both make the split {name}"
            raise UsageError(f"{sources}; read them one at a time, or rename one")
        label_of = self._label_of(name, rows, labels)
        written = set(label_of.values()) - {""}
        ordered = (list(class_names) or sorted(written)) if written else []
        id_of = {class_name: id for id, class_name in enumerate(ordered)} | {"": UNLABELLED}
        self.splits[name] = SplitListing(
            rows=list(label_of),
            labels=[id_of[label] for label in label_of.values()],
            class_names=ordered,
            source=source,
            digest=digest,
            owns_classes=owns_classes,
        )

    def _label_of(self, name: str, rows: Sequence[int], labels: Sequence[str]) -> dict[int, str]:
        label_of: dict[int, str] = {}
        repeated = []
        for row, label in zip(rows, labels, strict=True):
            known = label_of.setdefault(row, label)
            if not known:
                label_of[row] = label
            elif label and known != label:
                raise UsageError(
                    f"split {name}: {self.paths[row]} is labelled {known!r} and {label!r}; "
                    "keep one label per video and split"
                )
            repeated.append(row)
        if len(repeated) > len(label_of):
            seen: set[int] = set()
            again = [self.paths[row] for row in repeated if row in seen or seen.add(row)]
            self.notes.append(f"split {name}: listed more than once, kept once: {some(again)}")
        return label_of

    def only(self, name: str) -> "Draft":
        """One split, and the videos and captions that belong to it."""
        split = self.splits[name]
        new_row = {row: new for new, row in enumerate(split.rows)}
        kept = Draft(tree=self.tree, class_names=split.class_names, listed=self.listed)
        kept.searches_all, kept.takes_times = self.searches_all, self.takes_times
        kept.paths = [self.paths[row] for row in split.rows]
        kept.matches = [self.matches[row] for row in split.rows]
        kept.labels = [
            split.class_names[label] if label != UNLABELLED else "" for label in split.labels
        ]
        kept.stretches = {
            new_row[row]: stretch for row, stretch in self.stretches.items() if row in new_row
        }
        kept.ids = {new_row[row]: id for row, id in self.ids.items() if row in new_row}
        kept.splits = {name: replace(split, rows=list(new_row.values()))}
        kept.captions = [(new_row[row], text) for row, text in self.captions if row in new_row]
        kept.notes = self.notes
        return kept
