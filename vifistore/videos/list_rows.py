"""A list or a table of videos as rows of columns with known roles.

A table has a header, or as many fields in every line, parted by tabs, semicolons, bars or commas.
All else is a list: `path`, `path label`, or for stored frames `folder num_frames label`, parted by
blanks. A path may hold blanks where it ends in a video's extension or stands in quotes.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vifistore.errors import UsageError, short
from vifistore.sources.extensions import VIDEO_LINE, is_video
from vifistore.videos.columns import (
    all_numbers,
    has_videos,
    is_header,
    is_measure,
    labels_of,
    roles_by_content,
    roles_by_words,
)
from vifistore.videos.line_fields import (
    DELIMITERS,
    content_lines,
    split_fields,
    table_of,
    unquoted,
    whole_number,
)
from vifistore.videos.text_lines import read_text

Numbered = Sequence[tuple[int, str]]

_QUOTED = re.compile(r"([\"'])(.+?)\1(?:[\s,;|]+(.*))?")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What a file lists, before paths and labels are looked at."""

    header: list[str]
    """The names of the columns as written; empty where the file has no header."""
    roles: dict[str, int]
    """Which column has which role of `vifistore.videos.columns`."""
    records: list[tuple[int, list[str]]]
    """Line number and fields of every row."""
    digest: str = ""
    """SHA-256 of the file."""
    notes: list[str] = field(default_factory=list)

    def value(self, fields: Sequence[str], role: str) -> str:
        """The field of a role, "" where there is none."""
        return fields[self.roles[role]] if role in self.roles else ""


def read_rows(source: Path) -> Rows:
    """The rows of a list or a table. Raises UsageError with the line where it is neither."""
    text, digest = read_text(source)
    numbered = content_lines(text)
    if not numbered:
        raise UsageError(f"{source} lists no video; write one `path label` line for each")
    rows = _headed(numbered, source.name) or _table(numbered, source.name)
    rows = rows or _list(numbered, source.name)
    if not rows.records:
        raise UsageError(f"{source} lists no video; write one row for each below the header")
    return replace(rows, digest=digest)


def header_of(text: str) -> list[str]:
    """The names of the columns where a text's first line gives them, else none."""
    lines = [line for _, line in content_lines(text[:100_000])[:1]]
    if not lines:
        return []
    delimiter, columns = _columns(lines[0])
    return columns if delimiter or len(columns) == 1 else []


def _columns(line: str) -> tuple[str, list[str]]:
    """Delimiter and columns of a header; "" and one column, or "" and none."""
    for delimiter in DELIMITERS:
        if delimiter in line:
            (_, fields), *_ = split_fields([line], delimiter)
            if is_header(fields):
                return delimiter, fields
    columns = line.split()
    return "", columns if len(columns) == 1 and is_header(columns) else []


def _headed(numbered: Numbered, name: str) -> Rows | None:
    """A table below a header of known words."""
    delimiter, header = _columns(numbered[0][1])
    if not header:
        return None
    if len(set(map(str.lower, header))) < len(header):
        raise UsageError(f"{name} line {numbered[0][0]}: a column comes twice; name each once")
    records = _records(numbered, delimiter or "\t", name)[1:]
    for index, (number, fields) in enumerate(records):
        if len(fields) < len(header) or any(fields[len(header) :]):
            raise UsageError(
                f"{name} line {number}: {len(fields)} fields under {len(header)} columns; quote a "
                "field that holds a comma"
            )
        records[index] = number, fields[: len(header)]
    return _rows(header, records, name)


def _rows(header: list[str], records: list[tuple[int, list[str]]], name: str) -> Rows:
    """Rows whose label is the first column of labels that are names, if there is one.

    Beside the videos alone, a column of any other name gives their class.
    """
    roles, notes = roles_by_words(header), []
    for column in labels_of(header):
        if not all_numbers([fields[column] for _, fields in records]):
            roles = roles | {"label": column}
            break
    if len(header) == 2 and len(roles) == 1 and not is_measure(other := header[1 - roles["path"]]):
        roles = roles | {"label": 1 - roles["path"]}
        notes = [f"{name}: the column {short(other)!r} is read as the class"]
    return Rows(header=header, roles=roles, records=records, notes=notes)


def _records(numbered: Numbered, delimiter: str, name: str) -> list[tuple[int, list[str]]]:
    records, end = [], 0
    try:
        for end, fields in split_fields((line for _, line in numbered), delimiter):
            if any(fields):
                records.append((numbered[end - 1][0], fields))
    except csv.Error as error:
        number = numbered[min(end, len(numbered) - 1)][0]
        raise UsageError(
            f"{name} line {number}: {error}; mend the line, and close quotes that it opens"
        ) from error
    return records


def _table(numbered: Numbered, name: str) -> Rows | None:
    """A table without a header of known words: as many fields in every line."""
    lines = [line for _, line in numbered]
    delimiter, rows = table_of(lines)
    if not rows:
        for delimiter in DELIMITERS if any('"' in line for line in lines) else ():
            if all(delimiter in line for line in lines):
                _records(numbered, delimiter, name)
        return None
    # A path may hold commas.
    if not has_videos(rows) and all(VIDEO_LINE.fullmatch(line.strip()) for line in lines):
        return None
    roles, has_header = roles_by_content(rows, name)
    header = rows[0] if has_header else []
    numbers = [number for number, _ in _records(numbered, delimiter, name)]
    records = list(zip(numbers, rows, strict=True))[has_header:]
    shown = (
        ", ".join(f"{role} {short(header[at])!r}" for role, at in roles.items()) if header else ""
    )
    notes = [f"{name}: columns are read as {shown}"] if shown else []
    return Rows(header=header, roles=roles, records=records, notes=notes)


def _list(numbered: Numbered, name: str) -> Rows:
    """Lines parted by blanks, below a header or not."""
    words = numbered[0][1].split()
    if is_header(words) and (len(numbered) > 1 or "label" in roles_by_words(words)):
        records = [
            (number, _fields(line, words, f"{name} line {number}")) for number, line in numbered[1:]
        ]
        return _rows(words, records, name)
    notes = []
    if len(numbered) > 1 and _is_above(numbered):
        notes = [f"{name} line {numbered[0][0]} is read as a header: {short(numbered[0][1])!r}"]
        numbered = numbered[1:]
    records = [(number, [*parse_line(line, f"{name} line {number}")]) for number, line in numbered]
    _refuse_more(records, name)
    return Rows(header=[], roles={"path": 0, "label": 1}, records=records, notes=notes)


def _is_above(numbered: Numbered) -> bool:
    """Whether the first line is words above lines of videos."""
    first, *others = [line.strip() for _, line in numbered]
    is_data = any(
        "/" in word or "\\" in word or whole_number(word) is not None for word in first.split()
    )
    videos = (VIDEO_LINE.fullmatch(line) or _QUOTED.fullmatch(line) for line in others)
    return not (is_data or VIDEO_LINE.fullmatch(first) or _QUOTED.fullmatch(first)) and all(videos)


def _fields(line: str, header: Sequence[str], where: str) -> list[str]:
    """The fields of a line below a header parted by blanks, whose paths may hold blanks."""
    count = len(header)
    if count > 1 and roles_by_words(header).get("path") == count - 1:
        fields = line.split(None, count - 1)
    else:
        path, rest = _path_and_rest(line.strip())
        fields = [path, *(rest.split() if count != 2 else [rest])]
    if len(fields) != count:
        raise UsageError(
            f"{where}: {len(fields)} fields under the {count} columns {' '.join(header)!r}; mend "
            "the line, or part its fields by commas"
        )
    return fields


def _path_and_rest(line: str) -> tuple[str, str]:
    match = _QUOTED.fullmatch(line)
    if match:
        return match.group(2), (match.group(3) or "").strip()
    match = VIDEO_LINE.fullmatch(line)
    if match:
        return match.group(1), (match.group(2) or "").strip()
    path, _, rest = line.partition("\t" if "\t" in line else " " if " " in line else ",")
    return path.strip(), rest.strip()


def parse_line(line: str, where: str) -> tuple[str, str]:
    """Path and label of a line, "" where it has none. Raises UsageError."""
    line = line.strip()
    path, rest = _path_and_rest(line)
    is_certain = is_video(path) or _QUOTED.fullmatch(line)
    numbers = [whole_number(word) for word in re.split(r"[\s,;|]+", rest)]
    if is_certain:
        if len(numbers) > 1 and None not in numbers:
            raise UsageError(f"{where}: several labels for one video; write `path label`")
        return path, unquoted(rest)
    if len(numbers) == 2 and None not in numbers:
        # Stored frames: their number, and the label.
        return path, re.split(r"[\s,;|]+", rest)[1]
    is_one = not re.search(r"[\s,]", rest) or "\t" in line
    if not path or not is_one or line.rstrip().endswith(","):
        raise UsageError(f"{where}: expected `path label`, found {line[:60]!r}; mend the line")
    return path, unquoted(rest)


def _refuse_more(records: Sequence[tuple[int, list[str]]], name: str) -> None:
    """Refuse lines of more than a label: every one has a number first, or times."""
    rests = [label.split() for _, (_, label) in records if label]
    if not rests or any(len(words) < 2 for words in rests):
        return
    leads = all(whole_number(words[0]) is not None for words in rests)
    timed = all(any(re.fullmatch(r"\d+\.\d+", word) for word in words) for words in rests)
    if leads or timed:
        shown = repr(short(next(label for _, (_, label) in records if label)))
        raise UsageError(
            f"{name}: several fields behind every video ({shown}); write `path label`, or a header "
            "line that names the columns, such as `path label split`"
        )
