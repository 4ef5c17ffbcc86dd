"""Times that lists give of their videos: read, and held against the files that are there.

A list names a part of a long video, and the file may be that video, or a clip that was cut out of
it by these times. A clip is told by its name, as `<id>_000010_000020.mp4`, or else by its length.
"""

import math
import re
from collections.abc import Collection, Mapping

from vifistore.errors import UsageError
from vifistore.videos.cutting import Cut, Part, in_parts
from vifistore.videos.match import clip_times
from vifistore.videos.records import Listing
from vifistore.videos.stretches import WHOLE, Stretch
from vifistore.videos.text_lines import some

_CLOCK = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,9}(?:\.\d{0,9})?)", re.ASCII)
# A cut begins and ends at pictures of its codec's choice, and may be cut short.
_CLIP_FACTOR = 1.5
_CUT_SECONDS = 2.0


def listed_stretch(start: str, end: str, where: str) -> Stretch:
    """The stretch of two fields: seconds, or a clock's `[hours:]minutes:seconds`, or empty.

    Raises UsageError for what is no time, and for an end that is not behind the start.
    """
    times = [seconds_of(text) if text else None for text in (start, end)]
    if any(text and time is None for text, time in zip((start, end), times, strict=True)):
        raise UsageError(f"{where}: {(start, end)} are no times in seconds; mend the row")
    begin, last = times[0] or 0.0, times[1]
    if last is not None and begin >= last:
        raise UsageError(f"{where}: ends at {end} and begins at {start}; mend the row")
    return Stretch(begin, last)


def seconds_of(text: str) -> float | None:
    """Seconds of a text, None for what is no time."""
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (float(group or 0) for group in match.groups())
        return 3600 * hours + 60 * minutes + seconds
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < math.inf else None


def named_stretch(listed: str, file: str, stretch: Stretch, match: str) -> Stretch:
    """Which part of the file that was found a listed video is, as far as names tell.

    A file whose name has the times is a clip, and all of it is meant. Where a list of clips by
    YouTube ids finds a file without times, it is taken for the whole download.
    """
    times = clip_times(file)
    if stretch.is_whole:
        told = clip_times(listed) if match in ("youtube", "clip") and times is None else None
        return Stretch(*told) if told and told[0] < told[1] else WHOLE
    if times is None:
        return stretch
    is_that = [math.floor(time) for time in times] == [
        math.floor(time) for time in (stretch.start, stretch.end or -1)
    ]
    return WHOLE if is_that or match == "youtube" else stretch


def settled(listing: Listing, rows: Collection[int], seconds: Mapping[str, float]) -> Cut:
    """A listing whose stretches are held against the lengths of files by path, 0 for unknown ones.

    A file that is as long as the stretch, and not as long as where it ends, is a clip, of which all
    is meant. One that ends before the stretch begins is left out. Raises UsageError where all are.
    """
    parts: dict[int, list[Part]] = {}
    clips, beyond, unknown = [], [], []
    for row in rows:
        stretch, path = listing.stretch(row), listing.paths[row]
        if stretch.is_whole:
            continue
        length = seconds.get(path, 0.0)
        found = _in_file(stretch, length) if length else stretch
        (unknown if not length else clips if found == WHOLE else []).append(path)
        if found is None:
            beyond.append(listing.ids[row])
        if found != stretch:
            video = listing.video(row)
            parts[row] = [] if found is None else [(video + found.suffix, found)]
    timed = sum(not listing.stretch(row).is_whole for row in rows)
    if timed and len(beyond) == timed == len(listing.ids):
        raise UsageError(
            f"all {timed:,} listed stretches begin behind the ends of their files (first: "
            f"{beyond[0]}); give times in seconds from the first frame, or --whole to ignore them"
        )
    return Cut(
        listing=in_parts(listing, parts),
        notes=_notes(timed, clips, beyond),
        warnings=_warnings(timed, beyond, unknown),
    )


def _in_file(stretch: Stretch, length: float) -> Stretch | None:
    """A stretch of a file of a known length: all of a clip that was cut by it, None behind it.

    Of a clip the length is about that of the stretch, of the whole video at least where the
    stretch ends: the nearer one is it.
    """
    if stretch.end is not None:
        wanted = stretch.end - stretch.start
        is_nearer = abs(length - wanted) < stretch.end - length
        least, most = wanted / _CLIP_FACTOR - _CUT_SECONDS, wanted * _CLIP_FACTOR + _CUT_SECONDS
        if is_nearer and least <= length <= most:
            return WHOLE
    if stretch.start >= length:
        return None
    is_to_end = stretch.end is None or stretch.end >= length
    return Stretch(stretch.start, None) if is_to_end else stretch


def _notes(timed: int, clips: Collection[str], beyond: Collection[str]) -> list[str]:
    rest = timed - len(clips) - len(beyond)
    notes = [f"{rest:,} videos are stretches of their files, by the times that are listed"]
    if clips:
        told = "listed stretches are taken as all of their files, which are as long as they"
        notes.append(f"{len(clips):,} {told}: {some(clips)}")
    return notes if timed else []


def _warnings(timed: int, beyond: Collection[str], unknown: Collection[str]) -> list[str]:
    warnings = []
    if beyond:
        told = "listed stretches begin behind the ends of their files, and are left out"
        warnings.append(f"{len(beyond):,} of {timed:,} {told}: {some(beyond)}")
    if unknown:
        told = "files do not tell how long they are, and are taken for whole videos that their "
        told += "listed stretches are parts of (--whole takes all of them)"
        warnings.append(f"{len(set(unknown)):,} {told}: {some(unknown)}")
    return warnings
