"""What to call the feature set, or the sets, that a result row is of."""

import itertools

from harness.results.result_row import ResultRow
from vifistore.errors import first_few


def row_name(row: ResultRow) -> str:
    """The name that a feature set was asked by, else its shortest; for several (seeds), what their
    names share."""
    names = sorted(row.feature_names, key=lambda name: (len(name), name))
    if not names:
        return row.feature_set
    if not is_of_several_runs(row):
        asked = row.provenance.get("asked")
        return asked if asked in names else names[0]
    columns = itertools.takewhile(lambda letters: len({*letters}) == 1, zip(*names, strict=False))
    shared = "".join(letters[0] for letters in columns).rstrip("-_.@+=s")
    # A sum of names would look like an ensemble.
    return shared or f"mean of {first_few(row.feature_names, 8)}"


def is_of_several_runs(row: ResultRow) -> bool:
    """Whether a row is a mean over training runs, by their features or by their checkpoints: runs
    that tuned the text tower alone share features."""
    return "+" in row.feature_set or "+" in str(row.provenance.get("checkpoint"))
