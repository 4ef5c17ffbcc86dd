"""Where two systems differ: over all videos of a score, and class by class.

    first, second = (VideoAnswers.read("results", row).table for row in two_rows)
    answer_differences(first, second)       # DataFrame: all videos, then every class

Videos are paired. Clips of one source stay together, in intervals and in p-values.
"""

from typing import TYPE_CHECKING

import numpy as np

from harness.corrections import corrected, sign_test
from harness.statistics import PAIRED_FOLDS, paired_bootstrap
from vifistore.errors import UsageError, short

if TYPE_CHECKING:
    import pandas as pd

_CLASS_FOLDS = 2000
WHOLE = ""
"""Class of the line that is of all videos."""


def answer_differences(
    first: "pd.DataFrame",
    second: "pd.DataFrame",
    *,
    correction: str = "holm",
    seed: int = 0,
) -> "pd.DataFrame":
    """Compare what two systems took the same videos for: the tables of `VideoAnswers`, or any with
    id, label, predicted and source.

    A line for all videos (class "") and one a class, largest difference of a class first: class,
    num_videos, num_sources, first and second (shares that are right), difference with the 95%
    interval ci_low and ci_high of a paired bootstrap over sources, p_value and p_adjusted. The
    first p-value is that of the bootstrap, those of classes are of an exact sign test over sources
    and adjusted by `correction` (holm or bh) for the number of classes.

    Raises UsageError where no video is in both, one has two labels, or several answers on one
    side; UnknownNameError for another correction.
    """
    import pandas as pd

    pairs = _paired(first, second)
    labels = pairs["label"].to_numpy()
    ours, theirs = (labels == pairs[name].to_numpy() for name in ("of_first", "of_second"))
    sources = np.unique(pairs["source"], return_inverse=True)[1]
    lines = [_line(WHOLE, ours, theirs, sources, PAIRED_FOLDS, seed)]
    for name, rows in pairs.groupby("label").indices.items():
        of_class = ours[rows], theirs[rows], sources[rows]
        lines.append(_line(str(name), *of_class, _CLASS_FOLDS, seed))
    table = pd.DataFrame(lines)
    p_values, is_class = table["p_value"].to_numpy(), np.arange(len(table)) > 0
    table["p_adjusted"] = [p_values[0], *corrected(p_values[1:], correction)]
    order = np.lexsort((-table["difference"].abs().to_numpy(), is_class))
    return table.iloc[order].reset_index(drop=True)


def _paired(first: "pd.DataFrame", second: "pd.DataFrame") -> "pd.DataFrame":
    """The videos that both hold: id, label, source, of_first, of_second."""
    first, second = _each_once(first), _each_once(second)
    both = first.merge(second, on="id", suffixes=("", "_other"))
    if both.empty:
        raise UsageError("the two hold no video in common; score both on the same split")
    differing = np.flatnonzero(both["label"].to_numpy() != both["label_other"].to_numpy())
    if len(differing):
        video = both["id"].iloc[int(differing[0])]
        raise UsageError(
            f"{short(video)} has another label in either; compare scores of one list of classes"
        )
    return both.rename(columns={"predicted": "of_first", "predicted_other": "of_second"})


def _each_once(answers: "pd.DataFrame") -> "pd.DataFrame":
    """Answers without the lines that a list repeats."""
    once = answers.drop_duplicates(subset=["id", "label", "predicted"])
    repeated = np.flatnonzero(once["id"].duplicated().to_numpy())
    if len(repeated):
        video = once["id"].iloc[int(repeated[0])]
        raise UsageError(
            f"{short(str(video))} has several answers on one side; give those of one score"
        )
    return once


def _line(
    name: str, first: np.ndarray, second: np.ndarray, sources: np.ndarray, folds: int, seed: int
) -> dict:
    """One line, of bool [video] each and the source of each, int64 [video]."""
    numbers = np.unique(sources, return_inverse=True)[1]
    count = int(numbers.max()) + 1
    files = numbers if count < len(numbers) or count == 1 else None
    found = paired_bootstrap(first, second, folds, seed, files)
    net = np.bincount(numbers, first.astype(int) - second.astype(int))
    of_signs = sign_test(int((net > 0).sum()), int((net < 0).sum()))
    return {
        "class": name,
        "num_videos": len(numbers),
        "num_sources": count,
        "first": float(first.mean()),
        "second": float(second.mean()),
        "difference": found.difference,
        "ci_low": found.low,
        "ci_high": found.high,
        "p_value": found.p_value if name == WHOLE else of_signs,
    }
