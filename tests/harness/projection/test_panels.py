import numpy as np
import pytest

from harness.projection.panels import UNLABELLED, Choice, load_panels
from vifistore.errors import IncompleteError, UnknownNameError, UsageError

NAMES = ["vanilla", "tuned"]


def test_panels_hold_the_same_videos_as_unit_vectors(two_sets):
    maker = two_sets()
    panels = load_panels([maker.store.features("toy", name) for name in NAMES])
    assert list(panels.vectors) == NAMES
    assert panels.rows.tolist() == [row for row in range(72) if row not in (5, 9)]
    assert (panels.labels == maker.labels[panels.rows]).all()
    for vectors in panels.vectors.values():
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_unlabelled_videos_are_shown_unless_classes_are_chosen(two_sets):
    maker = two_sets(unlabelled=(0, 1, 7))
    panels = load_panels([maker.store.features("toy", name) for name in NAMES])
    assert panels.labels[[0, 1]].tolist() == [UNLABELLED, UNLABELLED]
    assert (~panels.is_labelled).sum() == 3
    chosen = load_panels(
        [maker.store.features("toy", name) for name in NAMES], Choice(classes=("class 2",))
    )
    assert set(chosen.labels) == {2}


def test_a_number_of_classes_is_drawn_by_the_seed(two_sets):
    maker = two_sets()

    def drawn(seed: int) -> set:
        return set(
            load_panels(
                [maker.store.features("toy", name) for name in NAMES],
                Choice(num_classes=2, seed=seed),
            ).labels
        )

    draws = [drawn(seed) for seed in range(8)]
    assert all(len(labels) == 2 for labels in draws)
    assert draws == [drawn(seed) for seed in range(8)]
    assert len({tuple(sorted(labels)) for labels in draws}) > 1


def test_a_split_gives_rows_and_labels(two_sets):
    maker = two_sets()
    maker.split("some", [40, 3, 20, 21, 22, 5, 3], labels=[0, 1, -1, 0, 1, 0, 1])
    panels = load_panels(
        [maker.store.features("toy", name) for name in NAMES], Choice(split="some")
    )
    assert panels.rows.tolist() == [3, 20, 21, 22, 40]
    assert panels.labels.tolist() == [1, UNLABELLED, 0, 1, 0]


def test_what_cannot_be_shown_is_refused(two_sets, make_store):
    maker = two_sets()
    with pytest.raises(UnknownNameError, match="class 9"):
        load_panels(
            [maker.store.features("toy", name) for name in NAMES], Choice(classes=("class 9",))
        )
    with pytest.raises(UsageError, match="more than the 3"):
        load_panels([maker.store.features("toy", name) for name in NAMES], Choice(num_classes=4))
    with pytest.raises(UsageError, match="exclude each other"):
        Choice(num_classes=2, classes=("a",))
    with pytest.raises(UsageError, match="give 1 or more"):
        Choice(num_classes=-1)
    maker.split("few", [1, 2, 3])
    with pytest.raises(UsageError, match="3 videos are too few for a map"):
        load_panels([maker.store.features("toy", name) for name in NAMES], Choice(split="few"))


def test_an_incomplete_set_only_with_partial(make_store):
    maker = make_store(num_videos=20)
    status = np.ones(20, np.uint8)
    status[12:] = 0
    maker.features(maker.frames(), status=status, seal=False)
    with pytest.raises(IncompleteError):
        load_panels([maker.store.features("toy", "tiny")])
    panels = load_panels([maker.store.features("toy", "tiny")], Choice(partial=True))
    assert panels.rows.tolist() == list(range(12))


def test_a_seed_below_zero_is_refused():
    with pytest.raises(UsageError, match="seed is -1"):
        Choice(seed=-1)
