"""The learning rate at every step, as the paper's words and as its released code have it."""

import math

import pytest
import torch
from timm.scheduler.cosine_lr import CosineLRScheduler

from tests.vifistore.training.conftest import losses_of
from vifistore.training.schedule import learning_rate_at


def test_learning_rate_rises_then_falls():
    rates = [
        learning_rate_at(s, num_steps=11, num_warmup_steps=5, highest=1.0, final_ratio=0.01)
        for s in range(11)
    ]
    # Linear to 1 at step 5, then half a cosine to 0.01: the middle of it is (1 + 0.01) / 2.
    assert rates[:6] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[-1] == pytest.approx(0.01)
    assert rates == [*sorted(rates[:6]), *sorted(rates[6:], reverse=True)]


def test_the_released_code_drops_the_rate_where_warm_up_ends():
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=2e-6)
    # As ViFi-CLIP's utils/optimizer.py builds it, for 11 epochs of 6 steps.
    timms = CosineLRScheduler(
        optimiser, t_initial=66, lr_min=2e-8, warmup_t=30, cycle_limit=1, t_in_epochs=False
    )
    rates = [
        learning_rate_at(
            step,
            **{"num_steps": 66, "num_warmup_steps": 30, "highest": 2e-6},
            **{"final_ratio": 0.01, "warmup_in_cosine": True},
        )
        for step in range(66)
    ]
    expected = []
    for step in range(66):
        timms.step_update(step)
        expected.append(optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx(expected, rel=1e-12)
    assert rates[30] < rates[29]


def test_a_run_has_the_schedule_of_its_settings(trained, tmp_path):
    for in_cosine in (False, True):
        trained(out=str(in_cosine), warmup_in_cosine=in_cosine)
    # Four steps, the first of them warm-up: a quarter of a half cosine is gone at its end.
    gone = 0.01 + 0.99 * (1 + math.cos(math.pi / 4)) / 2
    first = [losses_of(tmp_path / run, "learning_rate")[1] for run in ("False", "True")]
    assert first == pytest.approx([1e-3, gone * 1e-3], rel=1e-4)
