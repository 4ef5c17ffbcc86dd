import math

import pytest

from harness.results import ResultRow
from harness.summaries import _marks_of, summary_rows

ORIGIN = {"recipe": "r", "checkpoint": "c", "manifest": "m", "rows_covered": 10, "num_todo": 0}


def one_run(value: float, **fields) -> list[ResultRow]:
    """The one row of a run."""
    given = {"split": "val1", "feature_set": "ab", "scored_checkpoint": "vifi", **fields}
    row = ResultRow(
        protocol="zero-shot",
        dataset="toy",
        text_set="t",
        fusion="embedding",
        num_frames=8,
        num_views=1,
        classes=4,
        num_videos=10,
        metric="top1",
        value=value,
        provenance=ORIGIN,
        **given,
    )
    return [row]


def test_mean_and_deviation_by_hand():
    # 1, 2, 3, 6: mean 3, squares 4 + 1 + 0 + 9 = 14; the population's variance is 14/4.
    mean, deviation = summary_rows([one_run(value) for value in (1, 2, 3, 6)], "splits")
    assert (mean.metric, deviation.metric) == ("top1", "top1_std")
    assert (mean.value, deviation.value) == (3, pytest.approx(math.sqrt(3.5)))
    assert (mean.provenance["count"], mean.provenance["ddof"]) == (4, 0)


def test_videos_of_splits_are_summed_and_those_of_seeds_are_the_same():
    runs = [one_run(0.5, split=split) for split in ("val1", "val2")]
    mean, _ = summary_rows(runs, "splits")
    assert (mean.split, mean.num_videos, mean.provenance["rows_covered"]) == ("val1+val2", 20, 20)
    mean, _ = summary_rows([one_run(0.5, seed=seed) for seed in (1, 2)], "seeds")
    assert (mean.split, mean.num_videos, mean.seed) == ("val1", 10, None)


def test_a_mean_keeps_the_marks_of_all_its_runs():
    runs = [
        {"assumed": ["activation"], "not_as_trained": {"frames": "8, trained with 16"}},
        {},
        {"assumed": ["preprocessing"], "not_as_trained": {"template": "{}"}, "cleaning": "words"},
    ]
    assert _marks_of(runs) == {
        "assumed": ["activation", "preprocessing"],
        "not_as_trained": {"frames": "8, trained with 16", "template": "{}"},
        "cleaning": "words",
    }
