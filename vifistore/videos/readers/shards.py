"""Shards: uncompressed tar files of videos, plain or by the habits of WebDataset.

A video `key.mp4` may have beside it `key.cls` (its class, a name or a number), `key.txt` (a
caption) and `key.json` (an object with a label, a caption or both). Where no shard tells a class,
the label is the folder of the video in its shard.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from vifistore.errors import UsageError, first_few, short
from vifistore.files import parse_json_object
from vifistore.sources.extensions import extension, is_video
from vifistore.sources.roots import Root
from vifistore.sources.shard_index import ShardIndex
from vifistore.videos.class_search import class_files_of
from vifistore.videos.columns import WORDS
from vifistore.videos.draft import Draft
from vifistore.videos.folders import Folders, below_root
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.records import Line
from vifistore.videos.shard_names import named_shards
from vifistore.videos.text_lines import decoded


def read_shards(
    source: Root, draft: Draft, class_file: Path | None, patterns: Sequence[str] = ()
) -> None:
    """Every video of the shards below `source`, or of those that `patterns` name there; one split.

    Raises UsageError for shards that cannot be read, and where there is no video.
    """
    tree = draft.tree
    assert isinstance(tree, Folders), "known videos stand for those that a table or a list names"
    below = below_root(source, tree.root)
    shards = named_shards(tree, below, patterns) if patterns else tree.shards(below)
    lines: list[Line] = []
    for shard, index in zip(shards, tree.indexes(shards), strict=True):
        found, wrong = _lines(shard, index)
        lines += found
        draft.notes += [f"{shard}: {note}" for note in index.notes()]
        if wrong:
            what = "what stands beside videos cannot be read"
            draft.notes.append(f"{shard}: {what}: {first_few(wrong)}")
    if not lines:
        told = f" ({short(draft.notes[0], 120)})" if draft.notes else ""
        raise UsageError(f"no video is in {first_few(shards)}{told}; name shards that hold videos")
    if not any(line.label for line in lines):
        lines = [line._replace(label=_folder_of(line.path)) for line in lines]
    told = "".join(f"{line.path}\t{line.label}\n" for line in lines)
    name = Path(source.name or "shards")
    files = class_files_of(name, class_file) if class_file else []
    add_lines(name, lines, hashlib.sha256(told.encode()).hexdigest(), draft, files)


def _lines(shard: str, index: ShardIndex) -> tuple[list[Line], list[str]]:
    """The videos of a shard, and the names of what stands beside them and cannot be read."""
    told, wrong = _texts(index)
    lines = []
    for name in filter(is_video, index.members):
        key, _ = _key_and_kind(name)
        texts = told.get(key, {})
        try:
            facts = _facts(texts.get("json", ""))
        except ValueError:
            facts = {}
            wrong.append(f"{key}.json")
        label = texts.get("cls") or _of(facts, "label")
        captions = dict.fromkeys((texts.get("txt", ""), _of(facts, "caption")))
        given = tuple(caption for caption in captions if caption)
        lines.append(Line(f"{shard}/{name}", label, f"{shard} {name}", captions=given))
    return lines, wrong


def _texts(index: ShardIndex) -> tuple[dict[str, dict[str, str]], list[str]]:
    """What stands beside videos, by key and kind, and the names of what is no text."""
    told: dict[str, dict[str, str]] = {}
    wrong = []
    for name, content in index.texts.items():
        key, kind = _key_and_kind(name)
        try:
            told.setdefault(key, {})[kind] = decoded(content, name).strip()
        except UsageError:
            wrong.append(name)
    return told, wrong


def _facts(text: str) -> dict:
    """The fields of an object by lower-case name. Raises ValueError for what is none."""
    return {name.lower(): value for name, value in parse_json_object(text or "{}").items()}


def _key_and_kind(name: str) -> tuple[str, str]:
    """What the files of a sample share, up to the first point of the name, and the extension."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition('.')[0]}", extension(last)


def _of(facts: dict, role: str) -> str:
    """The field of a role as text, "" where there is none."""
    value = next((facts[word] for word in WORDS[role] if word in facts), "")
    is_text = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip() if is_text else ""


def _folder_of(path: str) -> str:
    """The folder of a video in its shard, "" right in it."""
    folder = path.rpartition("/")[0].rpartition("/")[2]
    return "" if folder.lower().endswith(".tar") else folder
