"""Whether a hit is right, as far as labels can tell."""

import re
from collections.abc import Iterable


def class_in_words(words: str, class_names: Iterable[str]) -> str:
    """The longest class name that stands in a query as whole words, or "" if none does.

    Case, underscores and signs between words do not count.
    """
    query = _plain(words)
    inside = [name for name in class_names if _plain(name).strip() and _plain(name) in query]
    return max(inside, key=len, default="")


def is_right(label: str, wanted: str) -> bool | None:
    """Whether a label is the wanted class; None where either is not known."""
    return label == wanted if label and wanted else None


def _plain(text: str) -> str:
    words = re.findall(r"\w+", text.lower().replace("_", " "))
    return f" {' '.join(words)} "
