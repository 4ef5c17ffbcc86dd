"""Which files are videos, and which are frames of one, told by their extension."""

import os
import re

# fmt: off
VIDEO_EXTENSIONS = frozenset((
    "3g2", "3gp", "asf", "avi", "divx", "f4v", "flv", "gif", "h264", "m2ts", "m2v", "m4v", "mjpeg",
    "mkv", "mov", "mp4", "mpe", "mpeg", "mpg", "mts", "mxf", "ogg", "ogm", "ogv", "rm", "rmvb",
    "ts", "vob", "webm", "wmv", "y4m",
))
# fmt: on
# The shortest path of a line that ends in a video's extension, and what follows it.
VIDEO_LINE = re.compile(
    rf"(.*?\.(?:{'|'.join(sorted(VIDEO_EXTENSIONS))}))(?:[\s,;|]+(.*))?", re.IGNORECASE
)
FRAME_EXTENSIONS = frozenset(("jpg", "jpeg", "png"))


def extension(name: str) -> str:
    """Lower-case extension of a file name without its dot, "" where there is none."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def stem(name: str) -> str:
    """File name without folders and without a video's extension."""
    name = name.rpartition("/")[2]
    return name.rpartition(".")[0] if extension(name) in VIDEO_EXTENSIONS else name


def is_video(name: str) -> bool:
    """True where the extension is one of a video file."""
    return extension(name) in VIDEO_EXTENSIONS


def frames_in(folder: str | os.PathLike[str]) -> dict[str, os.stat_result]:
    """The stored frames of a folder by name, hidden files left out. Raises OSError."""
    with os.scandir(folder) as entries:
        return {
            entry.name: entry.stat()
            for entry in entries
            if is_frame(entry.name) and not entry.name.startswith(".") and entry.is_file()
        }


def is_frame(name: str) -> bool:
    """True where the extension is one of a stored frame (JPEG or PNG)."""
    return extension(name) in FRAME_EXTENSIONS
