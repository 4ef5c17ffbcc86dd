"""MSVD, the Microsoft Research Video Description Corpus: many captions of parts of YouTube videos.

- AllVideoDescriptions.txt: `VID_START_END sentence` a line, beside lines that begin with `#`
  (cs.utexas.edu/users/ml/clamp/videoDescription);
- the whole corpus as a table, VideoID,Start,End,...,Language,Description, of which the English
  captions are taken.

A part is a file of its own, called `VID_START_END`. Splits are lists of these names, which
`vifi scan --append` adds to the dataset.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.videos.draft import Draft
from vifistore.videos.readers.entries import add_lines
from vifistore.videos.records import Line
from vifistore.videos.text_lines import read_text

_LINE = re.compile(r"([\w-]{11}_\d{1,6}_\d{1,6})\s+(\S+\s+\S.*)", re.ASCII)
_COLUMNS = {"videoid", "start", "end", "language", "description"}
_LOOKED_AT = 200


def is_msvd(text: str) -> bool:
    """True for lines of sentences by their first ones, and for the table of the corpus by its
    header. Labels of several words follow names with an extension alone."""
    lines = [line for _, line in _said(text[:100_000])][:_LOOKED_AT]
    if not lines:
        return False
    if set(lines[0].lower().split(",")) >= _COLUMNS:
        return True
    # The last one may be cut.
    return all(_LINE.fullmatch(line) for line in lines[:-1] or lines)


def read_msvd(source: Path, draft: Draft, class_file: Path | None) -> None:
    """One split, named like the file. Raises UsageError with the line for what is no caption."""
    if class_file is not None:
        raise UsageError(f"{source.name} gives captions and no classes; leave --labels out")
    text, digest = read_text(source)
    is_table = "," in next(_said(text))[1].partition(" ")[0]
    lines = [*(_of_table(text, source.name) if is_table else _of_lines(text, source.name))]
    if not lines:
        raise UsageError(f"{source} has no English caption; give the whole corpus")
    add_lines(source, lines, digest, draft, [], match="clip")


def _said(text: str) -> Iterator[tuple[int, str]]:
    """Numbers and lines, without blank ones and remarks."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def _of_lines(text: str, name: str) -> Iterator[Line]:
    for number, line in _said(text):
        where = f"{name} line {number}"
        match = re.fullmatch(r"(\S+)\s+(\S.*)", line)
        if match is None:
            raise UsageError(f"{where}: expected VID_START_END and a sentence; mend the line")
        yield Line(match[1], "", where, captions=(match[2],))


def _of_table(text: str, name: str) -> Iterator[Line]:
    # From the header on, which remarks may stand before.
    first = next(_said(text))[0] - 1
    lines = io.StringIO("".join(text.splitlines(keepends=True)[first:]))
    rows = csv.DictReader(lines, restkey="more", restval="")
    rows.fieldnames = [field.strip().lower() for field in rows.fieldnames or ()]
    for row in _checked(rows, name, first):
        if row["language"] == "English" and row["description"].strip():
            video = f"{row['videoid']}_{row['start']}_{row['end']}"
            caption = " ".join(row["description"].split())
            yield Line(video, "", f"{name} line {first + rows.line_num}", captions=(caption,))


def _checked(rows: csv.DictReader, name: str, before: int) -> Iterator[dict[str, str]]:
    try:
        yield from rows
    except csv.Error as error:
        # Its number is that of the last line that was read.
        where = f"{name} line {before + rows.line_num + 1}"
        raise UsageError(f"{where}: {error}; mend the row") from error
