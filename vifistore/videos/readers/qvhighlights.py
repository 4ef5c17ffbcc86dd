"""QVHighlights' JSON lines: queries about clips, each a file that is called by its times already.

    {"qid": 1, "query": "...", "vid": "<youtube id>_60.0_210.0", "duration": 150,
     "relevant_windows": [[0, 16]], ...}

A clip is a whole video, and its queries are its captions. The windows are moments to be found in
it, and no videos. Where the clips were never cut, a YouTube id leads to the whole download.
"""

from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.draft import Draft
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.readers.json_files import load_json, text_of
from vifistore.videos.records import Line


def is_qvhighlights(content: object) -> bool:
    """True for queries about clips, by the first of them."""
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and {"qid", "query", "vid"} <= first.keys()


def read_qvhighlights(source: Path, draft: Draft, class_file: Path | None) -> None:
    """One split, named like the file. Raises UsageError, with the entry, for what is no query."""
    if class_file is not None:
        raise UsageError(f"{source.name} gives queries and no classes; leave --labels out")
    content, digest = load_json(source)
    assert isinstance(content, list), "is_qvhighlights chose this reader"
    lines = []
    for number, entry in enumerate(content, 1):
        where = f"{source.name} line {number}"
        captions = (text_of(entry, "query", where),)
        lines.append(Line(text_of(entry, "vid", where), "", where, captions=captions))
    add_lines(source, lines, digest, draft, [], match="clip")
