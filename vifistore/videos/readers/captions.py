"""Videos with captions, many per video, in the forms that retrieval benchmarks ship.

- JSON `{"videos": [{"video_id", "split"}], "sentences": [{"video_id", "caption"}]}`: MSR-VTT whole,
  as in MSRVTT_data.json (github.com/ArrowLuo/CLIP4Clip, msrvtt_data.zip);
- JSON list of `{"video", "caption"}`, where the caption may be a list: DiDeMo's `{"video",
  "description"}` (github.com/LisaAnne/LocalizingMoments, data/test_data.json), and VATEX's
  `{"videoID", "enCap": [...]}` (vatex_validation_v1.0.json of its page), of which the English
  captions are taken;
- JSON `{VID: {"duration", "timestamps", "sentences"}}`: ActivityNet-Captions (val_1.json of Krishna
  et al. 2017), whose videos are taken whole.

A table with a column of captions, as MSR-VTT's 1k-A split (MSRVTT_JSFUSION_test.csv), is read by
`table.py`, MSVD's by `msvd.py`. A name without extension is the file of that name with any video's
extension. None of these label their videos.
"""

from collections.abc import Iterable
from pathlib import Path

from vifistore.errors import UsageError, short
from vifistore.videos.draft import Draft
from vifistore.videos.match import clip_times
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.readers.json_files import load_json, text_of
from vifistore.videos.records import Line

_VIDEO_KEYS = ("video", "video_id", "path", "image", "videoID")
_CAPTION_KEYS = ("caption", "captions", "sentence", "sentences", "description", "enCap")


def is_activitynet_captions(content: object) -> bool:
    """True for an object of videos with sentences, by the first of them."""
    entry = next(iter(content.values()), None) if isinstance(content, dict) else None
    return isinstance(entry, dict) and {"timestamps", "sentences"} <= entry.keys()


def read_captions_json(source: Path, draft: Draft, class_file: Path | None) -> None:
    """A JSON file of captions: MSR-VTT's own splits, else one named like the file.

    Raises UsageError, with the entry, for what gives no captions.
    """
    content, digest = _content_of(source, class_file)
    has_splits = isinstance(content, dict)
    lines = [*(_msrvtt(content, source) if has_splits else _plain(content, source))]
    if not lines:
        raise UsageError(f"{source} lists no video; give a file with at least one")
    match = "clip" if all(clip_times(line.path) for line in lines) else "name"
    add_lines(source, lines, digest, draft, [], names_splits=has_splits, match=match)


def read_activitynet_captions(source: Path, draft: Draft, class_file: Path | None) -> None:
    """One split, named like the file; the times of sentences are not read.

    Raises UsageError, with the video, for what gives no sentences.
    """
    content, digest = _content_of(source, class_file)
    assert isinstance(content, dict), "is_activitynet_captions chose this reader"
    lines = []
    for name, entry in content.items():
        where = f"{source.name} video {short(name, 40)}"
        captions = _texts(entry.get("sentences") if isinstance(entry, dict) else None)
        if not captions:
            raise UsageError(f"{where}: expected a list of texts 'sentences'; mend the entry")
        lines.append(Line(name, "", where, captions=captions))
    draft.notes.append(
        f"{source.name}: videos are whole, and the times of their sentences are not read; "
        "vifi evaluate S moment-retrieval --queries takes them"
    )
    add_lines(source, lines, digest, draft, [], match="youtube")


def _content_of(source: Path, class_file: Path | None) -> tuple[object, str]:
    if class_file is not None:
        raise UsageError(f"{source.name} gives captions and no classes; leave --labels out")
    return load_json(source)


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
        captions = _texts(keys.get(caption))
        if captions is None:
            raise UsageError(f"{where}: expected a text {caption!r} or a list of them; mend it")
        yield Line(text_of(entry, video, where), "", where, captions=captions)


def _texts(found: object) -> tuple[str, ...] | None:
    """A text or a list of them, without blanks around; None where it is neither."""
    texts = found if isinstance(found, list) else [found]
    captions = tuple(text.strip() for text in texts if isinstance(text, str))
    return captions if len(captions) == len(texts) else None
