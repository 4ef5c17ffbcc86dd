import shlex

import pytest

from reports.layouts.cell_commands import FEATURES_OF, cost_command, evaluate_command, paper_command
from reports.measurements import method_of


def test_names_are_quoted():
    words = shlex.split(evaluate_command("zero-shot", "d", "a b;c"))
    assert words[words.index("--features") + 1] == "a b;c"


@pytest.mark.parametrize("method", [m for m in FEATURES_OF if not m.endswith("fusion")])
def test_suggested_names_land_in_the_right_row(method):
    assert method_of([FEATURES_OF[method]]) == method


@pytest.mark.parametrize(
    ("protocol", "dataset", "shots", "words"),
    [
        ("few-shot", "hmdb51", 4, "--split val1 --shots 4"),
        ("few-shot", "ssv2", 4, "--split validation --shots 4"),
        ("supervised", "k400", None, "--split val"),
        (
            "base-to-novel",
            "k400",
            None,
            "vifi-clip-s1 vifi-clip-s2 vifi-clip-s3 --results",
        ),
        ("ablation-fusion", "ssv2", 16, "--split validation --results"),
        ("ablation-fusion", "k400-tiny", 16, "--split val --results"),
    ],
)
def test_each_protocol_has_its_command(protocol, dataset, shots, words):
    assert words in paper_command(protocol, "ViFi-CLIP", dataset, shots)


def test_vanilla_clip_is_given_bare_names():
    assert "--template '{}'" in paper_command("zero-shot", "Vanilla CLIP", "ucf101", None)


@pytest.mark.parametrize(
    ("method", "frames", "learned"),
    [("A5", 16, "--head"), ("ActionCLIP", 32, "--pretrained"), ("X-CLIP", 16, "--pretrained")],
)
def test_the_cost_of_what_is_added_is_that_of_the_papers_frames(method, frames, learned):
    words = shlex.split(cost_command(method))
    assert words[words.index("--frames") + 1] == str(frames)
    assert learned in words


def test_actionclip_is_scored_by_its_own_rule_of_templates():
    words = shlex.split(paper_command("few-shot", "ActionCLIP", "hmdb51", 4))
    assert words[words.index("--fusion") + 1] == "each-template"
    assert "--fusion" not in shlex.split(paper_command("few-shot", "ViFi-CLIP", "hmdb51", 4))
