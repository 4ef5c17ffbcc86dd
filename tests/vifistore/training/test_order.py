"""Which videos make up which step depends on seed and step alone, not on who takes part."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from torch.utils.data import DataLoader, DistributedSampler

from vifistore.errors import UsageError
from vifistore.training.order import Order
from vifistore.training.training_settings import TrainSettings

SETTINGS = TrainSettings(batch_size=4, micro_batch=2, epochs=3, warmup_epochs=0)


def rows(order: Order, steps: range) -> list[int]:
    return [row for step in steps for batch in order.step(step) for row in batch.rows]


@hypothesis(deadline=None, max_examples=30)
@given(num_videos=st.integers(1, 40), batch=st.integers(1, 9), micro=st.integers(0, 9))
def test_every_epoch_has_every_video_once(num_videos, batch, micro):
    settings = replace(SETTINGS, batch_size=batch, micro_batch=min(micro, batch))
    order = Order(num_videos=num_videos, settings=settings)
    per_epoch = order.steps_per_epoch
    assert order.num_steps == 3 * per_epoch
    for epoch in range(3):
        steps = range(epoch * per_epoch, (epoch + 1) * per_epoch)
        assert sorted(rows(order, steps)) == list(range(num_videos))
        assert all(b.epoch == epoch for step in steps for b in order.step(step))


def test_epochs_and_seeds_differ_and_steps_do_not_depend_on_history():
    order = Order(num_videos=16, settings=SETTINGS)
    first, second = rows(order, range(4)), rows(order, range(4, 8))
    assert first != second
    assert rows(Order(num_videos=16, settings=replace(SETTINGS, seed=1)), range(4)) != first
    assert rows(Order(num_videos=16, settings=SETTINGS), range(4, 8)) == second


@pytest.mark.parametrize("world", [1, 2])
def test_processes_share_the_same_steps(world):
    one = Order(num_videos=10, settings=SETTINGS)
    many = Order(num_videos=10, settings=SETTINGS, world=world)
    assert one.num_steps == many.num_steps == 9
    taken = [list(many.from_step(1, rank)) for rank in range(world)]
    together = sorted(
        (batch for batches in taken for batch in batches), key=lambda b: (b.step, b.number)
    )
    assert together == [batch for step in range(1, 9) for batch in one.step(step)]
    # Ten videos make steps of 4, 4 and 2, the last of which is one forward pass.
    assert len(one.step(2)) == 1


def test_what_fills_no_batch_can_be_left_out():
    order = Order(num_videos=10, settings=replace(SETTINGS, drop_last=True))
    assert order.steps_per_epoch == 2
    assert len(rows(order, range(2))) == 8
    with pytest.raises(UsageError, match="smaller --batch-size"):
        Order(num_videos=3, settings=replace(SETTINGS, drop_last=True))


@pytest.mark.parametrize("batch", [64, 256])
def test_the_released_code_s_epochs(batch):
    """Steps and videos of torch's own sampler and loader on 8 GPUs, 4 videos a pass."""
    settings = replace(SETTINGS, batch_size=batch, micro_batch=4, drop_last=True)
    accumulated = batch // 32
    for num_videos in [*range(batch - 8, batch), *range(batch, 2 * batch + 9), 816, 3000]:
        sampler = DistributedSampler(range(num_videos), num_replicas=8, rank=0)
        steps = len(DataLoader(range(len(sampler)), batch_size=4, drop_last=True)) // accumulated
        if not steps:
            continue
        order = Order(num_videos=num_videos, settings=replace(settings, released_data=True))
        assert order.steps_per_epoch == steps, num_videos
        places = Counter(rows(order, range(steps)))
        assert sum(places.values()) == steps * batch
        # Only what fills the last round of the GPUs comes again.
        assert sum(places.values()) - len(places) <= -num_videos % 8
    plain = Order(num_videos=127, settings=replace(settings, batch_size=64))
    released = Order(num_videos=127, settings=replace(settings, batch_size=64, released_data=True))
    assert (plain.steps_per_epoch, released.steps_per_epoch) == (1, 2)


def test_the_released_code_s_epochs_begin_as_ours():
    settings = replace(SETTINGS, batch_size=64, micro_batch=4)
    plain, released = (
        Order(num_videos=70, settings=replace(settings, released_data=choice))
        for choice in (False, True)
    )
    first, padded = rows(plain, range(2)), rows(released, range(2))
    assert (len(first), len(padded)) == (70, 72)
    assert padded == first + first[:2]


def test_without_a_micro_batch_processes_share_evenly():
    order = Order(num_videos=8, settings=replace(SETTINGS, micro_batch=0), world=2)
    assert [len(batch.rows) for batch in order.step(0)] == [2, 2]
    with pytest.raises(UsageError, match="processes idle"):
        Order(num_videos=8, settings=replace(SETTINGS, micro_batch=4), world=2)
