"""Settings of heads are of one source each."""

import pytest

from vifistore.errors import UsageError
from vifistore.training.heads.head_settings import HeadSettings


def test_a5_s_are_those_of_its_published_command():
    """The README of ju-chen/Efficient-Prompt: --prefix 16 --postfix 16 --tfm_layers 1

    --batchsize 64 --lr 1e-4 --num_iterations 1100, on HMDB51's 3,570 videos by split.
    """
    found = HeadSettings().of("a5")
    assert (found.prompts, found.layers, found.batch_size) == (16, 1, 64)
    assert (found.learning_rate, found.final_ratio, found.warmup_epochs) == (1e-4, 1.0, 0.0)
    # Its loader leaves out what fills no batch.
    assert found.epochs * (3570 // found.batch_size) == 1100
    # Of its src/main.py, and of PyTorch's AdamW.
    assert (found.weight_decay, found.second_beta) == (0.01, 0.999)


def test_what_is_given_goes_before_the_default():
    found = HeadSettings(layers=2, learning_rate=1e-3).of("a5")
    assert (found.layers, found.learning_rate, found.prompts) == (2, 1e-3, 16)
    assert HeadSettings(epochs=2).of("actionclip-transf").warmup_epochs == 0.2
    assert HeadSettings(epochs=3).of("actionclip-transf").warmup_epochs == 2.0
    with pytest.raises(UsageError, match="--prompts has no meaning for actionclip-transf"):
        HeadSettings(prompts=4).of("actionclip-transf")
