"""Kinetics' official CSV: header `label,youtube_id,time_start,time_end,split`, in any order.

Downloads differ in folder, time stamps and extension, so a video is found by its YouTube id. Test
lists of the challenge have no label.
"""

from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.class_search import class_files_of
from vifistore.videos.draft import Draft
from vifistore.videos.match import youtube_id
from vifistore.videos.readers.labels import Line, add_videos, class_labels
from vifistore.videos.readers.lists import split_name
from vifistore.videos.readers.table import add_splits, parse_table

ID_COLUMN = "youtube_id"


def read_kinetics(source: Path, draft: Draft, class_file: Path | None) -> None:
    """One split per value of the `split` column, or one named like the file."""
    columns, records, digest = parse_table(source, ID_COLUMN)
    lines = [
        Line(_path(record, where), record.get("label", ""), where) for where, record in records
    ]
    draft.match = "youtube"
    labels, names = class_labels(lines, class_files_of(source, class_file), draft, source)
    rows = add_videos(lines, labels, draft)
    draft.names_splits = "split" in columns
    members = [record.get("split", split_name(source.stem)) for _, record in records]
    add_splits(draft, members, rows, labels, names, source=source.name, digest=digest)


def _path(record: dict[str, str], where: str) -> str:
    """`<id>_<start>_<end>.mp4` with six digits each, the name most downloads give."""
    video = record[ID_COLUMN]
    if youtube_id(video) != video:
        raise UsageError(f"{where}: {video!r} is no YouTube id of 11 characters; mend the row")
    times = [record.get(column, "") for column in ("time_start", "time_end")]
    if not all(times):
        return f"{video}.mp4"
    try:
        start, end = (int(float(time)) for time in times)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{where}: {times} are no times in seconds; mend the row") from error
    return f"{video}_{start:06d}_{end:06d}.mp4"
