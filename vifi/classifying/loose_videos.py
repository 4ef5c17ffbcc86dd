"""Videos that are in no store: encoded as `vifi extract` would, in a store that goes afterwards."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vifistore.errors import UsageError, short
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.scanning.scan import scan_new
from vifistore.sources.remote_root import RemoteRoot
from vifistore.sources.roots import root_of
from vifistore.store.features import Features
from vifistore.store.store import create_store
from vifistore.videos.records import Listing
from vifistore.videos.tree import Tree

logger = logging.getLogger("vifi")

_NAME = "videos"


@contextlib.contextmanager
def encoded_videos(listing: Listing, settings: ExtractSettings) -> Iterator[Features]:
    """The feature set of listed videos, while the context lasts; raises as `extract_dataset`."""
    # torch and OpenCLIP take seconds to import: only once the call is known to be right.
    from vifistore.extract.job import extract_dataset
    from vifistore.models.towers import load_model

    loaded = load_model(settings.model, settings.pretrained, weights=settings.weights)
    # Labels come after the videos: what texts follow in a video has to be kept until then.
    settings = replace(settings, keep_tokens=bool(loaded.optional))
    with tempfile.TemporaryDirectory(prefix="vifi-classify-") as folder:
        dataset = create_store(Path(folder, "S.zarr")).new_dataset(_NAME)
        scan_new(dataset, listing)
        report = extract_dataset(dataset, settings, loaded=loaded)
        yield dataset.features(report.name)


def list_videos(sources: Sequence[str]) -> Listing:
    """Files and what videos folders hold, each once, called as they were given.

    Raises UsageError for a path that is not there or no file, and for a folder without videos.
    """
    found: dict[str, str] = {}
    for source in sources:
        for name, path in _videos_of(source):
            found.setdefault(path, name)
    # Of one file that lies right below it the root is its folder.
    root = os.path.commonpath([os.path.dirname(path) for path in found])
    return Listing(
        ids=list(found.values()),
        paths=[os.path.relpath(path, root) for path in found],
        labels=[""] * len(found),
        root=Path(root),
        class_names=[],
    )


def _videos_of(source: str) -> Iterator[tuple[str, str]]:
    """The videos of a file or a folder: what each is called, and where it lies."""
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the name {source!r:.80} is not UTF-8; rename the file") from error
    if isinstance(url := root_of(source), RemoteRoot):
        raise UsageError(
            f"{short(url, 120)} lies on a server; copy it, or take it into a store: "
            "vifi scan S LIST --root URL"
        )
    path = os.path.realpath(source)
    if os.path.isfile(path):
        yield source, path
        return
    if not os.path.isdir(path):
        raise UsageError(_not_there(source))
    if os.path.isfile(os.path.join(path, "zarr.json")):
        raise UsageError(f"{short(source, 120)} is a store; its own videos need no --model")
    tree = Tree(root=Path(path))
    if tree.folder("").holds_frames:
        yield source, path
        return
    names = tree.videos()
    for note in tree.notes():
        logger.info("%s: %s", short(source), note)
    if not names:
        raise UsageError(f"{short(source)} holds no video; name video files or a folder of them")
    for name in names:
        yield os.path.join(source, name), os.path.realpath(os.path.join(path, name))


def _not_there(source: str) -> str:
    if source.isdecimal():
        return f"{source} is no video; --num-frames {source} samples so many frames of each"
    what = "is no video file" if os.path.exists(source) else "does not exist"
    return f"{short(source, 120)} {what}; name video files or folders of them"
