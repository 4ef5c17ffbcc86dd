import numpy as np
import pytest

from harness.protocols.supervised import supervised
from harness.protocols.trained import Trained
from harness.protocols.zero_shot import zero_shot
from vifistore.errors import UsageError


@pytest.fixture
def maker(make_store):
    maker = make_store(num_videos=180)
    maker.features(maker.frames(num_views=12, noise=4.0))
    maker.texts()
    maker.split("train", np.arange(120))
    maker.split("val", np.arange(120, 180))
    return maker


def test_text_scores_sum_over_all_views(maker, value_of):
    row = value_of(supervised(maker.store.features("toy", "tiny"), "val"), metric="top1")
    assert (row.protocol, row.num_views, row.shots) == ("supervised", 12, None)
    expected = value_of(zero_shot(maker.store.features("toy", "tiny"), ("val",)), metric="top1")
    assert row.value == expected.value


def test_classifier_trained_on_a_split(maker, value_of):
    settings = Trained(classifier="linear-probe", train_split="train")
    row = value_of(supervised(maker.store.features("toy", "tiny"), "val", settings), metric="top1")
    assert row.value > 0.8
    assert (row.classifier, row.text_set) == ("linear-probe", "")
    assert row.provenance["num_train_videos"] == 120
    with pytest.raises(UsageError, match="120 of 120 training videos of train are also in train"):
        supervised(maker.store.features("toy", "tiny"), "train", settings)
    maker.split("two", [0, 1, 6, 12])
    lacking = Trained(classifier="prototype", train_split="two")
    row = value_of(supervised(maker.store.features("toy", "tiny"), "val", lacking), metric="top1")
    assert (row.classes, row.num_videos, row.listed) == (2, 20, 60)
