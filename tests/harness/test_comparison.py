import numpy as np
import pytest

from harness.comparison import compare
from harness.measuring import Scoring
from vifistore.errors import UsageError


def test_better_features_beat_worse_ones(make_store):
    maker = make_store(num_videos=150)
    maker.texts()
    status = np.ones(150, np.uint8)
    status[10:20] = 2
    maker.features(maker.frames(noise=1.0), name="good")
    maker.features(maker.frames(noise=6.0), name="bad", status=status)
    found = compare(
        maker.store, "toy", "bad", "good", settings=Scoring(fusions=("embedding", "decision"))
    )
    assert [compared.fusion for compared in found] == ["embedding", "decision"]
    assert found[0].num_videos == 140
    assert found[0].sentence.startswith("good beats bad by")
    assert found[0].sentence.endswith("points, p < 0.001")
    same = compare(maker.store, "toy", "good", "good")[0]
    assert same.comparison.difference == 0
    assert "do not differ clearly" in same.sentence


def test_nothing_in_common(make_store):
    maker = make_store(num_videos=70)
    maker.texts()
    early, late = np.ones(70, np.uint8), np.ones(70, np.uint8)
    early[35:], late[:35] = 2, 2
    maker.features(maker.frames(seed=0, num_frames=2), name="early", status=early)
    maker.features(maker.frames(seed=1, num_frames=3), name="late", status=late)
    with pytest.raises(UsageError, match="early and late hold no video of all in common"):
        compare(maker.store, "toy", "early", "late")
