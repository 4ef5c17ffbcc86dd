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
        provenance=dict(ORIGIN),
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


def mean_of(*provenances) -> dict:
    """Provenance of the mean of two splits or more, of what each has beside the usual."""
    runs = [one_run(0.5, split=f"val{number}") for number, _ in enumerate(provenances)]
    for (row,), provenance in zip(runs, provenances, strict=True):
        row.provenance.clear()
        row.provenance.update(ORIGIN | provenance)
    return summary_rows(runs, "splits")[0].provenance


def test_a_mean_tells_nothing_of_one_of_its_runs_alone():
    first = {"p_value": 0.001, "against": "plain", "reliability": {"counts": [1]}, "blend": 0.5}
    second = {"p_value": 0.001, "against": "plain", "reliability": {"counts": [1]}, "blend": 0.7}
    found = mean_of(first, second)
    assert found["against"] == "plain"
    # Equal by chance, or not: they are those of the videos of one split.
    assert not {"p_value", "reliability", "blend"} & found.keys()


def test_sources_of_a_mean_are_those_of_all_splits():
    group, film = {"sources": 7, "source": "UCF group"}, {"sources": 3, "source": "HMDB film"}
    assert mean_of(group, group)["sources"] == 14
    found = mean_of(group, film, {})
    # A split whose videos are of no shared source has as many as videos.
    assert (found["sources"], found["source"]) == (20, "UCF group or HMDB film")
    found = mean_of({"files": 4}, {})
    assert (found["files"], "source" in found) == (14, False)


def test_a_lever_of_a_mean_has_the_seconds_of_all_and_what_all_chose():
    lever = {"tuned_on": "toy/held", "temperature": 1.5, "encode_seconds": 10.0}
    found = mean_of(
        {"lifted": {**lever, "seconds": 10.25, "frames_kept": 0.5}},
        {"lifted": {**lever, "seconds": 10.5, "frames_kept": 0.75, "seen_in_training": 3}},
    )["lifted"]
    # What was encoded is encoded once.
    assert found == {**lever, "seconds": 10.75, "seen_in_training": 3}
    assert "lifted" not in mean_of({}, {})


def test_copies_of_the_worst_run_are_those_of_a_mean():
    name, other = "num_test_copies_in_train", "num_test_stretches_of_train_files"
    found = mean_of({name: 0}, {name: 2, other: 3}, {name: 1})
    assert (found[name], found[other]) == (2, 3)
    assert not {name, other} & mean_of({}, {}).keys()
    lifted = [{"lifted": {"seconds": 1.0, "stretches_of_scored_files": n}} for n in (1, 4)]
    assert mean_of(*lifted)["lifted"]["stretches_of_scored_files"] == 4
