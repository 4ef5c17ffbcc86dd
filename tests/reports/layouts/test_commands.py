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
        ("ablation-fusion", "ssv2", 16, "--split validation --results"),
        ("ablation-fusion", "k400-tiny", 16, "--split val --results"),
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


def test_kinetics_tiny_trains_on_its_own_list():
    sources = source_commands("ablation-fusion", "Image-level fusion")
    few, tiny = sources["vifi-clip-image"], sources["vifi-clip-image-tiny"]
    assert "--dataset D --split train1_few_shot_16" in few
    trained, extracted = tiny.split(" && ")
    assert "vifi train fusion_ablation S --dataset k400-tiny --split train_tiny " in trained
    assert "--fusion image" in trained
    assert "vifi extract S --dataset k400-tiny " in extracted
    for dataset, name in (("ssv2", "vifi-clip-image"), ("k400-tiny", "vifi-clip-image-tiny")):
        command = paper_command("ablation-fusion", "Image-level fusion", dataset, 16)
        assert f"--features {name} --split" in command
    assert list(source_commands("ablation-fusion", "Vanilla CLIP")) == ["vanilla-clip"]
    assert list(source_commands("few-shot", "A5")) == ["a5"]
