"""Hits as a file: CSV for a spreadsheet, JSON, or a shell script that cuts them out with ffmpeg.

    save_hits(Path("hits.csv"), answers, searcher)

The kind goes by the ending: .csv, .json or .sh. A path comes from a table of videos, which anybody
may have written: what a shell or a spreadsheet would run is quoted.
"""

import json
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vifi.searching.answers import Answer
from vifistore.errors import StoreError, UsageError

if TYPE_CHECKING:
    from harness.retrieval.hits import Hit, VideoTable
    from harness.retrieval.search import Searcher
    from vifistore.sources.footage import Footage

# Where the videos of a dataset are told.
TableOf = Callable[[str], "VideoTable"]

# Of a query of several terms, what `Answer.compared` has.
_COMPARED = ("files_compared", "files")
_NAME_LENGTH = 80
_HEAD = """\
#!/bin/sh
# Cuts the hits of a search out of their videos: sh THIS_FILE [FOLDER]
# Each is encoded anew by ffmpeg, from the first frame of its stretch on; files that are there stay.
set -u
mkdir -p -- "${1:-.}" && CDPATH= cd -- "${1:-.}" || exit 1
failed=0
"""


def documents(answers: Sequence[Answer], features: str) -> list[dict]:
    """What `vifi search --json` prints of each answer."""
    return [
        {
            **{"query": one.query, "features": features},
            **(dict(zip(_COMPARED, one.compared, strict=True)) if one.compared else {}),
            "hits": [hit.as_dict() for hit in one.hits],
        }
        for one in answers
    ]


def hits_as_csv(answers: Sequence[Answer], features: str, table_of: TableOf) -> str:
    """A line per hit: query, features, and what `Hit.as_dict` tells."""
    import pandas as pd

    from harness.results.csv_tables import to_safe_csv

    names = ("rank", "score", "dataset", "id", "path", "label", "start_seconds", "end_seconds")
    lines = [
        {"query": one["query"], "features": one["features"], **hit}
        for one in documents(answers, features)
        for hit in one["hits"]
    ]
    return to_safe_csv(pd.DataFrame(lines, columns=["query", "features", *names]))


def hits_as_json(answers: Sequence[Answer], features: str, table_of: TableOf) -> str:
    """The document of one query, or of several under `queries`."""
    told = documents(answers, features)
    whole = told[0] if len(told) == 1 else {"queries": told}
    return json.dumps(whole, indent=2) + "\n"


def hits_as_cuts(answers: Sequence[Answer], features: str, table_of: TableOf) -> str:
    """A shell script: a call of ffmpeg per hit, and a comment where ffmpeg cannot reach its video.

    A hit without a known end is cut up to the end of its file.
    """
    hits = [hit for one in answers for hit in one.hits]
    lines = [_cut(number, hit, table_of) for number, hit in enumerate(hits, start=1)]
    return _HEAD + "".join(f"{line}\n" for line in lines) + 'exit "$failed"\n'


WRITERS: dict[str, Callable[[Sequence[Answer], str, TableOf], str]] = {
    ".csv": hits_as_csv,
    ".json": hits_as_json,
    ".sh": hits_as_cuts,
}
"""What writes a file, by its ending."""


def check_savable(paths: Sequence[Path]) -> None:
    """Raise UsageError for a file whose ending says no kind."""
    for path in paths:
        if path.suffix not in WRITERS:
            raise UsageError(
                f"--save {shlex.quote(str(path))} ends in none of {', '.join(WRITERS)}; these make "
                "a table, a document and a script that cuts the hits out with ffmpeg"
            )


def save_hits(path: Path, answers: Sequence[Answer], searcher: "Searcher") -> None:
    """Write the hits, whole or not at all; missing folders are made, a file that is there goes.

    Raises UsageError for another ending, StoreError where nothing can be written.
    """
    from vifistore.store.key_value.durable import put_file

    check_savable([path])
    tables = {table.dataset.name: table for table in searcher.tables}
    text = WRITERS[path.suffix](answers, searcher.name, tables.__getitem__)
    try:
        put_file(path, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}); give another") from error


def _cut(number: int, hit: "Hit", table_of: TableOf) -> str:
    # Decoders are only imported where there is something to cut.
    from vifistore.frames.bitstreams.shown_frames import seconds_before

    try:
        footage = _reachable(hit, table_of(hit.dataset))
    except StoreError as error:
        # In JSON a line break of a name ends no comment.
        return f"# {number}: {json.dumps(str(error))}"
    late = seconds_before(footage)
    times = ["-ss", f"{late + (hit.start_seconds or 0.0):.3f}"]
    times += ["-to", f"{late + hit.end_seconds:.3f}"] if hit.end_seconds is not None else []
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{hit.dataset}-{hit.id}")[:_NAME_LENGTH]
    words = ["ffmpeg", "-nostdin", "-y", "-loglevel", "error", *times, "-i", footage.address]
    target = f"./{number:03d}-{name}.mp4"
    # What is stopped leaves no part that looks whole.
    part = f"./{number:03d}-{name}.part.mp4"
    return f"[ -e {target} ] || {{ {shlex.join(words)} {part} && mv {part} {target}; }} || failed=1"


def _reachable(hit: "Hit", table: "VideoTable") -> "Footage":
    """The video of a hit, where ffmpeg finds it. Raises StoreError where it cannot."""
    from vifi.searching.video_files import video_file
    from vifistore.sources.footage import LocalFile
    from vifistore.sources.web import WebFile

    footage = video_file(table.files, hit.row, table.dataset.name)
    if footage.folder or not isinstance(footage, LocalFile | WebFile):
        raise StoreError(f"ffmpeg does not read {footage.address}")
    return footage
