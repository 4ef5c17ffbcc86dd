"""Feature sets that a head made of cached frames are scored like any other, as far as they go."""

import pytest

from harness.ablations import Ablation, frames_ablation
from harness.protocols.zero_shot import zero_shot
from vifistore.errors import UsageError
from vifistore.store.derived import write_derived


@pytest.fixture
def maker(make_store):
    maker = make_store()
    maker.features(maker.frames(num_views=2, num_frames=4, noise=3.0))
    maker.texts()
    head = {"digest": "h" * 64, "kind": "mean"}
    write_derived(
        maker.store.features("toy", "tiny"),
        head=head,
        apply=lambda frames: frames.mean(2),
        name="pooled",
    )
    return maker


def test_a_head_that_takes_the_mean_scores_as_the_mean_does(maker, value_of):
    settings = Ablation(fusions=("embedding", "decision"))
    rows = zero_shot(maker.store.features("toy", "pooled"), settings=settings)
    expected = value_of(zero_shot(maker.store.features("toy", "tiny")), metric="top1")
    found = value_of(rows, metric="top1", fusion="embedding")
    assert found.value == expected.value
    assert (found.num_frames, found.num_views) == (4, 2)
    assert found.key != expected.key
    # One unit vector a view: there is nothing left to merge.
    assert value_of(rows, metric="top1", fusion="decision").value == found.value
    told = expected.provenance["differs_from_released_code"]
    assert found.provenance["differs_from_released_code"] == told


def test_what_needs_frames_says_that_there_are_none(maker):
    with pytest.raises(UsageError, match="pooled of toy has no frames; use one that was extracted"):
        zero_shot(maker.store.features("toy", "pooled"), settings=Ablation(fusions=("image",)))
    with pytest.raises(UsageError, match="pooled of toy has no frames"):
        frames_ablation(maker.store.features("toy", "pooled"), (1,))
