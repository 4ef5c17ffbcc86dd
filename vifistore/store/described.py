"""Descriptions of classes: several texts of each, as somebody wrote them or a language model did.

The file is a JSON object of class names, each with its texts:

    {"jump": ["a person bends the knees", "a person is in the air"], "run": "a person runs"}

Texts are encoded as they are, without a template. Their order counts where frames are aligned with
them. A text set of such texts keeps them in its attributes; of a class with fewer texts than others
the embeddings behind them are zero.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vifistore.errors import DamagedError, UsageError, first_few, first_line, short
from vifistore.files import read_regular

DESCRIPTIONS = "descriptions"
"""Field of a text set: a list of texts of each class, in the order of `class_names`."""

Descriptions = Mapping[str, tuple[str, ...]]
"""Class name -> its texts, in order."""

# Of a class: all classes have room for as many as the one that has most.
MOST_TEXTS = 256
_MOST_BYTES = 64 * 2**20


def read_descriptions(path: Path) -> dict[str, tuple[str, ...]]:
    """The texts of every class of a file.

    Raises UsageError for a file that cannot be read or is no such object, and for a class without
    texts, with an empty one or more than 256.
    """
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise ValueError(f"it has {size:,} bytes, and {_MOST_BYTES:,} are the most")
        found = json.loads(read_regular(path).decode("utf-8-sig"), object_pairs_hook=_once_each)
    except (OSError, ValueError, RecursionError) as error:
        told = f"descriptions {short(path)} cannot be read: {first_line(error)}"
        raise UsageError(f"{told}; give a JSON object {{class: [texts]}}") from error
    if not isinstance(found, dict):
        raise UsageError(f"descriptions {short(path)} are no JSON object; give {{class: [texts]}}")
    if not found:
        raise UsageError(f"descriptions {short(path)} names no class; give {{class: [texts]}}")
    return {name: _texts_of(name, texts, path) for name, texts in found.items()}


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"class {short(name)!r} is in it twice")
        found[name] = value
    return found


def _texts_of(name: str, texts: object, path: Path) -> tuple[str, ...]:
    listed = [texts] if isinstance(texts, str) else texts
    what = f"class {short(name)!r} of descriptions {short(path)}"
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise UsageError(f"{what} has {short(texts)!r}; give a text, or a list of texts")
    if not listed or not all(text.strip() for text in listed):
        raise UsageError(f"{what} has no text, or an empty one; write one, or leave the class out")
    if len(listed) > MOST_TEXTS:
        raise UsageError(f"{what} has {len(listed):,} texts; keep {MOST_TEXTS} or fewer")
    return tuple(listed)


def texts_in_order(class_names: Sequence[str], descriptions: Descriptions) -> list[list[str]]:
    """The texts of these classes. Raises UsageError for classes that none are given for, and for
    two with the same ones."""
    if missing := [name for name in class_names if name not in descriptions]:
        raise UsageError(
            f"descriptions lack {len(missing)} of {len(class_names)} classes "
            f"({first_few(missing)}); write texts of each"
        )
    first: dict[tuple[str, ...], str] = {}
    for name in class_names:
        if (same := first.setdefault(tuple(descriptions[name]), name)) != name:
            raise UsageError(
                f"classes {short(same)!r} and {short(name)!r} are described by the same texts; "
                "write others of one"
            )
    return [list(descriptions[name]) for name in class_names]


def described_fields(fields: Mapping, texts: Sequence[Sequence[str]]) -> dict:
    """Fields of the text set of `texts`, one list a class, from those of one without them.

    Its templates are numbers of texts, which no class name can be put into.
    """
    most = max(map(len, texts))
    templates = [f"text {number}" for number in range(1, most + 1)]
    return {**fields, "templates": templates, DESCRIPTIONS: [list(one) for one in texts]}


def padded(embeddings: np.ndarray, texts: Sequence[Sequence[str]]) -> np.ndarray:
    """Embeddings of all texts behind one another, [text dim] -> [class text dim], zero behind the
    last text of a class."""
    counts = np.array([len(one) for one in texts])
    whole = np.zeros((len(texts), counts.max(), embeddings.shape[1]), np.float32)
    whole[np.arange(counts.max()) < counts[:, None]] = embeddings
    return whole


def text_counts(name: str, attributes: Mapping, shape: Sequence[int]) -> np.ndarray | None:
    """How many texts each class has, int64 [class], of a text set called `name` whose embeddings
    have this shape; None for one of templates, which has as many of each.

    Raises DamagedError where they cannot be those of the embeddings.
    """
    if DESCRIPTIONS not in attributes:
        return None
    told = attributes[DESCRIPTIONS]
    counts = [len(texts) if isinstance(texts, list) else 0 for texts in told]
    if len(counts) != shape[0] or min(counts, default=0) < 1 or max(counts) != shape[1]:
        raise DamagedError(
            f"text set {name} does not hold the embeddings of its descriptions; remove it with "
            "`vifi rm`, and make it again with `vifi texts`"
        )
    return np.array(counts, np.int64)
