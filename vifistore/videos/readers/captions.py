"""Videos with captions, many per video, in the forms that retrieval benchmarks ship.

- JSON `{"videos": [{"video_id", "split"}], "sentences": [{"video_id", "caption"}]}` (MSR-VTT);
- JSON list of `{"video", "caption"}`, where the caption may be a list.

A table with a column of captions is read by `table.py`. A name without extension is the file of
that name with any video's extension. None of these label their videos.
"""

from collections.abc import Iterable
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.draft import Draft
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.readers.json_files import load_json, text_of
from vifistore.videos.records import Line

_VIDEO_KEYS = ("video", "video_id", "path", "image")
_CAPTION_KEYS = ("caption", "captions", "sentence", "sentences")


def read_captions_json(source: Path, draft: Draft, class_file: Path | None) -> None:
    """A JSON file of captions: MSR-VTT's own splits, else one named like the file.

    Raises UsageError, with the entry, for what gives no captions.
    """
    if class_file is not None:
        raise UsageError(f"{source.name} gives captions and no classes; leave --labels out")
    content, digest = load_json(source)
    has_splits = isinstance(content, dict)
    lines = [*(_msrvtt(content, source) if has_splits else _plain(content, source))]
    if not lines:
        raise UsageError(f"{source} lists no video; give a file with at least one")
    add_lines(source, lines, digest, draft, [], names_splits=has_splits, match="name")


def _msrvtt(content: dict, source: Path) -> Iterable[Line]:
    videos, sentences = content.get("videos"), content.get("sentences")
    if not isinstance(videos, list) or not isinstance(sentences, list):
        raise UsageError(
            f"{source.name} lacks the list `videos` or `sentences`; give the whole file"
        )
    known = set()
    for number, entry in enumerate(videos, 1):
        where = f"{source.name} video {number}"
        video = text_of(entry, "video_id", where)
        known.add(video)
        yield Line(video, "", where, split=text_of(entry, "split", where, default=""))
    for number, entry in enumerate(sentences, 1):
        where = f"{source.name} sentence {number}"
        video = text_of(entry, "video_id", where)
        if video not in known:
            raise UsageError(f"{where}: {video!r} is not among `videos`; give the whole file")
        yield Line(video, "", where, captions=(text_of(entry, "caption", where),))


def _plain(content: object, source: Path) -> Iterable[Line]:
    if not isinstance(content, list):
        raise UsageError(f"{source.name} is no list of videos with captions; give one")
    for number, entry in enumerate(content, 1):
        where = f"{source.name} entry {number}"
        keys = entry if isinstance(entry, dict) else {}
        video = next((key for key in _VIDEO_KEYS if key in keys), _VIDEO_KEYS[0])
        caption = next((key for key in _CAPTION_KEYS if key in keys), _CAPTION_KEYS[0])
        texts = keys.get(caption)
        texts = texts if isinstance(texts, list) else [texts]
        captions = tuple(text for text in texts if isinstance(text, str))
        if len(captions) < len(texts):
            raise UsageError(f"{where}: expected a text {caption!r} or a list of them; mend it")
        yield Line(text_of(entry, video, where), "", where, captions=captions)
