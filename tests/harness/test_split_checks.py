"""Numbers that could be of other videos, or of no score at all, are errors."""

import numpy as np
import pytest

from harness.comparison import compare
from harness.levers.wanted_levers import Levers
from harness.measuring import Scoring, Setup, scored_rows
from harness.projection.panels import load_panels
from harness.protocols.zero_shot import zero_shot
from harness.scoring import load_videos
from harness.split_checks import check_scores
from tests.harness.conftest import planted_store
from vifistore.errors import UsageError
from vifistore.store.dataset import write_videos


def joined(first, second):
    levers = Levers(names=("ensemble-probability",), ensemble_with=(second,))
    return zero_shot(first, ("",), Scoring(levers=levers, folds=50))


PAIRING = {
    "compare": compare,
    "panels": lambda first, second: load_panels([first, second]),
    "ensemble": joined,
}


@pytest.fixture
def two_stores(tmp_path, make_store):
    """Call with what the ids of the second store are made of: a set of equal rows in each."""

    def make(renamed):
        found = []
        for name, folder in (("one", tmp_path), ("other", tmp_path / "copy")):
            folder.mkdir(exist_ok=True)
            maker = planted_store(folder, num_videos=30)
            if name == "other":
                videos = renamed(maker.store.videos("toy"))
                dataset = maker.store.dataset("toy")
                write_videos(dataset, videos, maker.class_names, "/videos", anew=True)
            maker.features(maker.frames(seed=len(name)), name=name, checkpoint=name)
            maker.texts(name)
            found.append(maker.store.features("toy", name))
        return found

    return make


@pytest.mark.parametrize("pair", PAIRING.values(), ids=PAIRING)
def test_rows_of_two_stores_are_pairs_where_their_ids_are_equal(two_stores, pair):
    assert pair(*two_stores(lambda videos: videos))


@pytest.mark.parametrize("pair", PAIRING.values(), ids=PAIRING)
def test_rows_of_another_order_are_no_pairs(two_stores, pair):
    one, other = two_stores(lambda videos: videos.assign(id=videos["id"].to_numpy()[::-1]))
    with pytest.raises(UsageError, match="one of toy and other of toy are of other videos or"):
        pair(one, other)


def test_what_gave_no_number_is_not_right(make_store):
    """A score that is no number is beaten by none: as a rule that divides by zero gives it."""
    maker = make_store(num_videos=20)
    maker.features(maker.frames())
    videos = load_videos(maker.store.features("toy", "tiny"))
    scores = np.full((20, 6), 1 / 6, np.float32)
    check_scores(scores, "image fusion")
    scores[3:5, 2] = np.nan, np.inf
    told = r"mine fusion gave 2 of 20 videos scores that are no numbers \(first: number 3\)"
    with pytest.raises(UsageError, match=told):
        scored_rows(videos, {"mine": scores}, Scoring(), Setup(protocol="zero-shot"))
    setup = Setup(protocol="zero-shot", lever="even-classes")
    with pytest.raises(UsageError, match=r"^even-classes gave 2 of 20"):
        scored_rows(videos, {"mine": scores}, Scoring(), setup)
