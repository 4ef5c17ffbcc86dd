import pytest

from harness.results import append_rows, read_frame
from harness.results.conditions import parse_condition, rows_where
from tests.reports.conftest import PROVENANCE, make_row
from vifistore.errors import UnknownNameError, UsageError

ROWS = [
    make_row("full", 0.5),
    make_row("full", 0.8, metric="top5", template="a {name}, b"),
    make_row("full-image", 0.25, dataset="ucf101", shots=4, split="a|b"),
    make_row("text", float("nan"), classifier="prototype", provenance={"model": "ViT", "k": 2}),
]


@pytest.mark.parametrize(
    ("terms", "found"),
    [
        ([], [0, 1, 2, 3]),
        (["metric=top5"], [1]),
        (["metric==top5"], [1]),
        (["metric != top5"], [0, 2, 3]),
        (["value>0.25"], [0, 1]),
        (["value>=0.25"], [0, 1, 2]),
        (["value<0.5"], [2]),
        (["value<=0.5", "name=full"], [0]),
        (["name=full*"], [0, 1, 2]),
        (["name=text|full"], [0, 1, 3]),
        (["name!=text|full"], [2]),
        (["split=a|b"], [2]),
        (["shots="], [0, 1, 3]),
        (["shots!="], [2]),
        (["shots=4.0"], [2]),
        (["model=ViT"], [3]),
        (["k>1"], [3]),
        (["template=a {name}, b"], [1]),
        (["shots<8"], [2]),
        (["value=.*"], []),
    ],
)
def test_the_rows_of_which_all_hold(terms, found):
    assert rows_where(ROWS, terms) == [ROWS[number] for number in found]


def test_a_mean_over_runs_is_called_by_what_their_names_share():
    runs = ("tuned-1@step-9", "tuned-2@step-9")
    mean = make_row(feature_set="a+b", provenance={"over": "seeds"}, feature_names=runs)
    assert rows_where([mean, make_row(runs[0])], ["name=tuned"]) == [mean]


@pytest.mark.parametrize("term", ["", "metric", "value>much", "=1", "1=1", "a.b=1", "value<"])
def test_what_is_no_condition_is_refused(term):
    with pytest.raises(UsageError, match=r"--where .*; write key=value"):
        parse_condition(term)


def test_a_key_that_no_row_has():
    with pytest.raises(UnknownNameError, match=r"unknown key 'datset'\. Did you mean 'dataset'"):
        rows_where(ROWS, ["datset=x"])


def test_a_frame_of_the_chosen_rows(tmp_path):
    append_rows(tmp_path, ROWS)
    frame = read_frame(tmp_path, ["name=full*", "metric=top1"])
    assert frame["value"].tolist() == [0.5, 0.25]
    assert len(read_frame(tmp_path)) == 4
    assert read_frame(tmp_path, [f"machine={PROVENANCE['machine']}"])["value"].tolist()[0] == 0.5
