import shlex

import pytest

from reports.layouts.commands import (
    FEATURES_OF,
    evaluate_command,
    paper_command,
    source_commands,
)
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
        ("ablation-fusion", "ssv2", 16, "vifi ablate S --dataset ssv2"),
    ],
)
def test_each_protocol_has_its_command(protocol, dataset, shots, words):
    assert words in paper_command(protocol, "ViFi-CLIP", dataset, shots)


def test_vanilla_clip_is_given_bare_names():
    assert "--template '{}'" in paper_command("zero-shot", "Vanilla CLIP", "ucf101", None)


def test_three_runs_of_base_to_novel_train_on_three_lists():
    sources = source_commands("base-to-novel", "VL prompting")
    assert list(sources) == ["vl-prompting-s1", "vl-prompting-s2", "vl-prompting-s3"]
    for seed, command in enumerate(sources.values(), start=1):
        tuned, prompted, extracted = command.split(" && ")
        assert "vifi train zero_shot_k400 S" in tuned
        assert f"--split fs_base_s{seed}_train" in prompted
        assert f"--pretrained vl-prompting-s{seed}/N.safetensors" in extracted
    assert source_commands("cost", "ViFi-CLIP") == {}
