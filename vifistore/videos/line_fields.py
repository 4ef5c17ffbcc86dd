"""Lines that others wrote, parted into fields; and the words that their headers use."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

# Tried in this order: the later ones are more often part of a name.
DELIMITERS = ("\t", ";", "|", ",")

# One field is never longer than this many characters; the csv module would stop at 131,072.
_FIELD_LIMIT = 1 << 20
# At most nine digits: longer ones are no label, and Python refuses to parse very long ones.
_WHOLE = re.compile(r"(-1|\d{1,9})(?:\.0*)?", re.ASCII)
# What spreadsheets write above a table to name its delimiter.
_COMMENT = re.compile(r"#(?:\s|#|$)")
_SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE)

# fmt: off
ID_WORDS = frozenset((
    "id", "ids", "index", "idx", "label", "label_id", "label_idx", "label_index", "class_id",
    "class_idx", "class_index", "class", "number", "num", "no", "key", "target", "y", "",
))
NAME_WORDS = frozenset((
    "name", "names", "class", "classes", "class_name", "classname", "class_names", "label",
    "labels", "label_name", "labelname", "action", "action_name", "category", "category_name",
    "text", "title",
))
# fmt: on


def content_lines(text: str) -> list[tuple[int, str]]:
    """Lines with their numbers, without blanks around them, blank lines and comments.

    A comment begins with "#" and a blank, or is "#" alone: videos of HMDB51 begin with "#" too.
    Tabs stay: they may part empty fields.
    """
    numbered = ((number, line.strip(" \r")) for number, line in enumerate(text.split("\n"), 1))
    lines = [pair for pair in numbered if pair[1].strip() and not _COMMENT.match(pair[1])]
    return lines[1:] if lines and _SEPARATOR.fullmatch(lines[0][1]) else lines


def split_fields(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Fields of every record without blanks and quotes, and how many lines end with it.

    Quotes may hold the delimiter, and line ends, which become blanks. Raises csv.Error, also for a
    quote that is not closed: it would swallow the lines behind it.
    """
    csv.field_size_limit(_FIELD_LIMIT)
    lines = [f"{line}\n" for line in lines]
    form = {"delimiter": delimiter, "skipinitialspace": True}
    reader, end = csv.reader(lines, **form), 0
    for fields in reader:
        if reader.line_num > end + 1:
            list(csv.reader(lines[end : reader.line_num], **form, strict=True))
        end = reader.line_num
        yield end, [unquoted(field.replace("\n", " ")) for field in fields]


def table_of(lines: Sequence[str]) -> tuple[str, list[list[str]]]:
    """The one delimiter that parts every line into as many fields, and the rows; "" and none."""
    for delimiter in DELIMITERS:
        if all(delimiter in line for line in lines):
            try:
                every = [fields for _, fields in split_fields(lines, delimiter)]
            except csv.Error:
                continue
            rows = aligned([fields for fields in every if any(fields)])
            if rows and len(rows[0]) > 1:
                return delimiter, rows
    return "", []


def aligned(rows: Sequence[list[str]]) -> list[list[str]]:
    """Rows without the columns that are empty at the end, as spreadsheets leave them behind.

    None where some row is shorter than that.
    """
    filled = [
        max((position for position, field in enumerate(row, 1) if field), default=1) for row in rows
    ]
    width = max(filled, default=0)
    return [row[:width] for row in rows] if all(len(row) >= width for row in rows) else []


def word_of(field: str) -> str:
    """A column's name in the form of the word lists: lower case, with underscores."""
    return re.sub(r"[\s./-]+", "_", field.strip().strip("\"'#").lower()).strip("_")


def is_word(field: str, words: frozenset[str]) -> bool:
    """True where a field is one of some words, however it is written."""
    return word_of(field) in words


def whole_number(field: str) -> int | None:
    """A whole number, written as 3, 03 or 3.0, or -1; None for anything else."""
    match = _WHOLE.fullmatch(field)
    return int(match.group(1)) if match else None


def unquoted(text: str) -> str:
    """A text without the pair of quotes around it."""
    text = text.strip()
    if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1].strip()
    return text
