"""From the lines of a list, a table or a JSON file to the draft: videos, labels and splits."""

from collections.abc import Sequence
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.class_names import ClassFile
from vifistore.videos.draft import Draft
from vifistore.videos.file_names import split_name
from vifistore.videos.known import KnownVideos
from vifistore.videos.match import match_of
from vifistore.videos.readers.labels import Labelled, class_labels
from vifistore.videos.records import Line


def add_lines(
    source: Path,
    lines: Sequence[Line],
    digest: str,
    draft: Draft,
    files: Sequence[ClassFile],
    *,
    names_splits: bool = False,
    match: str = "",
) -> None:
    """Put the videos of a file into the draft, with one split per name that it gives them.

    Where it gives none, all are one split named like the file. `match` is how they find their
    files, by default what their names allow. Raises UsageError with file and line for a video of
    two ids, and for labels that `class_labels` refuses.
    """
    if isinstance(draft.tree, KnownVideos):
        lines = draft.tree.by_ids(lines)
    draft.match = match or match_of([line.path.replace("\\", "/") for line in lines])
    lines = draft.placed(lines)
    labelled = class_labels(lines, files, draft, source)
    rows = []
    for line, label in zip(lines, labelled.labels, strict=True):
        row = draft.video(line.path, label, line.stretch)
        rows.append(row)
        if line.id and draft.ids.setdefault(row, line.id) != line.id:
            raise UsageError(f"{line.where}: {draft.paths[row]} has two ids; give each video one")
        draft.captions += [(row, text) for text in line.captions if text]
    draft.names_splits = names_splits
    default = "" if names_splits else split_name(source.stem)
    _add_splits(draft, lines, default, rows, labelled, source=source.name, digest=digest)


def _add_splits(
    draft: Draft,
    lines: Sequence[Line],
    default: str,
    rows: Sequence[int],
    labelled: Labelled,
    *,
    source: str,
    digest: str,
) -> None:
    """One split per name that lines give, or `default` for all; a line may be of none."""
    inside: dict[str, list[tuple[int, str]]] = {}
    captioned: set[tuple[str, int]] = set()
    for line, row, label in zip(lines, rows, labelled.labels, strict=True):
        split = default or line.split
        # A video with several captions fills several lines of its split: that is no repetition.
        if split and not (line.captions and (split, row) in captioned):
            inside.setdefault(split, []).append((row, label))
        if line.captions:
            captioned.add((split, row))
    for split, pairs in inside.items():
        split_rows, split_labels = zip(*pairs, strict=True)
        draft.add_split(
            split,
            split_rows,
            split_labels,
            class_names=labelled.names,
            owns_classes=labelled.is_own,
            source=source,
            digest=digest,
        )
