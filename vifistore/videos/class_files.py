"""Files that give the classes their names, in the forms that circulate.

Text: one name a line; `id name`, `id: name` or `name id` lines; a table of ids and names parted by
commas, semicolons, tabs or bars, with any header or none. JSON: a list of names or of
`{"id", "name"}`, an object of name to id or of id to name, or a file that holds one of these under
`id2label`, `classes` or the like.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from vifistore.errors import UsageError, first_few, short
from vifistore.files import parse_json
from vifistore.videos.class_names import ClassFile
from vifistore.videos.line_fields import (
    ID_WORDS,
    NAME_WORDS,
    content_lines,
    is_word,
    table_of,
    unquoted,
    whole_number,
)
from vifistore.videos.text_lines import read_text, some

Pairs = list[tuple[int, str]]

_PART = r"(?:\s*[:=,;]\s*|[.)]\s+|\s+-\s+|\s+)"
_NUMBERED = re.compile(rf"(\d{{1,9}}(?:\.0+)?){_PART}(\S.*)", re.ASCII)
_NUMBER_LAST = re.compile(r"(\S.*?)(?:\s*[:=]\s*|\s+)(\d{1,9}(?:\.0+)?)", re.ASCII)
_DEPTH = 4
# Under what other files keep them.
_KEYS = (
    *("id2label", "idx2label", "idx_to_class", "id_to_label", "label2id", "label2idx"),
    *("class_to_idx", "label_to_id", "classes", "class_names", "labels", "label_map", "names"),
    *("categories",),
)


def read_class_file(path: Path, *, may_be_cut: bool = False) -> ClassFile:
    """Class names from text or JSON, in the order of their ids.

    `may_be_cut` says that ids do not count, since the lists name their classes as well: a file may
    lack some. Raises UsageError where ids have gaps, a name comes twice, or there are no names; it
    shows the first ones as they were understood.
    """
    text, _ = read_text(path)
    if path.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "["):
        pairs = _json_pairs(_parsed(text, path.name), path.name)
    else:
        pairs = _text_pairs(text, path.name)
    if may_be_cut:
        pairs = [(id, name) for id, (_, name) in enumerate(sorted(pairs), 1)]
    return _class_file(pairs, path.name)


def is_class_header(line: str) -> bool:
    """True for the first line of a table of ids and names."""
    for delimiter in "\t;|,":
        fields = line.split(delimiter)
        if len(fields) == 2:
            one, other = fields
            pairs = ((one, other), (other, one))
            return any(is_word(a, ID_WORDS) and is_word(b, NAME_WORDS) for a, b in pairs)
    return False


def is_class_table(lines: Sequence[str]) -> bool:
    """True where the first lines of a table count classes: `0,abseiling`, below a header or not.

    Videos may be called 1 and 2, too: their labels come again, or do not stand second.
    """
    has_header = bool(lines) and is_class_header(lines[0])
    _, rows = table_of(lines)
    if len(rows) < 2:
        return has_header and bool(rows)
    index = _id_column(rows)
    if index is None or (index and not has_header):
        return False
    rows = rows[whole_number(rows[0][index]) is None :]
    ids = _all_known(whole_number(row[index]) for row in rows)
    names = [row[not index] for row in rows]
    if ids is None or not _is_count(ids) or ids != sorted(ids):
        return False
    return len(set(names)) == len(names) and None in map(whole_number, names)


def _text_pairs(text: str, source: str) -> Pairs:
    lines = [line.strip() for _, line in content_lines(text)]
    delimiter, rows = table_of(lines)
    if rows:
        ids = _id_column(rows)
        if ids is not None:
            return _table_pairs(rows, ids, source)
        if delimiter != ",":
            # A name may hold a comma.
            raise _unclear(rows[0], source)
    elif lines and is_class_header(lines[0]) and len(lines) > 1:
        raise UsageError(
            f"{source} has other columns below its header {lines[0]!r}; write `id,name` lines, and "
            "quote a name that holds a comma"
        )
    for pattern, is_turned in ((_NUMBERED, False), (_NUMBER_LAST, True)):
        if pairs := _line_pairs(lines, pattern, is_turned=is_turned):
            return pairs
    if source.lower().endswith((".yaml", ".yml")):
        raise UsageError(f"{source}: YAML is read as `id: name` lines alone; write it so, or JSON")
    if len(lines) > 1 and is_word(lines[0], NAME_WORDS):
        del lines[0]
    return list(enumerate(_without_brackets([unquoted(line) for line in lines])))


def _line_pairs(lines: Sequence[str], pattern: re.Pattern, *, is_turned: bool) -> Pairs:
    """Pairs where every line has an id, below a header or not; none otherwise."""
    found = [pattern.fullmatch(line) for line in lines]
    matches = found if found and found[0] else found[1:]
    if not matches or not all(matches):
        return []
    groups = [match.groups()[:: -1 if is_turned else 1] for match in matches]
    pairs = [(int(float(id)), unquoted(name)) for id, name in groups]
    # A name may end in a number: only where these count the classes are they ids.
    return [] if is_turned and not _is_count([id for id, _ in pairs]) else pairs


def _id_column(rows: Sequence[Sequence[str]]) -> int | None:
    """The column that counts the classes, whose first field may be a header."""
    columns = [[whole_number(field) for field in column] for column in zip(*rows, strict=True)]
    if len(rows) == 1:
        candidates = [index for index, column in enumerate(columns) if column[0] in (0, 1)]
        return candidates[0] if candidates else 0 if is_class_header(",".join(rows[0])) else None
    candidates = [index for index, column in enumerate(columns) if None not in column[1:]]
    headed = [index for index in candidates if is_word(rows[0][index], ID_WORDS - {""})]
    counting = [
        index for index in candidates if _is_count([id for id in columns[index] if id is not None])
    ]
    if not candidates and is_class_header(",".join(rows[0])):
        return 0 if is_word(rows[0][0], ID_WORDS) else 1
    return next(iter([*headed, *counting, *candidates]), None)


def _table_pairs(rows: Sequence[Sequence[str]], ids: int, source: str) -> Pairs:
    has_header = whole_number(rows[0][ids]) is None
    others = [index for index in range(len(rows[0])) if index != ids]
    if len(others) > 1 and has_header:
        others = [index for index in others if is_word(rows[0][index], NAME_WORDS)]
    if len(others) != 1:
        raise _unclear(rows[0], source)
    pairs = []
    for row in rows[has_header:]:
        number = whole_number(row[ids])
        if number is None:
            raise UsageError(
                f"{source}: {short(row[ids])!r} in {short(','.join(row))!r} is no whole number; "
                "write `id,name` lines"
            )
        pairs.append((number, unquoted(row[others[0]])))
    return pairs


def _unclear(row: Sequence[str], source: str) -> UsageError:
    shown = short(",".join(row))
    return UsageError(
        f"{source}: which column names the classes is not clear in {shown!r}; write `id,name` lines"
    )


def _is_count(ids: Sequence[int]) -> bool:
    """Whether ids run from 0 or 1 without gaps, in any order."""
    return bool(ids) and min(ids) in (0, 1) and sorted(ids) == [*range(min(ids), max(ids) + 1)]


def _parsed(text: str, source: str) -> object:
    try:
        return parse_json(text)
    except ValueError as error:
        raise UsageError(f"{source} gives no class names: it is no JSON; mend it") from error


def _json_pairs(content: object, source: str) -> Pairs:
    if isinstance(content, dict):
        inner = _held(content)
        if inner is not None:
            return _json_pairs(inner, source)
        pairs = _object_pairs(content)
    elif isinstance(content, list) and all(isinstance(name, str) for name in content):
        pairs = list(enumerate(map(unquoted, content)))
    else:
        pairs = _entry_pairs(content) if isinstance(content, list) else []
    if pairs:
        return pairs
    keys = f" (it holds {first_few(map(repr, content))})" if isinstance(content, dict) else ""
    raise UsageError(
        f"{source} gives no class names{keys}; write an object of name to id, one of id to name, "
        "or a list of names"
    )


def _held(content: dict, depth: int = 0) -> dict | list | None:
    """What an object holds under one of the keys, at most a few levels down."""
    for key in _KEYS:
        if isinstance(content.get(key), dict | list):
            return content[key]
    inner = (value for value in content.values() if isinstance(value, dict) and depth < _DEPTH)
    return next((found for value in inner if (found := _held(value, depth + 1)) is not None), None)


def _object_pairs(content: dict) -> Pairs:
    """Pairs of an object of name to id, or of id to name; none of any other."""
    ids = _all_known(map(_json_number, content.values()))
    numbers = _all_known(map(whole_number, content))
    if ids is not None and numbers is None:
        return list(zip(ids, map(unquoted, content), strict=True))
    are_names = all(isinstance(name, str) for name in content.values())
    # Numbers on both sides could be read both ways.
    if numbers is None or not are_names or ids is not None:
        return []
    return list(zip(numbers, map(unquoted, content.values()), strict=True))


def _entry_pairs(entries: list) -> Pairs:
    """Pairs of a list of objects with an id and a name; none of any other."""
    pairs = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            return []
        names = [entry[key] for key in entry if is_word(key, NAME_WORDS)]
        names = [name for name in names if isinstance(name, str)]
        numbers = [_json_number(entry[key]) for key in entry if is_word(key, ID_WORDS)]
        numbers = [number for number in numbers if number is not None]
        if len(names) != 1 or len(numbers) > 1:
            return []
        pairs.append((numbers[0] if numbers else index, unquoted(names[0])))
    return pairs


def _all_known(numbers: Iterable[int | None]) -> list[int] | None:
    """The numbers, or None where one of them is none."""
    listed = list(numbers)
    known = [number for number in listed if number is not None]
    return known if len(known) == len(listed) else None


def _json_number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return whole_number(str(value))


def _without_brackets(names: list[str]) -> list[str]:
    """Something-Something V2's templates as its class names, others untouched.

    Its category.txt sorts the templates with their brackets ("Pushing [something] ..."), but the
    ids of its lists count the names sorted without them.
    """
    if not any("[something]" in name for name in names):
        return names
    return sorted(template_name(name) for name in names)


def template_name(template: str) -> str:
    """The class name of a Something-Something V2 template: the brackets are dropped."""
    return template.replace("[", "").replace("]", "")


def _class_file(pairs: Pairs, source: str) -> ClassFile:
    if not pairs:
        raise UsageError(f"{source} names no class; write one `id,name` line for each")
    pairs = sorted(pairs)
    ids, names = [id for id, _ in pairs], [name for _, name in pairs]
    read = first_few(f"{id} {short(name, 40)!r}" for id, name in pairs)
    if not _is_count(ids) or len(set(ids)) < len(ids):
        raise UsageError(
            f"{source}: ids must run from 0 (or 1) without gaps (read as {read}); number them again"
        )
    repeated = [
        name
        for before, name in zip(sorted(names), sorted(names)[1:], strict=False)
        if before == name
    ]
    if repeated or "" in names:
        problem = f"named twice: {short(some(repeated))}" if repeated else "an id without a name"
        raise UsageError(f"{source}: {problem} (read as {read}); give every class its own name")
    return ClassFile(names=names, first_id=ids[0], source=source)
