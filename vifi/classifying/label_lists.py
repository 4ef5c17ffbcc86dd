"""The labels that videos are classified by: a list between commas, or a file of class names."""

import os
from collections.abc import Sequence
from pathlib import Path

from vifistore.errors import UsageError

# What a list of classes may be called: of any other ending it is a file only if there is one.
_ENDINGS = (".txt", ".csv", ".tsv", ".json", ".yaml", ".yml", ".lst")


def given_labels(given: str) -> list[str]:
    """The labels of `a,b,c`, or of a file of one of the kinds that `read_class_file` reads.

    Raises UsageError for a file that cannot be read or gives no class names, and for bytes that the
    shell's encoding has no letters for.
    """
    if _is_file(given):
        # Readers of lists: only where there is one.
        from vifistore.videos.class_files import read_class_file

        return read_class_file(Path(given)).names
    labels = [label.strip() for label in given.split(",")]
    _check_letters(labels)
    return labels


def _is_file(given: str) -> bool:
    if "," in given:
        return os.path.isfile(given)
    is_path = os.sep in given or given.lower().endswith(_ENDINGS)
    return is_path or os.path.isfile(given)


def _check_letters(labels: Sequence[str]) -> None:
    for label in labels:
        try:
            label.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"the label {label!r:.80} is not UTF-8 text; type letters") from error
