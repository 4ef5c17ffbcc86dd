"""Recall and ranks of captions, by hand and beside a plain restatement."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.fusion import unit
from harness.measuring import Scoring
from harness.retrieval import caption_metrics as module
from harness.retrieval.caption_metrics import caption_metrics, text_ranks, video_ranks
from harness.retrieval.captioned import CaptionPairs
from harness.retrieval.likeness import KnownLikeness, VectorLikeness

QUICK = Scoring(folds=50)


def pairs_of(triples):
    queries, videos, texts = np.array(sorted(triples)).T
    return CaptionPairs(queries=queries, videos=videos, texts=texts)


def test_captions_by_hand():
    videos = np.eye(3, dtype=np.float32)
    # Two captions of video 0, the second of which is nearer to video 1; one of video 2.
    texts = unit(np.array([[1, 0, 0], [0.5, 0.9, 0], [0, 0.6, 0.5]]))
    pairs = pairs_of([(0, 0, 0), (1, 0, 1), (2, 2, 2)])
    found = caption_metrics(pairs, VectorLikeness(texts, videos), QUICK)
    # t2v ranks 1, 2, 2. v2t: video 0 is found at once; text 2 is the only one near video 2.
    assert found["t2v_recall_at_1"].value == pytest.approx(1 / 3)
    assert found["t2v_recall_at_5"].value == 1.0
    assert found["t2v_median_rank"].value == 2.0
    assert found["t2v_mean_rank"].value == pytest.approx(5 / 3)
    assert found["v2t_recall_at_1"].value == 1.0
    assert found["v2t_median_rank"].value == found["v2t_mean_rank"].value == 1.0


def test_scores_that_tell_nothing_find_nothing():
    pairs = pairs_of([(0, 0, 0), (1, 1, 1), (2, 2, 2)])
    likeness = KnownLikeness(np.full((3, 3), 0.25, np.float32))
    assert text_ranks(pairs, likeness).tolist() == [3, 3, 3]
    assert video_ranks(pairs, likeness).tolist() == [3, 3, 3]


def test_one_sentence_of_two_videos_is_asked_for_each():
    # Text 0 is that of videos 0 and 1, text 1 that of video 2.
    pairs = pairs_of([(0, 0, 0), (1, 1, 0), (2, 2, 1)])
    likeness = KnownLikeness(np.array([[0.9, 0.1], [0.8, 0.3], [0.7, 0.6]], np.float32))
    assert text_ranks(pairs, likeness).tolist() == [1, 2, 1]
    # From video 2 the sentence of the others comes first, twice.
    assert video_ranks(pairs, likeness).tolist() == [1, 1, 3]


def test_any_stretch_that_has_the_caption_is_right():
    pairs = pairs_of([(0, 0, 0), (0, 1, 0), (1, 2, 1)])
    likeness = KnownLikeness(np.array([[0.1, 0.1], [0.9, 0.3], [0.8, 0.6]], np.float32))
    assert text_ranks(pairs, likeness).tolist() == [1, 1]
    assert video_ranks(pairs, likeness).tolist() == [2, 1, 2]


def plainly(triples, cosines):
    """Ranks by the words of the docstring, one at a time."""
    queries = sorted({query for query, _, _ in triples})
    text_of = {query: text for query, _, text in triples}
    by_text, by_video = [], []
    for query in queries:
        right = {video for q, video, _ in triples if q == query}
        best = max(cosines[video][text_of[query]] for video in right)
        wrong = [v for v in range(len(cosines)) if v not in right]
        by_text.append(1 + sum(cosines[v][text_of[query]] >= best for v in wrong))
    for video in sorted({video for _, video, _ in triples}):
        right = {text for _, v, text in triples if v == video}
        best = max(cosines[video][text] for text in right)
        listed = [text_of[query] for query in queries if text_of[query] not in right]
        by_video.append(1 + sum(cosines[video][text] >= best for text in listed))
    return by_text, by_video


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_ranks_are_the_plain_ones(data):
    num_videos, num_texts = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    asked = data.draw(st.lists(st.integers(0, num_texts - 1), min_size=1, max_size=9))
    right = [
        data.draw(st.sets(st.integers(0, num_videos - 1), min_size=1, max_size=2)) for _ in asked
    ]
    triples = [(q, v, t) for q, (t, vs) in enumerate(zip(asked, right, strict=True)) for v in vs]
    # Few values, so that many scores tie.
    cosines = [[data.draw(st.integers(0, 4)) for _ in range(num_texts)] for _ in range(num_videos)]
    pairs, likeness = pairs_of(triples), KnownLikeness(np.array(cosines, np.float32))
    by_text, by_video = plainly(triples, cosines)
    assert text_ranks(pairs, likeness).tolist() == by_text
    assert video_ranks(pairs, likeness).tolist() == by_video


def test_ranks_do_not_depend_on_the_chunks(monkeypatch):
    generator = np.random.default_rng(3)
    videos = generator.integers(0, 20, 50)
    pairs = CaptionPairs(queries=np.arange(50), videos=videos, texts=generator.permutation(50))
    likeness = KnownLikeness(generator.integers(0, 9, (20, 50)).astype(np.float32))
    whole = text_ranks(pairs, likeness), video_ranks(pairs, likeness)
    monkeypatch.setattr(module, "_CHUNK_ELEMENTS", 70)
    np.testing.assert_array_equal(text_ranks(pairs, likeness), whole[0])
    np.testing.assert_array_equal(video_ranks(pairs, likeness), whole[1])
