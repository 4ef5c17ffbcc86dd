"""Which videos were cut from one source, so that one tells more of the other than of its class.

Rows of one file are stretches of it. Beyond that, unless a regular expression says it: names of
UCF101 and UCF50 (`v_Archery_g01_c02.avi`) tell a group of clips, those of HMDB51
(`April_09_brush_hair_u_nm_np1_ba_goo_0.avi`: film, class, what is seen and how, number; the README
of the dataset) a film, whatever the classes of its clips are, and those of Kinetics and MSVD
(`ID_000010_000020.mp4`) the id of a YouTube video.
"""

import re
from pathlib import PurePosixPath

import numpy as np

from vifistore.errors import UsageError, short
from vifistore.store.dataset import Dataset

FILES = "file"
_HMDB_CLASSES = (
    "brush_hair|cartwheel|catch|chew|clap|climb|climb_stairs|dive|draw_sword|dribble|drink|eat|"
    "fall_floor|fencing|flic_flac|golf|handstand|hit|hug|jump|kick|kick_ball|kiss|laugh|pick|pour|"
    "pullup|punch|push|pushup|ride_bike|ride_horse|run|shake_hands|shoot_ball|shoot_bow|shoot_gun|"
    "sit|situp|smile|smoke|somersault|stand|swing_baseball|sword|sword_exercise|talk|throw|turn|"
    "walk|wave"
)
# The shortest film: of "film_climb_stairs_" the class is climb_stairs.
_HMDB_NAME = (
    rf"(.+?)(?:_(?:{_HMDB_CLASSES}))?_[fhlu]_(?:cm|nm)_np\d+_[a-z]{{2}}_(?:bad|med|goo)_\d+"
)
# What is told of groups, and what is searched in names without their extension.
_NAMED = {
    "UCF group": re.compile(r"(v_.+_g\d+)_c\d+", re.ASCII),
    "HMDB film": re.compile(_HMDB_NAME, re.ASCII),
    "YouTube video": re.compile(r"([\w-]{11})(?:_\d{1,9}(?:\.\d+)?){2}", re.ASCII),
}


def sources_of(dataset: Dataset, rows: np.ndarray, pattern: str = "") -> tuple[np.ndarray, str]:
    """Number of the source of each of `rows`, int64 [row], and what tells it, in a few words.

    `pattern` is searched in paths: its first group, or all of the match, is the source; a path
    without a match is one itself. Raises UsageError for a pattern that is none or matches nothing.
    """
    paths = [str(path) for path in dataset.column("path")[rows]]
    found, told = _by_pattern(paths, pattern) if pattern else _by_names(paths)
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in found], np.int64), told


def _by_pattern(paths: list[str], pattern: str) -> tuple[list[str], str]:
    shown = short(repr(pattern))
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--groups {shown} is no regular expression: {error}") from error
    matches = [regex.search(path) for path in paths]
    if not any(matches):
        raise UsageError(
            f"--groups {shown} matches no path (first: {short(paths[0])}); it is searched in the "
            "path below the root"
        )
    names = [(match[1] if regex.groups else match[0]) if match else None for match in matches]
    # A source may be called as a file is.
    found = [f"/{path}" if name is None else name for path, name in zip(paths, names, strict=True)]
    return found, short(pattern)


def _by_names(paths: list[str]) -> tuple[list[str], str]:
    found, told = [], set()
    for path in paths:
        stem = PurePosixPath(path).stem
        matches = {name: regex.fullmatch(stem) for name, regex in _NAMED.items()}
        kind, source = next(
            ((name, match[1]) for name, match in matches.items() if match), (FILES, f"/{path}")
        )
        found.append(source)
        told.add(kind)
    return found, " or ".join(kind for kind in (*_NAMED, FILES) if kind in told)
