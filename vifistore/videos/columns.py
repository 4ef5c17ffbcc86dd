"""What the columns of a table of videos mean: by the words of a header, or by what they hold."""

from collections.abc import Sequence

from vifistore.errors import UsageError, short
from vifistore.sources.extensions import is_video
from vifistore.videos.line_fields import whole_number, word_of
from vifistore.videos.match import youtube_id

# Role -> words of headers; of several that a header has, the first one here.
# fmt: off
WORDS: dict[str, tuple[str, ...]] = {
    "path": (
        "path", "video_path", "videopath", "file_path", "filepath", "clip_path", "relative_path",
        "rel_path", "full_path", "frame_dir", "frames_path", "file", "file_name", "filename",
        "video_file", "video", "videos", "video_name", "videoname", "vid_name", "clip", "clip_name",
        "video_id", "vid", "clip_id", "name", "id", "key", "uri",
    ),
    "youtube": ("youtube_id", "youtubeid", "ytid", "yt_id", "youtube_video_id"),
    "start": ("time_start", "start", "start_time", "start_seconds", "start_sec", "t_start"),
    "end": ("time_end", "end", "end_time", "end_seconds", "end_sec", "t_end"),
    "label": (
        "label", "class", "class_name", "classname", "label_name", "category", "category_name",
        "action", "action_name", "action_label", "activity", "tag", "target", "class_label",
        "label_id", "class_id", "class_idx", "class_index", "label_idx", "label_index", "labels",
        "classes", "y",
    ),
    "split": ("split", "subset", "partition", "set"),
    "id": ("id",),
    "caption": ("caption", "captions", "sentence", "sentences", "description", "text"),
}
SPLIT_NAMES = frozenset((
    "train", "training", "val", "valid", "validate", "validation", "dev", "test", "testing",
    "eval", "evaluation",
))
# What is told of a video and is not its class.
_MEASURES = frozenset((
    "duration", "fps", "width", "height", "frames", "num_frames", "n_frames", "total_frames",
    "length", "size", "bytes", "seconds", "md5", "sha256", "checksum", "note", "notes", "comment",
    "url", "group", "fold", "source", "resolution", "index",
))
# fmt: on


def is_measure(word: str) -> bool:
    """Whether a column tells something else of a video than its class."""
    return word_of(word) in _MEASURES or word_of(word) == ""


def roles_by_words(header: Sequence[str]) -> dict[str, int]:
    """Which column has which role, given a header; without "path" and "youtube" it is none.

    `id` is a video's own id beside a column of paths, and its path without one.
    """
    words = [word_of(field) for field in header]
    roles = {
        role: words.index(found)
        for role, known in WORDS.items()
        if (found := next((word for word in known if word in words), None))
    }
    if "youtube" in roles:
        roles.pop("path", None)
    if roles.get("path") == roles.get("id"):
        roles.pop("id", None)
    return roles


def labels_of(header: Sequence[str]) -> list[int]:
    """Columns that may hold the classes by the words of a header, likeliest first."""
    words = [word_of(field) for field in header]
    return [words.index(word) for word in WORDS["label"] if word in words]


def is_header(header: Sequence[str]) -> bool:
    """Whether a first line names its columns by known words."""
    if any(is_video(field) or whole_number(field) is not None for field in header):
        return False
    return not roles_by_words(header).keys().isdisjoint(("path", "youtube"))


def all_numbers(column: Sequence[str]) -> bool:
    """Whether a column holds whole numbers and nothing else but empty fields."""
    filled = [field for field in column if field]
    return bool(filled) and all(whole_number(field) is not None for field in filled)


def roles_by_content(rows: Sequence[Sequence[str]], source: str) -> tuple[dict[str, int], bool]:
    """Roles of columns whose header has other words or is none, and whether there is one.

    Videos are told by their extension or as YouTube ids, splits by their names; what is left is
    the class. Raises UsageError, which shows the first row, where that is not one column.
    """
    body = rows[1:] or rows
    columns = [*zip(*body, strict=True)]
    role, index = _video_column(columns)
    if role is None:
        return _without_videos(rows, source), False
    is_one = is_video if role == "path" else youtube_id
    has_header = not is_one(rows[0][index])
    named = roles_by_words(rows[0]) if has_header else {}
    roles = {key: column for key, column in named.items() if key not in ("path", "youtube")}
    roles = {key: column for key, column in roles.items() if column != index} | {role: index}
    left = [
        column
        for column in range(len(columns))
        if column not in roles.values() and any(columns[column])
    ]
    if "label" not in roles:
        roles |= _remaining(columns, left, role, rows[0], source)
    return roles, has_header


def has_videos(rows: Sequence[Sequence[str]]) -> bool:
    """Whether one column holds videos and nothing else, below a header or not."""
    return _video_column([*zip(*(rows[1:] or rows), strict=True)])[0] is not None


def _video_column(columns: Sequence[Sequence[str]]) -> tuple[str | None, int]:
    videos = [index for index, column in enumerate(columns) if all(map(is_video, column))]
    if videos:
        folders = [index for index in videos if any("/" in path for path in columns[index])]
        return "path", (folders or videos)[0]
    for index, column in enumerate(columns):
        # Other names may have eleven characters too; most YouTube ids hold a capital.
        capitals = sum(field != field.lower() for field in column)
        if all(youtube_id(field) == field != "" for field in column) and 2 * capitals > len(column):
            return "youtube", index
    return None, 0


def _without_videos(rows: Sequence[Sequence[str]], source: str) -> dict[str, int]:
    """Roles of `frames,label` and `frames,count,label`: folders and files without extension."""
    columns = [*zip(*rows, strict=True)]
    if len(columns) == 2:
        # `0,frames` or `1234,Holding something`: classes come again, videos do not.
        is_turned = (
            all_numbers(columns[0])
            and len(set(columns[1])) == len(rows)
            and len(set(columns[0])) < len(rows)
        )
        return {"path": int(is_turned), "label": int(not is_turned)}
    if len(columns) == 3 and all_numbers(columns[1]) and all_numbers(columns[2]):
        return {"path": 0, "label": 2}
    raise UsageError(
        f"{source}: which column holds the videos is not clear in "
        f"{short(','.join(rows[0]), 80)!r}; write a header line that names it `path` and that of "
        "their classes `label`"
    )


def _remaining(
    columns: Sequence[Sequence[str]], left: list[int], role: str, row: Sequence[str], source: str
) -> dict[str, int]:
    roles: dict[str, int] = {}
    if role == "youtube":
        times = [column for column in left if all_numbers(columns[column])][:2]
        roles |= dict(zip(("start", "end"), times, strict=False))
    splits = [column for column in left if set(map(str.lower, columns[column])) <= SPLIT_NAMES]
    if splits and len(left) > len(roles) + 1:
        roles["split"] = splits[0]
    left = [column for column in left if column not in roles.values()]
    if len(left) > 1:
        raise UsageError(
            f"{source}: which column gives the class is not clear in "
            f"{short(','.join(row), 80)!r}; write a header line such as path,label,split"
        )
    return roles | ({"label": left[0]} if left else {})
