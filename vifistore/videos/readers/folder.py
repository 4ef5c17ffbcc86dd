"""A folder of videos: the label is the name of the folder that holds the file.

A folder that holds images and nothing else is one video; its label is the name of its parent.
A video right in SOURCE has no label. A folder that holds no videos but shards is read as these.
"""

import hashlib
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.sources.remote_root import RemoteRoot
from vifistore.sources.roots import Root
from vifistore.videos.class_search import class_files_of
from vifistore.videos.draft import Draft
from vifistore.videos.folders import Folders, below_root
from vifistore.videos.readers.labels import class_labels
from vifistore.videos.readers.shards import read_shards
from vifistore.videos.records import Line


def read_folder(source: Root, draft: Draft, class_file: Path | None) -> None:
    """Every video below `source`, which is the root or lies below it; one split, `all`."""
    tree = draft.tree
    assert isinstance(tree, Folders), "known videos stand for those that a table or a list names"
    below = below_root(source, tree.root)
    paths = tree.videos(below)
    if not paths and tree.shards(below):
        # Those beside videos are archives of what lies there already.
        read_shards(source, draft, class_file)
        return
    if not paths:
        _refuse_empty(source, tree, below)
    lines = [Line(path, _label(path, below), str(source)) for path in paths]
    labels, names = [line.label for line in lines], []
    if class_file is not None:
        files = class_files_of(Path(source.name), class_file)
        labels, names, _ = class_labels(lines, files, draft, Path(source.name))
        draft.class_names = names
    rows = list(map(draft.video, paths, labels))
    draft.names_splits = False
    listed = "".join(f"{path}\t{label}\n" for path, label in zip(paths, labels, strict=True))
    draft.add_split(
        "all",
        rows,
        labels,
        class_names=names,
        owns_classes=class_file is not None,
        source=source.name if isinstance(source, RemoteRoot) else source.absolute().name,
        digest=hashlib.sha256(listed.encode()).hexdigest(),
    )


def _label(path: str, below: str) -> str:
    parent = path.rpartition("/")[0]
    return "" if parent == below else parent.rpartition("/")[2]


def _refuse_empty(source: Root, tree: Folders, below: str) -> None:
    if tree.folder(below).holds_frames:
        raise UsageError(f"{source} holds the frames of one video; name the folder above it")
    notes = "".join(f" ({note})" for note in tree.notes())
    raise UsageError(
        f"no video below {source}{notes}; name a folder of video files such as .mp4 or .avi, "
        "or of folders of .jpg or .png frames"
    )
