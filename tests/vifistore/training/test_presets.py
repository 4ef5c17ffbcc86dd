"""Presets hold the paper's values, and what is put right only without --paper-exact."""

import pytest

from vifistore.training.presets import PRESETS, few_shot, prompt_base_to_novel, prompt_few_shot

# Learning rate, batch, epochs, frames: protocols of the paper, section 4 and its code's configs.
PAPER = {
    "zero_shot_k400": (8e-6, 256, 10, 32),
    "supervised_k400": (2.2e-5, 512, 30, 16),
    "base_to_novel": (2e-6, 64, 11, 32),
    "few_shot": (2e-6, 64, 50, 32),
    "prompt_base_to_novel": (4e-2, 64, 11, 32),
    "prompt_few_shot": (8e-3, 64, 50, 32),
    "fusion_ablation": (2e-6, 64, 50, 32),
}


@pytest.mark.parametrize("paper_exact", [True, False])
@pytest.mark.parametrize("name", PRESETS)
def test_values_of_the_paper(name, paper_exact):
    found = PRESETS[name](paper_exact=paper_exact)
    values = (found.learning_rate, found.batch_size, found.epochs, found.num_frames)
    assert values == PAPER[name]
    assert (found.betas, found.weight_decay, found.final_ratio) == ((0.9, 0.98), 1e-3, 0.01)
    assert (found.label_smoothing, found.mixing, found.micro_batch) == (0.1, True, 4)
    assert found.trains == ("prompts" if name.startswith("prompt") else "full")
    assert found.seed == 1024


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_put_right(name):
    exact, better = (PRESETS[name](paper_exact=choice) for choice in (True, False))
    assert (exact.preprocess, better.preprocess) == ("paper", "openclip")
    assert better.class_names == "words"
    # The released code writes names as they are, but takes underscores out behind prompts.
    assert exact.class_names == ("spaces" if exact.trains == "prompts" else "as-is")
    assert exact.warmup_epochs == 5.0
    assert better.warmup_epochs == pytest.approx(min(5, better.epochs / 10))
    assert (exact.released_schedule, better.released_schedule) == (True, False)
    assert (exact.released_data, better.released_data) == (True, False)
    assert (exact.drop_last, better.drop_last) == (True, False)
    assert (exact.cut_context, better.cut_context) == (False, True)
    assert (exact.jitter_each_frame, better.jitter_each_frame) == (True, False)


def test_no_mirroring_where_classes_tell_left_from_right():
    assert few_shot(dataset="ssv2").flip == 0.0
    assert few_shot(dataset="ssv2", paper_exact=True).flip == 0.5
    assert few_shot(dataset="ucf101").flip == 0.5


def test_shots():
    assert few_shot(shots=4).shots == 4
    assert prompt_few_shot(shots=2).shots == 2
    assert PRESETS["base_to_novel"]().shots == 16


@pytest.mark.parametrize(
    ("settings", "count"), [(prompt_base_to_novel(), 184_320), (prompt_few_shot(), 153_600)]
)
def test_numbers_of_prompt_parameters(settings, count):
    """Of ViT-B/16, whose towers are 768 and 512 wide."""
    image = settings.image_prompts * settings.image_depth * 768
    assert image + settings.text_prompts * settings.text_depth * 512 == count


def test_every_preset_says_what_to_expect_and_where_the_traps_are():
    for make in PRESETS.values():
        assert "Expected" in make.__doc__
        assert "Trap" in make.__doc__
