"""Where pictures lie in a results folder, and which a page may show."""

from pathlib import Path, PurePosixPath

from harness.results.whole_files import FOLDER

_PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".webp")


def thumbnail_path(dataset: str, row: int, seconds: float | None = None) -> str:
    """Where the picture of a video, or of a moment of it, stands below the results folder."""
    moment = "" if seconds is None else f"-{round(1000 * seconds)}"
    return f"{FOLDER}/thumbnails/{dataset}/{row}{moment}.jpg"


def picture_path(folder: Path, name: str | None) -> str:
    """A picture's path as a page in `folder` may link it, or "" for one that is not there.

    Only relative paths below `folder`, to files that are pictures by their name.
    """
    if not name or PurePosixPath(name).suffix.lower() not in _PICTURES:
        return ""
    path = folder / name
    try:
        is_shown = path.resolve().is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError):
        # No file has a name that long, or with a zero byte in it.
        return ""
    return PurePosixPath(name).as_posix() if is_shown else ""
