"""Is one feature set better than another on the same videos? A paired bootstrap says.

    ucf101 = store.dataset("ucf101")
    (compared,) = compare(ucf101.features("vifi-clip"), ucf101.features("vanilla-clip"), "val1")
    compared.sentence       # "vifi-clip beats vanilla-clip by 2.1 [1.7, 2.5] points, p < 0.001"

Any protocol can be compared: `compare_answers` takes those of two runs of it, made of what
`Scoring.keep` was called with.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from harness.measuring import Scored, Scoring
from harness.metrics import is_right
from harness.protocols.zero_shot import zero_shot
from harness.results import ResultRow
from harness.split_checks import check_same_videos
from harness.statistics import Comparison, paired_bootstrap, paired_harmonic
from vifistore.errors import UsageError
from vifistore.store.features import Features

# Rows that are compared agree in these. A baseline may have no seed, and no shots.
_SHARED = ("dataset", "split", "subset", "classifier", "fusion")
# In which the row of a mean over seeds agrees with theirs.
_OF_MEAN = (*_SHARED, "metric")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Which videos one score got right."""

    row: ResultRow
    """Its top-1 row."""
    videos: np.ndarray
    """int64 [video]: rows of the dataset."""
    class_names: list[str]
    is_right: np.ndarray
    """bool [video]; of several runs the share of them that was right, float64 [video]."""
    files: np.ndarray | None = None
    """int64 [video]: see `Videos.files`."""


def answers_of(scored: Scored) -> Answers:
    """The answers of a score; the score itself is many times larger."""
    return Answers(
        row=scored.rows[0],
        videos=scored.videos.rows,
        class_names=scored.videos.class_names,
        is_right=is_right(scored.scores, scored.videos.labels),
        files=scored.videos.files,
    )


def mean_answers(runs: Sequence[Answers], means: Sequence[ResultRow] = ()) -> Answers:
    """The answers of several runs to one score, on the videos that all of them hold.

    `means` hold the row of their mean; without it, the first one's row stands for all.
    """
    runs = [_by_row(run) for run in runs]
    first = runs[0]
    common = reduce(np.intersect1d, [run.videos for run in runs])
    shares = [run.is_right[np.isin(run.videos, common)] for run in runs]
    own = [m for m in means if all(getattr(m, n) == getattr(first.row, n) for n in _OF_MEAN)]
    return Answers(
        row=own[0] if means else first.row,
        videos=common,
        class_names=first.class_names,
        is_right=np.mean(shares, axis=0),
        files=None if first.files is None else first.files[np.isin(first.videos, common)],
    )


def _by_row(answers: Answers) -> Answers:
    # A list may name a video twice.
    return _at(answers, np.unique(answers.videos, return_index=True)[1])


def _at(answers: Answers, positions: np.ndarray) -> Answers:
    """The answers at some positions, int64 [video]."""
    return replace(
        answers,
        videos=answers.videos[positions],
        is_right=answers.is_right[positions],
        files=None if answers.files is None else answers.files[positions],
    )


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two feature sets and how much more often the first is right."""

    first: str
    second: str
    num_videos: int
    """Videos that both feature sets hold; only these are compared."""
    num_unpaired: int = 0
    """Videos that one of them alone holds."""
    comparison: Comparison
    row: ResultRow
    """The first one's row."""
    other: ResultRow
    """The second one's row."""

    @property
    def fusion(self) -> str:
        """Fusion that both were scored with."""
        return self.row.fusion

    @property
    def sentence(self) -> str:
        """One sentence, as `A beats B by 2.1 [1.7, 2.5] points, p < 0.001`."""
        return self.comparison.sentence(self.first, self.second)

    @property
    def result(self) -> ResultRow:
        """The difference as a row of the first, whose metric is `top1_minus_<second>`, or that of
        harmonic means."""
        comparison = self.comparison
        # Those of several runs are their scores, and no differences.
        told = {name: fact for name, fact in self.row.provenance.items() if name != "values"}
        facts = {
            "against": self.second,
            "against_feature_set": self.other.feature_set,
            "against_checkpoint": self.other.scored_checkpoint,
            "against_fusion": self.other.fusion,
            "p_value": comparison.p_value,
            "rows_covered": self.num_videos,
            **({"unpaired": self.num_unpaired} if self.num_unpaired else {}),
            **({"against_tuned_on": self.other.tuned_on} if self.other.tuned_on else {}),
        }
        return replace(
            self.row,
            metric=f"{self.row.metric}_minus_{self.second}",
            value=comparison.difference,
            ci_low=comparison.low,
            ci_high=comparison.high,
            num_videos=self.num_videos,
            provenance=told | facts,
        )


def compare(
    first: Features,
    second: Features,
    split: str = "",
    settings: Scoring | None = None,
) -> list[Compared]:
    """Compare the zero-shot top-1 of two feature sets, once per fusion, each with its own
    texts.

    Raises UsageError when no video is in both, for sets of other videos, and what scoring raises.
    """
    settings = settings or Scoring()
    check_same_videos(first, second)
    answers = [_zero_shot_answers(features, split, settings) for features in (first, second)]
    return [
        compare_answers(first.name, second.name, one, other, settings.bootstrap_seed)
        for one, other in zip(*answers, strict=True)
    ]


def _zero_shot_answers(features: Features, split: str, settings: Scoring) -> list[Answers]:
    """Those of each fusion."""
    answers: list[Answers] = []

    def keep(scored: Scored) -> None:
        if scored.is_plain:
            answers.append(answers_of(scored))

    zero_shot(features, (split,), replace(settings, keep=keep))
    return answers


def compare_answers(
    first_name: str,
    second_name: str,
    first: Answers,
    second: Answers,
    seed: int = 0,
    *,
    any_fusion: bool = False,
) -> Compared:
    """Compare two scores of one setting on the videos that both hold; with `any_fusion` each may
    be scored with its own, which the row tells (`against_fusion`).

    Raises UsageError when no video is in both, or they chose among different classes.
    """
    names = f"{first_name} and {second_name}"
    one, other = _on_the_same(names, first, second, any_fusion=any_fusion)
    return Compared(
        first=first_name,
        second=second_name,
        num_videos=len(one.videos),
        num_unpaired=_held_by_one(first, second),
        comparison=paired_bootstrap(one.is_right, other.is_right, seed=seed, files=one.files),
        row=first.row,
        other=second.row,
    )


def compare_harmonic(
    first_name: str,
    second_name: str,
    row: ResultRow,
    first: tuple[Answers, Answers],
    second: tuple[Answers, Answers],
    seed: int = 0,
) -> Compared:
    """Compare the harmonic means of accuracies on base and on novel classes, as `compare_answers`.

    `row` is that of the first one's harmonic mean.
    """
    names = f"{first_name} and {second_name}"
    base, novel = (_on_the_same(names, *pair) for pair in zip(first, second, strict=True))
    right = [(one.is_right, other.is_right) for one, other in (base, novel)]
    files = base[0].files, novel[0].files
    return Compared(
        first=first_name,
        second=second_name,
        num_videos=len(base[0].videos) + len(novel[0].videos),
        num_unpaired=sum(map(_held_by_one, first, second)),
        comparison=paired_harmonic(right[0], right[1], seed=seed, files=files),
        row=row,
        other=second[0].row,
    )


def _on_the_same(
    names: str, first: Answers, second: Answers, *, any_fusion: bool = False
) -> tuple[Answers, Answers]:
    """The answers of both to the videos that both hold."""
    shared = [name for name in _SHARED if name != "fusion" or not any_fusion]
    assert all(getattr(first.row, n) == getattr(second.row, n) for n in shared), first.row
    if first.class_names != second.class_names:
        raise UsageError(f"{names} were scored among different classes; give both the same split")
    common, *positions = np.intersect1d(first.videos, second.videos, return_indices=True)
    if not len(common):
        raise UsageError(f"{names} hold no video of {first.row.split} in common; extract both")
    return _at(first, positions[0]), _at(second, positions[1])


def _held_by_one(first: Answers, second: Answers) -> int:
    """How many videos one of two answers alone holds."""
    return len(np.setxor1d(first.videos, second.videos))
