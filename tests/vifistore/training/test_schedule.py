"""The learning rate at every step, as the paper's words and as its released code have it."""

import math

import pytest
import torch
from timm.scheduler.cosine_lr import CosineLRScheduler

from tests.vifistore.training.conftest import losses_of
from vifistore.training.order import Order
from vifistore.training.schedule import learning_rate_at, rate_of_step
from vifistore.training.training_settings import TrainSettings


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


@pytest.mark.parametrize(
    ("num_videos", "batch_size", "epochs"),
    # Of HMDB51 and UCF101 with 2 and 16 videos of a class; a batch that 8 GPUs cannot share.
    [(102, 64, 50), (816, 64, 50), (1616, 64, 50), (3000, 256, 10), (408, 40, 11)],
)
def test_the_released_code_takes_the_rate_of_the_pass_before(num_videos, batch_size, epochs):
    settings = TrainSettings(
        **{"batch_size": batch_size, "epochs": epochs, "micro_batch": 4, "drop_last": True},
        released_schedule=True,
    )
    order = Order(num_videos=num_videos, settings=settings)
    passes, accumulated = -(-num_videos // 8) // 4, batch_size // 32
    if batch_size % 32:
        passes, accumulated = num_videos // batch_size, 1
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=settings.learning_rate)
    timms = CosineLRScheduler(
        optimiser,
        **{
            "t_initial": passes * epochs,
            "lr_min": settings.learning_rate / 100,
            "warmup_lr_init": 0,
        },
        **{"warmup_t": 5 * passes, "cycle_limit": 1, "t_in_epochs": False},
    )
    expected = []
    # As train_one_epoch in ViFi-CLIP's main.py.
    for epoch in range(epochs):
        for number in range(passes):
            if (number + 1) % accumulated == 0:
                expected.append(optimiser.param_groups[0]["lr"])
                timms.step_update(epoch * passes + number)
    assert len(expected) == order.num_steps
    rates = [rate_of_step(step, order) for step in range(order.num_steps)]
    assert rates == pytest.approx(expected, rel=1e-9)


def test_a_run_has_the_schedule_of_its_settings(trained, tmp_path):
    for released in (False, True):
        trained(out=str(released), released_schedule=released, epochs=3)
    rates = [losses_of(tmp_path / run, "learning_rate") for run in ("False", "True")]
    # Six steps, the first of them warm-up; released, each takes the rate of the one before.
    gone = 0.01 + 0.99 * (1 + math.cos(math.pi / 6)) / 2
    assert rates[0][:2] == pytest.approx([0, 1e-3])
    assert rates[1][:3] == pytest.approx([0, 0, gone * 1e-3])
