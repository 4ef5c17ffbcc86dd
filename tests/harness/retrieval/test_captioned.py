"""Which sentences are asked, and which rows are right."""

import numpy as np
import pandas as pd
import pytest

from harness.retrieval.captioned import caption_texts, load_captioned
from vifistore.store.dataset import write_captions


@pytest.fixture
def maker(make_store):
    maker = make_store(num_videos=8, num_classes=2)
    maker.features(maker.frames(noise=0.2))
    captions = [(5, "b"), (2, "a"), (5, "a"), (2, "c"), (5, "b"), (7, "d")]
    write_captions(maker.store.dataset("toy"), captions)
    maker.split("some", np.array([1, 2, 5]))
    return maker


def loaded(maker, split="", **how):
    return load_captioned(maker.store.features("toy", "tiny"), split, partial=False, **how)


def test_every_caption_of_a_video_is_asked_once(maker):
    found = loaded(maker, "some")
    names, rows = found.videos.class_names, found.videos.rows
    pairs = found.pairs
    asked = {(rows[v], names[t]) for v, t in zip(pairs.videos, pairs.texts, strict=True)}
    assert asked == {(5, "b"), (5, "a"), (2, "a"), (2, "c")}
    assert pairs.queries.tolist() == [0, 1, 2, 3]
    assert found.num_uncaptioned == 1
    assert caption_texts(maker.store.dataset("toy"), "some") == ["b", "a", "c"]
    assert loaded(maker).num_uncaptioned == 5


def test_paragraphs_join_in_the_order_given(maker):
    texts = caption_texts(maker.store.dataset("toy"), "some", paragraphs=True)
    assert texts == ["b a b", "a c"]
    found = loaded(maker, "some", paragraphs=True)
    assert found.videos.class_names == texts
    pairs = found.pairs
    rows = {
        found.videos.class_names[t]: found.videos.rows[v]
        for v, t in zip(pairs.videos, pairs.texts, strict=True)
    }
    assert rows == {"b a b": 5, "a c": 2}


def test_stretches_of_a_file_share_what_is_asked(maker, monkeypatch):
    paths = np.array([f"video{row // 4}" for row in range(8)], object)
    dataset = maker.store.dataset("toy")
    captions = [(4, "said"), (5, "said"), (6, "said"), (1, "said")]
    monkeypatch.setattr(type(dataset), "column", lambda self, name: {"path": paths}[name])
    monkeypatch.setattr(
        type(dataset), "captions", lambda self: pd.DataFrame(captions, columns=["row", "text"])
    )
    pairs = loaded(maker).pairs
    assert pairs.queries.tolist() == [0, 1, 1, 1]
    assert pairs.videos.tolist() == [0, 1, 2, 3]
