"""One entry of a study for every combination of values."""

import re
from collections.abc import Iterator, Mapping
from itertools import product

from vifistore.errors import UsageError, short

EACH = "each"
_PLACE = re.compile(r"\{(\w+)\}")
_MOST = 10_000


def expanded(where: str, name: str, table: Mapping) -> Iterator[tuple[str, dict]]:
    """Yield name and fields of every entry that a table stands for.

    Raises UsageError where its `each` holds anything but lists, or makes one name twice.
    """
    fields = {key: value for key, value in table.items() if key != EACH}
    axes = table.get(EACH, {})
    if not isinstance(axes, dict) or not all(isinstance(v, list) for v in axes.values()):
        raise UsageError(f"{where}: each is no table of lists; write each = {{ seed = [1, 2] }}")
    if any(isinstance(entry, dict | list) for axis in axes.values() for entry in axis):
        raise UsageError(f"{where}: each holds more than texts and numbers; give a plain list")
    if empty := [axis for axis, entries in axes.items() if not entries]:
        raise UsageError(
            f"{where}: {empty[0]} of each is an empty list; give a value, or leave it out"
        )
    combinations = 1
    for axis, values in axes.items():
        combinations *= len(values)
        if f"{{{axis}}}" not in name:
            told = f"write [{where.partition('.')[0]}.'{short(name, 40)}-{{{axis}}}']"
            raise UsageError(f"{where}: its name has no {{{axis}}}, so all would be one; {told}")
    if combinations > _MOST:
        raise UsageError(f"{where}: each makes {combinations} of it; give at most {_MOST}")
    for values in product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        yield (
            str(filled(name, chosen)),
            {key: filled(value, chosen) for key, value in fields.items()},
        )


def filled(value: object, chosen: Mapping[str, object]) -> object:
    """A value with `{name}` replaced in all its texts, wherever `chosen` has that name.

    A text that is nothing but `{name}` becomes the value itself, which may be a number; in a list
    it stays a text, as lists are words.
    """
    if isinstance(value, dict):
        return {str(filled(key, chosen)): filled(entry, chosen) for key, entry in value.items()}
    if isinstance(value, list):
        words = [filled(entry, chosen) for entry in value]
        return [str(w) if isinstance(v, str) else w for v, w in zip(value, words, strict=True)]
    if not isinstance(value, str):
        return value
    whole = _PLACE.fullmatch(value)
    if whole and whole[1] in chosen:
        return chosen[whole[1]]
    return _PLACE.sub(lambda place: str(chosen.get(place[1], place[0])), value)
