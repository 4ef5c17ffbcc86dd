"""What a run gets wrong is known from its settings, its split and its model's config."""

from dataclasses import replace

import numpy as np
import pytest

from vifistore.errors import Faults, UsageError
from vifistore.models.config_files import find_config, model_faults
from vifistore.models.prompt_learning import PromptSettings, add_prompts
from vifistore.models.towers import model_config, new_model, open_clip
from vifistore.store.splits import Split
from vifistore.training.faults import run_faults
from vifistore.training.options import RunOptions
from vifistore.training.training_settings import TrainSettings

SETTINGS = TrainSettings(num_frames=2, batch_size=4)
SPLIT = Split(
    name="train",
    rows=np.arange(8),
    labels=np.arange(8, dtype=np.int32) % 2,
    class_names=["a", "b"],
    source="",
    digest="",
)


class Whole:
    """A dataset whose rows are whole videos."""

    def videos_of(self, rows):
        return rows


WHOLE = Whole()


def told(settings=SETTINGS, options=None, split=SPLIT, **given):
    try:
        run_faults(settings, options or RunOptions(), WHOLE, split, **given).refuse()
    except UsageError as error:
        return str(error)
    return ""


def test_configs_are_openclips_own():
    for model in ("vifi-tiny", "ViT-B-16-quickgelu", "RN50", "coca_ViT-B-32", "ViT-B-16-SigLIP"):
        assert find_config(model) == model_config(model)
    assert find_config("hf-hub:somebody/model") is None
    names = set(open_clip.list_models())
    found = Faults()
    for name in names:
        model_faults(found, name, "openai")
    model_faults(found, "hf-hub:somebody/model", "")
    found.refuse()
    model_faults(found, "ViT-B-17", "nowhere.pt")
    with pytest.raises(UsageError, match=r"'ViT-B-16'.*there are no weights at nowhere\.pt"):
        found.refuse()


def test_a_run_that_can_be_has_no_faults():
    assert told() == ""
    memory = RunOptions(in_memory=True)
    text = replace(SETTINGS, trains="text", flip=0.0, candidate_frames=4)
    assert told(text, memory) == ""
    # Videos that are read anew at every step may be mirrored.
    assert told(replace(text, flip=0.5)) == ""
    prompts = replace(SETTINGS, trains="prompts")
    assert told(prompts, config=find_config("ViT-B-16")) == ""
    assert told(prompts) == "", "of a model that is not known here nothing is said"


def test_frames_in_memory_and_the_towers_depths_are_told_together():
    settings = replace(
        SETTINGS, trains="prompts", image_prompts=0, text_prompts=14, text_depth=4, flip=0.5
    )
    said = told(settings, RunOptions(in_memory=True), config=find_config("vifi-tiny"))
    assert said.startswith("4 things are wrong: (1) --in-memory keeps the frames that steps draw")
    for part in ("image tower is frozen, so frames in memory", "--text-depth is 4 and the text"):
        assert part in said or said.endswith("more)")
    deep = replace(SETTINGS, trains="prompts")
    said = told(deep, config=find_config("vifi-tiny"))
    assert "--image-depth is 9 and the image tower has 4 blocks; give 4 or less" in said
    assert "--text-depth is 9 and the text tower has 2 blocks; give 2 or less" in said
    assert "--text-prompts 16 leaves no room for a name in 16 tokens; give at most 13" in said


@pytest.mark.parametrize("model", ["vifi-tiny", "RN50", "coca_ViT-B-32"])
def test_prompts_that_are_refused_are_those_that_the_towers_refuse(model):
    config = find_config(model)
    for changes in ({}, {"image_depth": 3, "text_depth": 2, "text_prompts": 3}):
        settings = replace(SETTINGS, trains="prompts", **changes)
        fields = ("image_prompts", "image_depth", "text_prompts", "text_depth")
        wanted = PromptSettings(**{field: getattr(settings, field) for field in fields})
        fails = False
        if model == "vifi-tiny":
            try:
                add_prompts(new_model(model, 0), wanted, seed=0)
            except UsageError:
                fails = True
        else:
            fails = True
        assert bool(told(settings, config=config)) == fails


def test_splits_batches_and_processes():
    assert "split train has 4 videos of a where this run takes 2" in told(
        replace(SETTINGS, shots=2)
    )
    large = replace(SETTINGS, batch_size=64, drop_last=True)
    assert "8 videos make no batch of 64; give a smaller --batch-size" in told(large)
    few = replace(SETTINGS, micro_batch=4)
    assert "leaves some of 2 processes idle" in told(few, world=2)
    crops = replace(SETTINGS, candidate_frames=4, jitter=0.5)
    assert "crops and colours are changed on decoded frames" in told(
        crops, RunOptions(in_memory=True)
    )
