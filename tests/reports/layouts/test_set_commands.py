import re
import shlex
from itertools import pairwise

import pytest

from reports.layouts import specs
from reports.layouts.cell_commands import FEATURES_OF, cost_command, paper_command
from reports.layouts.paper_tables import paper_tables
from reports.layouts.set_commands import source_commands
from reports.layouts.specs import SPECS


def words_after(text, flag):
    """Every word that follows a flag in one or several commands."""
    words = shlex.split(text)
    return [word for before, word in pairwise(words) if before == flag]


def test_three_runs_of_base_to_novel_train_on_three_lists():
    sources = source_commands("base-to-novel", "VL prompting")
    assert list(sources) == ["vl-prompting-s1", "vl-prompting-s2", "vl-prompting-s3"]
    for seed, source in enumerate(sources.values(), start=1):
        tuned, prompted, extracted = source.split(" && ")
        assert "vifi train zero_shot_k400 S" in tuned
        assert f"--split fs_base_s{seed}_train" in prompted
        folder = f"base-to-novel/D/vl-prompting-s{seed}"
        assert f"--pretrained {folder}/step-N.safetensors" in extracted
        assert f"--out {folder}" in prompted
    assert source_commands("cost", "ViFi-CLIP") == {}


def test_every_number_of_shots_has_a_model_of_its_own():
    sources = source_commands("few-shot", "CLIP text-FT")
    assert list(sources) == [f"text-ft-k{shots}" for shots in (2, 4, 8, 16)]
    assert "--split train1_few_shot_8 " in sources["text-ft-k8"]
    assert "--shots 8 --trains text" in sources["text-ft-k8"]
    named = words_after(paper_command("few-shot", "CLIP text-FT", "ucf101", 8), "--features")
    assert named == ["text-ft-k8"]


def test_the_head_whose_cost_is_measured_pools_as_many_frames():
    (file,) = words_after(cost_command("A5"), "--head")
    extracted, trained = source_commands("cost", "A5")[file].split(" && ")
    assert "--frames 16 --name vanilla-clip-cost-16f" in extracted
    assert "--features vanilla-clip-cost-16f " in trained
    assert trained.endswith(f"--out {file}")


@pytest.mark.parametrize(("method", "system"), specs.SYSTEMS.items())
def test_systems_are_trained_by_their_name(method, system):
    (tuned, extracted) = source_commands("zero-shot", method)[system].split(" && ")
    assert tuned.startswith("vifi train zero_shot_k400 S --dataset k400 ")
    assert tuned.endswith(f"--system {system}")
    assert f"--pretrained zero-shot/k400/{system}/step-N.safetensors" in extracted


@pytest.mark.parametrize("method", [*specs.SYSTEMS, "A5"])
def test_prompting_tables_begin_with_what_was_tuned_on_kinetics(method):
    once = source_commands("few-shot", method)
    twice = source_commands("few-shot", method, is_bridged=True)
    name = FEATURES_OF[method]
    assert not once.keys() & twice.keys()
    bridge, *rest = twice[f"{name}-bridged-k8"].split(" && ")
    assert "vifi train zero_shot_k400 S --dataset k400 " in bridge
    (folder,) = words_after(bridge, "--out")
    assert f"--pretrained {folder}/step-N.safetensors" in rest[0]
    command = paper_command("few-shot", method, "ucf101", 8, is_bridged=True)
    assert words_after(command, "--features") == [f"{name}-bridged-k8"]


def test_systems_have_their_own_views_of_kinetics():
    (source,) = source_commands("supervised", "ActionCLIP").values()
    assert "--frames 32 --clips 10 --crops 3 --name actionclip" in source
    (source,) = source_commands("supervised", "A6").values()
    assert "--head a6" in source
    assert "--frames 16 --clips 5 --crops 1 --name vanilla-clip-supervised-16f" in source
    (source,) = source_commands("supervised", "ViFi-CLIP").values()
    assert "vifi extract S --dataset k400" in source
    assert "--frames 16 --clips 4 --crops 3" in source


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


def test_every_feature_set_and_file_that_a_command_names_is_made():
    for table in paper_tables([]):
        for command in table.commands:
            words = shlex.split(command)
            if words[1] == "bench":
                named = words_after(command, "--head") + words_after(command, "--pretrained")
            else:
                given = re.search(r"--features (.+?) --", command)
                named = given.group(1).split()
            assert set(named) <= table.used_sources.keys(), command


def test_what_differs_is_not_kept_in_one_place():
    """No two trainings share a folder or file, no two feature sets of a data set a name."""
    made = {(s.protocol, m, s.is_bridged) for s in SPECS for m in s.methods}
    made |= {("cost", method, False) for spec in SPECS for method in spec.methods}
    sources = [
        source
        for protocol, method, is_bridged in sorted(made)
        for source in source_commands(protocol, method, is_bridged=is_bridged).values()
    ]
    places = {}
    for step in {step for source in sources for step in source.split(" && ")}:
        kept = [("--out", place) for place in words_after(step, "--out")]
        kept += [(*words_after(step, "--dataset"), name) for name in words_after(step, "--name")]
        for place in kept:
            assert places.setdefault(place, step) == step
    assert len(places) > 50
