"""The learning rate at every step."""

import math

from vifistore.training.order import Order


def rate_of_step(step: int, order: Order) -> float:
    """The learning rate of a step of a run, as its settings want it."""
    settings = order.settings
    now, per_epoch = step, order.steps_per_epoch
    if settings.released_schedule:
        now, per_epoch = released_count(step, order)
    num_warmup = settings.warmup_epochs * per_epoch
    return learning_rate_at(
        now,
        num_steps=settings.epochs * per_epoch,
        num_warmup_steps=int(num_warmup) if settings.released_schedule else round(num_warmup),
        highest=settings.learning_rate,
        final_ratio=settings.final_ratio,
        warmup_in_cosine=settings.released_schedule,
    )


def released_count(step: int, order: Order) -> tuple[int, int]:
    """Where ViFi-CLIP's schedule stands at a step, and what it takes for an epoch.

    Both in forward passes of one of its GPUs, also those that fill no step at the end of an epoch.
    It is moved behind each step to the last pass of that one: the first step has the rate of pass
    0, every later one that of the last pass before it (main.py, train_one_epoch). Where the sizes
    are none that its GPUs could share, a step is one pass.
    """
    settings, gpus = order.settings, order.released_gpus
    per_epoch, per_step = order.steps_per_epoch, 1
    if gpus > 1:
        # Its sampler hands the same number of videos to every GPU, some of them twice.
        passes = -(-order.num_videos // gpus) // settings.micro_batch
        accumulated = settings.batch_size // (gpus * settings.micro_batch)
        if passes >= per_epoch * accumulated:
            per_epoch, per_step = passes, accumulated
    if step == 0:
        return 0, per_epoch
    epoch, position = divmod(step - 1, order.steps_per_epoch)
    return epoch * per_epoch + (position + 1) * per_step - 1, per_epoch


def learning_rate_at(
    step: int,
    *,
    num_steps: int,
    num_warmup_steps: int,
    highest: float,
    final_ratio: float,
    warmup_in_cosine: bool = False,
) -> float:
    """Rises linearly from 0 over the warm-up, then falls along a half cosine to `final_ratio`.

    The first of `num_steps` steps is 0; the highest rate is used at step `num_warmup_steps` and
    `highest * final_ratio` at the last one. With `warmup_in_cosine` the half cosine is counted
    from step 0, and would end one step after the last: the highest rate is never used, and the rate
    drops where the warm-up ends (timm's CosineLRScheduler without warmup_prefix).
    """
    if step < num_warmup_steps:
        return highest * step / num_warmup_steps
    if warmup_in_cosine:
        progress = step / num_steps
    else:
        progress = (step - num_warmup_steps) / max(1, num_steps - 1 - num_warmup_steps)
    ratio = final_ratio + (1 - final_ratio) * (1 + math.cos(math.pi * progress)) / 2
    return highest * ratio
