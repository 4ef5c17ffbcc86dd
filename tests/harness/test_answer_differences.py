import numpy as np
import pandas as pd
import pytest

from harness.answer_differences import answer_differences
from vifistore.errors import UsageError

NAMES = np.array(["bow", "golf", "ski"])


def table(right, labels, sources=None):
    predicted = np.where(right, NAMES[labels], "other")
    columns = {"id": [f"v{n}" for n in range(len(labels))], "label": NAMES[labels]}
    sources = np.arange(len(labels)) if sources is None else sources
    return pd.DataFrame(columns | {"predicted": predicted, "source": sources})


@pytest.fixture
def labels():
    return np.arange(90) % 3


def test_all_videos_and_every_class(labels):
    first = np.ones(90, bool)
    second = labels != 1
    found = answer_differences(table(first, labels), table(second, labels))
    assert found["class"].tolist() == ["", "golf", "bow", "ski"]
    assert found["num_videos"].tolist() == [90, 30, 30, 30]
    np.testing.assert_allclose(found["difference"], [1 / 3, 1, 0, 0])
    assert found["first"].tolist() == [1, 1, 1, 1]
    golf = found.iloc[1]
    assert golf["p_value"] == pytest.approx(2 / 2**30)
    assert golf["p_adjusted"] == pytest.approx(3 * golf["p_value"])
    assert found["p_adjusted"].tolist()[2:] == [1, 1]
    assert found.iloc[0]["ci_low"] > 0.2
    assert found.iloc[0]["p_value"] == found.iloc[0]["p_adjusted"]


def test_which_way_a_difference_goes(labels):
    right, wrong = (table(np.full(90, value), labels) for value in (True, False))
    found = answer_differences(wrong, right)
    assert found["difference"].tolist() == [-1] * 4
    assert found["second"].tolist() == [1] * 4


def test_the_order_of_videos_does_not_matter(labels):
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 90)) < 0.6
    ours, theirs = table(first, labels), table(second, labels)
    shuffled = theirs.sample(frac=1, random_state=1).iloc[:80]
    found = answer_differences(ours, shuffled)
    kept = np.isin(ours["id"], shuffled["id"])
    assert found.iloc[0]["num_videos"] == 80
    assert found.iloc[0]["difference"] == pytest.approx((first * 1.0 - second)[kept].mean())


def test_clips_of_one_source_are_no_further_evidence(labels):
    """Ten copies of each video: surer only where they are taken for ten videos."""
    right = np.random.default_rng(3).random((2, 90)) < np.array([[0.7], [0.45]])
    copies = np.tile(right, 10)
    many, sources = np.tile(labels, 10), np.tile(np.arange(90), 10)
    alone = answer_differences(*(table(r, labels) for r in right))
    together = answer_differences(*(table(r, many, sources) for r in copies))
    apart = answer_differences(*(table(r, many) for r in copies))
    assert together["num_sources"].tolist() == alone["num_videos"].tolist()
    width = [(t["ci_high"] - t["ci_low"]).iloc[0] for t in (alone, together, apart)]
    assert width[1] == pytest.approx(width[0], rel=0.1)
    assert width[2] < 0.5 * width[0]
    np.testing.assert_allclose(together["p_value"].iloc[1:], alone["p_value"].iloc[1:])


def test_one_source_alone_tells_nothing():
    labels = np.zeros(6, int)
    right, wrong = (table(np.full(6, v), labels, np.zeros(6, int)) for v in (True, False))
    found = answer_differences(right, wrong)
    assert found["ci_low"].tolist() == [-1, -1]
    assert found["p_value"].tolist() == [1, 1]


def test_what_cannot_be_paired(labels):
    ours = table(np.ones(90, bool), labels)
    with pytest.raises(UsageError, match="no video in common"):
        answer_differences(ours, ours.assign(id=ours["id"] + "x"))
    with pytest.raises(UsageError, match="v0 has another label in either"):
        answer_differences(ours, ours.assign(label="bow2"))


def test_a_video_that_is_listed_twice_counts_once(labels):
    right = np.arange(90) % 4 > 0
    ours, theirs = table(right, labels), table(~right, labels)
    once = answer_differences(ours, theirs)
    twice = answer_differences(*(pd.concat([one, one.iloc[:30]]) for one in (ours, theirs)))
    pd.testing.assert_frame_equal(twice, once)
    both = pd.concat([ours, theirs])
    with pytest.raises(UsageError, match="v0 has several answers on one side; give those of one"):
        answer_differences(both, theirs)
    with pytest.raises(UsageError, match="v0 has several answers"):
        answer_differences(ours, both)
