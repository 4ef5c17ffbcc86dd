"""Files that were scanned before and are others now: what a dataset holds of them is of before."""

import os
from pathlib import Path
from stat import S_ISREG

from vifistore.scanning.growing import StoredFiles
from vifistore.videos.records import Listing
from vifistore.videos.text_lines import some


def overwritten_told(stored: StoredFiles, listing: Listing) -> list[str]:
    """One line where listed files of this machine have another size or date than when they were
    scanned; else none. None is opened, and folders of frames are not looked into."""
    if not isinstance(listing.root, Path):
        return []
    known = stored.below(listing.root)
    paths = [path for path in dict.fromkeys(listing.paths) if path in known]
    found = [f"{path} ({why})" for path in paths if (why := _change(stored, listing.root, path))]
    if not found:
        return []
    counted = f"{len(found):,} of {len(paths):,} files that the dataset has changed since they were"
    return [
        f"{counted} scanned, and their rows stay as they were: {some(found)}; give what is new "
        "names of its own, or scan the folder as another --dataset"
    ]


def _change(stored: StoredFiles, root: Path, path: str) -> str:
    """What is other of a file, in a few words; empty where nothing is, or it cannot be said."""
    before = stored.probe(path)
    try:
        now = os.stat(root / path)
    # In a shard it is no file; one that is gone is told by who reads it.
    except OSError:
        return ""
    if before is None or not S_ISREG(now.st_mode):
        return ""
    if now.st_size != before.size_bytes:
        return f"{before.size_bytes:,} bytes then, {now.st_size:,} now"
    return "" if now.st_mtime_ns == before.mtime_ns else "of another date"
