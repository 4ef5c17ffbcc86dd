"""Published query files of moment retrieval: sentences, their videos and the right stretches.

    found = read_moment_queries(Path("highlight_val_release.jsonl"))
    found.benchmark, found.queries[0].text, found.queries[0].windows

- QVHighlights, `highlight_*_release.jsonl`: an object a line with qid, query, duration, vid,
  relevant_windows, relevant_clip_ids and saliency_scores.
- Charades-STA, `charades_sta_*.txt`: `VID start end##sentence` a line.
- ActivityNet-Captions, `val_1.json`: {vid: {duration, timestamps, sentences}}.

The kind is told by the content. A file may come from anywhere: what is no such query is refused,
with the place where it stands.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vifistore.errors import UsageError, short
from vifistore.files import read_regular

QVHIGHLIGHTS, CHARADES, ACTIVITYNET = "qvhighlights", "charades-sta", "activitynet-captions"
CLIP_SECONDS = 2.0
"""Clips of QVHighlights, which saliency is scored of."""
_LARGEST_BYTES = 256 * 2**20
_LONGEST_TEXT, _LONGEST_NAME = 2000, 255
# Eleven days: no benchmark has a longer video, and clips are counted by it.
_MOST_SECONDS = 1e6
_NUM_ANNOTATORS = 3


@dataclass(frozen=True, kw_only=True)
class MomentQuery:
    """One sentence about one video."""

    qid: int | str
    """As the file has it; where it has none, the number of the query in it, from 0."""
    text: str
    video: str
    """The benchmark's name of the video."""
    windows: np.ndarray
    """float64 [window 2]: the right stretches, seconds from the start of that video."""
    duration: float | None = None
    """Seconds, as the file has it."""
    saliency: Mapping[int, tuple[int, ...]] | None = None
    """Of each relevant clip of two seconds, by its number, what annotators said; None where the
    file has no such scores."""


@dataclass(frozen=True, kw_only=True)
class MomentQueries:
    """The queries of one file."""

    benchmark: str
    queries: list[MomentQuery]
    num_empty: int
    """Queries that were left out: they have no words, or no right stretch that ends behind its
    beginning."""
    digest: str
    """SHA-256 of the file."""


def read_moment_queries(path: Path) -> MomentQueries:
    """The queries of a published file. Raises UsageError for what is none, in one line."""
    try:
        content = read_regular(path, _LARGEST_BYTES)
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(
            f"{path} cannot be read ({told}); give a query file of QVHighlights (.jsonl), "
            "Charades-STA (.txt) or ActivityNet-Captions (.json)"
        ) from error
    benchmark, read = _kind_of(text, path)
    queries, seen, num_empty = [], set(), 0
    for query in read(text, path):
        _refuse(query.qid in seen, path, f"query {short(str(query.qid))} is there twice")
        seen.add(query.qid)
        if len(query.windows) and query.text:
            queries.append(query)
        else:
            num_empty += 1
    _refuse(not queries, path, "it has no query with a right stretch")
    digest = hashlib.sha256(content).hexdigest()
    return MomentQueries(benchmark=benchmark, queries=queries, num_empty=num_empty, digest=digest)


Read = Callable[[str, Path], Iterator[MomentQuery]]


def _kind_of(text: str, path: Path) -> tuple[str, Read]:
    first = text.lstrip()[:1]
    lines = text.split("\n", 1)
    if first == "{" and _object_of(lines[0]) is not None and "qid" in lines[0]:
        return QVHIGHLIGHTS, _qvhighlights
    if first == "{":
        return ACTIVITYNET, _activitynet
    if "##" in lines[0]:
        return CHARADES, _charades
    raise UsageError(
        f"{path} is no query file that is known: QVHighlights (.jsonl), Charades-STA "
        "(VID start end##sentence) or ActivityNet-Captions (.json)"
    )


def _object_of(line: str) -> dict | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _qvhighlights(text: str, path: Path) -> Iterator[MomentQuery]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        entry, where = _object_of(line), f"line {number}"
        if entry is None:
            raise _error(path, f"{where} is no JSON object")
        _refuse(
            "relevant_windows" not in entry,
            path,
            f"{where} has no relevant_windows, which the published test split keeps to itself",
        )
        qid = entry.get("qid")
        if not isinstance(qid, int | str) or isinstance(qid, bool):
            raise _error(path, f"{where} has no qid")
        duration = _duration(entry.get("duration"), path, where)
        yield MomentQuery(
            qid=qid,
            text=_text(entry.get("query"), path, where),
            video=_name(entry.get("vid"), path, where),
            windows=_windows(entry["relevant_windows"], path, where),
            duration=duration,
            saliency=_saliency(entry, duration, path, where),
        )


def _saliency(
    entry: Mapping, duration: float, path: Path, where: str
) -> dict[int, tuple[int, ...]] | None:
    if "saliency_scores" not in entry:
        return None
    clips, scores = entry.get("relevant_clip_ids"), entry["saliency_scores"]
    if not (isinstance(clips, list) and isinstance(scores, list) and len(clips) == len(scores)):
        raise _error(path, f"{where} has no saliency_scores for each of relevant_clip_ids")
    num_clips = int(duration / CLIP_SECONDS)
    for clip, of_clip in zip(clips, scores, strict=True):
        is_clip = type(clip) is int and 0 <= clip < num_clips
        _refuse(not is_clip, path, f"{where}: clip {short(str(clip))} is not in {num_clips} clips")
        is_whole = isinstance(of_clip, list) and len(of_clip) == _NUM_ANNOTATORS
        is_score = is_whole and all(type(s) is int and 0 <= s <= 4 for s in of_clip)
        _refuse(not is_score, path, f"{where}: saliency of clip {clip} is not three of 0 to 4")
    return {clip: tuple(of_clip) for clip, of_clip in zip(clips, scores, strict=True)}


def _charades(text: str, path: Path) -> Iterator[MomentQuery]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        head, mark, sentence = line.partition("##")
        words = head.split()
        if not mark or len(words) != 3:
            raise _error(path, f"{where} is not VID start end##sentence")
        try:
            window = [float(word) for word in words[1:]]
        except ValueError:
            raise _error(path, f"{where} has no start and end in seconds") from None
        yield MomentQuery(
            qid=number - 1,
            text=_text(sentence, path, where),
            video=_name(words[0], path, where),
            windows=_windows([window], path, where),
        )


def _activitynet(text: str, path: Path) -> Iterator[MomentQuery]:
    videos, number = _object_of(text), 0
    if videos is None:
        raise _error(path, "it is no JSON object {vid: {duration, timestamps, sentences}}")
    for video, entry in videos.items():
        where = f"video {short(video)}"
        entry = entry if isinstance(entry, dict) else {}
        windows, sentences = (_list(entry.get(name)) for name in ("timestamps", "sentences"))
        if not sentences or len(windows) != len(sentences):
            raise _error(path, f"{where} has no timestamps for each of its sentences")
        duration = _duration(entry.get("duration"), path, where)
        for window, sentence in zip(windows, sentences, strict=True):
            yield MomentQuery(
                qid=number,
                text=_text(sentence, path, where),
                video=_name(video, path, where),
                windows=_windows([window], path, where, duration),
                duration=duration,
            )
            number += 1


def _windows(found: object, path: Path, where: str, most: float = _MOST_SECONDS) -> np.ndarray:
    """float64 [window 2], cut at `most` seconds; one that ends before it begins is left out."""
    try:
        windows = np.array(found, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _error(path, f"{where} has a stretch that is no start and end") from None
    if windows.size == 0:
        return windows.reshape(0, 2)
    is_shaped = windows.ndim == 2 and windows.shape[1] == 2
    if not is_shaped or not (np.isfinite(windows) & (np.abs(windows) <= _MOST_SECONDS)).all():
        raise _error(path, f"{where} has a stretch that is no start and end in seconds")
    windows = np.clip(windows, 0.0, most)
    return windows[windows[:, 1] > windows[:, 0]]


def _duration(found: object, path: Path, where: str) -> float:
    is_number = type(found) in (int, float)
    if isinstance(found, int | float) and is_number and 0 < found <= _MOST_SECONDS:
        return float(found)
    raise _error(path, f"{where} has no duration in seconds")


def _list(found: object) -> list:
    """A list as it is; what is none as an empty one."""
    return found if isinstance(found, list) else []


def _text(found: object, path: Path, where: str) -> str:
    """A sentence in one line, without what no reader sees: published files have some of that."""
    if not isinstance(found, str) or len(found) > _LONGEST_TEXT:
        raise _error(path, f"{where} has no sentence")
    return " ".join("".join(c if c.isprintable() else " " for c in found).split())


def _name(found: object, path: Path, where: str) -> str:
    """The name of a video."""
    if not isinstance(found, str) or not found.isprintable() or not 0 < len(found) <= _LONGEST_NAME:
        raise _error(path, f"{where} has no name of a video in plain letters")
    return found


def _refuse(is_wrong: bool, path: Path, what: str) -> None:
    if is_wrong:
        raise _error(path, what)


def _error(path: Path, what: str) -> UsageError:
    return UsageError(f"{path}: {what}; give the file as it was published")
