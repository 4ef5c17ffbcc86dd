"""The tree says of each kind how much is done, and about how long the rest takes."""

import pytest

from vifi.study.ledger import Entry, Ledger
from vifi.study.steps import REPORT, Step
from vifi.study.study_tree import StudyTree

STEPS = [
    Step(name="scan d", commands=()),
    *(Step(name=f"train {name}", commands=(), needs=("scan d",)) for name in "abcd"),
    Step(name=REPORT, commands=()),
]
DIGESTS = {step.name: step.name for step in STEPS}


@pytest.fixture
def tree(tmp_path):
    ledger = Ledger(tmp_path)
    for step, seconds in zip((*STEPS[:2], STEPS[-1]), (3.0, 60.0, 1.0), strict=True):
        ledger.note(step, Entry(digest=step.name, seconds=seconds, ended="2026"))
    return StudyTree(STEPS, DIGESTS, ledger)


def test_a_branch_for_each_kind(tree):
    assert tree.lines == [
        "├─ scan   " + "█" * 20 + " 1/1  3 s",
        "├─ train  " + "█" * 5 + "·" * 15 + " 1/4, about 3 min left  60 s",
        # It will have more to show.
        "└─ report " + "·" * 20 + " 0/1",
    ]
    assert [step.name for step in tree.to_do] == ["train b", "train c", "train d", REPORT]


def test_what_is_left_follows_the_mean_so_far(tree):
    assert tree.add(STEPS[2], 120.0) == "2/4, about 3 min left"
    assert tree.add(STEPS[3], 120.0) == "3/4, about 2 min left"
    assert tree.add(STEPS[4], 120.0) == "4/4"
