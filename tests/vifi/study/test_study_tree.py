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


def test_a_branch_says_what_failed_and_what_waits_for_what(tmp_path):
    asked = [Step(name=f"ask {n}", commands=(), needs=("train a", "train b")) for n in range(5)]
    steps = [*STEPS[:3], *asked, STEPS[-1]]
    tree = StudyTree(steps, {step.name: "" for step in steps}, Ledger(tmp_path))
    empty = "·" * 20
    assert tree.lines == [
        f"├─ scan   {empty} 0/1",
        f"├─ train  {empty} 0/2",
        "│    waiting for scan d: a, b",
        f"├─ ask    {empty} 0/5",
        "│    waiting for train a: 0, 1, 2 and 2 more",
        f"└─ report {empty} 0/1",
    ]
    tree.add(steps[0], 1.0)
    tree.add(steps[1], 1.0)
    tree.fail(steps[2])
    held = [line for line in tree.lines if line.startswith("│")]
    assert held == ["│    failed: b", "│    waiting for train b (failed): 0, 1, 2 and 2 more"]


def test_a_branch_stays_short(tmp_path):
    steps = [
        *(Step(name=f"train {n}", commands=()) for n in range(9)),
        *(Step(name=f"extract {n}", commands=(), needs=(f"train {n}",)) for n in range(9)),
    ]
    tree = StudyTree(steps, {step.name: "" for step in steps}, Ledger(tmp_path))
    assert tree.lines[2:] == [
        *(f"     waiting for train {n}: {n}" for n in range(4)),
        "     and 5 more wait",
    ]
