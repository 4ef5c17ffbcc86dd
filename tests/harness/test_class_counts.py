import numpy as np
import pytest

from harness.class_tables import class_frequencies
from vifistore.errors import UsageError


def test_training_videos_per_class_and_the_cut(make_store):
    maker = make_store(num_videos=21)
    # Rows 0 to 20 go round six classes, so that the first three have four videos.
    maker.split("base_val", [0, 1], [0, 1], ["class 0", "class 1"])
    maker.split("novel_val", [5], [0], ["class 5"])
    table = class_frequencies(maker.store.dataset("toy"), "base_val", "novel_val")
    assert table["class"].tolist() == ["class 0", "class 1", "class 5"]
    assert table["count"].tolist() == [4, 4, 3]
    assert table["subset"].tolist() == ["base", "base", "novel"]
    assert set(table["dataset"]) == {"toy"}
    maker.split("train", np.arange(12))
    table = class_frequencies(maker.store.dataset("toy"), "base_val", "novel_val", "train")
    assert table["count"].tolist() == [2, 2, 2]
    maker.split("base_train", np.arange(5))
    with pytest.raises(UsageError, match=r"base_train has no video of 1 of 3 classes .*'class 5'"):
        class_frequencies(maker.store.dataset("toy"), "base_val", "novel_val", "base_train")
