"""The learning rate at every step."""

import math


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
