"""What `vifi evaluate --against` says and writes: feature sets compared on the same videos.

Runs of several seeds are compared seed by seed, each with its own baseline or all with the only
one; then their means, video by video.
"""

from collections.abc import Iterator, Sequence

from harness.comparison import Answers, Compared, compare_answers, compare_harmonic, mean_answers
from harness.results import ResultRow
from harness.results.row_names import row_name
from reports.measurements import is_mean
from vifi.scoring.scored_rows import covered_by, place_of
from vifistore.errors import UsageError
from vifistore.store.features import Features

# What one feature set, or the mean of several, got right, a score each.
Run = Sequence[Answers]


def check_baselines(sets: Sequence[Features], others: Sequence[Features]) -> None:
    """Raise UsageError for a feature set that would be compared with itself."""
    for one, other in _paired(sets, others):
        if (one.id, one.checkpoint) == (other.id, other.checkpoint):
            named = f"{one.name} and {other.name}"
            raise UsageError(f"{named} are one feature set; give another to --against")


def comparisons(
    rows: Sequence[ResultRow],
    names: Sequence[str],
    runs: Sequence[Run],
    others: Sequence[str],
    baselines: Sequence[Run],
) -> list[Compared]:
    """Every run with its baseline, then the mean of several seeds with that of theirs.

    `rows` are those of the runs and of their mean.
    """
    found = []
    for (name, run), (other, baseline) in _paired(
        list(zip(names, runs, strict=True)), list(zip(others, baselines, strict=True))
    ):
        found += _of_run(rows, name, run, other, baseline)
    means = [row for row in rows if row.protocol == "base-to-novel" and is_mean(row)]
    if means:
        joint = [mean_answers(same, means) for same in zip(*runs, strict=True)]
        baseline = [mean_answers(same) for same in zip(*baselines, strict=True)]
        other = others[0] if len(others) == 1 else f"mean of {', '.join(others)}"
        found += _of_run(means, row_name(means[0]), joint, other, baseline)
    return found


def rows_of(compared: Sequence[Compared], others: Sequence[str]) -> list[ResultRow]:
    """What the results folder keeps: a mean of several baselines has no name to be kept under."""
    return [c.result for c in compared if len(others) == 1 or not is_mean(c.row)]


def sentence(found: Compared) -> str:
    """What was compared, which one is better, and over what."""
    metric = "" if found.row.metric == "top1" else f" {found.row.metric.replace('_', ' ')}"
    return f"{place_of(found.row)}{metric}: {found.sentence} ({covered_by(found.result)})"


def _paired(names: Sequence, others: Sequence) -> Iterator[tuple]:
    """Each with its own baseline, or all with the only one; none where there is no baseline."""
    if len(others) == 1:
        others = [*others] * len(names)
    return zip(names if others else (), others, strict=True)


def _of_run(
    rows: Sequence[ResultRow], name: str, run: Run, other: str, baseline: Run
) -> Iterator[Compared]:
    pairs = list(zip(run, baseline, strict=True))
    for first, second in pairs:
        yield compare_answers(name, other, first, second)
    halves = [[pair for pair in pairs if pair[0].row.subset == s] for s in ("base", "novel")]
    for base, novel in zip(*halves, strict=True):
        row = _harmonic_row(rows, base[0].row)
        ours, theirs = zip(base, novel, strict=True)
        yield compare_harmonic(name, other, row, ours, theirs)


def _harmonic_row(rows: Sequence[ResultRow], base: ResultRow) -> ResultRow:
    """The harmonic mean that the accuracy on base classes is part of."""
    fields = ("fusion", "seed", "feature_set", "scored_checkpoint")
    (row,) = [
        row
        for row in rows
        if (row.metric, row.subset) == ("harmonic_mean", "all")
        and all(getattr(row, name) == getattr(base, name) for name in fields)
    ]
    return row
