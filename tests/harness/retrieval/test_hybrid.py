"""Words in captions, labels and ids: BM25 and reciprocal ranks, held to their formulas."""

import math
from collections import Counter

import numpy as np
import pytest

from harness.retrieval.combined_queries import Query
from harness.retrieval.indexing import word_files
from harness.retrieval.indexing.word_files import open_words, texts_of
from harness.retrieval.indexing.word_index import WordIndex, bm25, words_of
from harness.retrieval.rank_fusion import reciprocal_ranks
from harness.retrieval.search import Searcher
from vifistore.store.dataset import write_captions

FIRST = [
    "a dog runs in snow",
    "A Dog, a dog; a DOG!",
    "",
    "CleanAndJerk v_CleanAndJerk_g01",
    "snow",
]
SECOND = ["two people dance", "dog_show people people"]


def plain_bm25(texts, query):
    """The formula, text by text."""
    split = [Counter(words_of(text)) for text in texts]
    mean = sum(sum(words.values()) for words in split) / len(split)
    scores = [0.0] * len(split)
    for word in words_of(query):
        having = sum(word in words for words in split)
        idf = math.log(1 + (len(split) - having + 0.5) / (having + 0.5))
        for number, words in enumerate(split):
            share = 1.2 * (1 - 0.75 + 0.75 * sum(words.values()) / mean)
            scores[number] += idf * words[word] / (words[word] + share)
    return scores


@pytest.mark.parametrize(
    "query", ["dog", "a dog in snow", "people dance dance", "clean", "cat", "!"]
)
def test_scores_are_those_of_the_formula_over_all_datasets(query):
    indexes = [WordIndex.of(FIRST), WordIndex.of(SECOND)]
    found = np.concatenate(bm25(indexes, query))
    np.testing.assert_allclose(found, plain_bm25([*FIRST, *SECOND], query), atol=1e-12)


def test_words_are_compared_as_names_of_classes_are():
    assert words_of("v_CleanAndJerk g01, ÉTÉ") == ["v", "clean", "and", "jerk", "g01", "été"]
    assert words_of("x" * 100) == ["x" * 40]


def test_nothing_to_index():
    for texts in ([], ["", "?"]):
        assert [scores.tolist() for scores in bm25([WordIndex.of(texts)], "dog")] == [
            [0.0] * len(texts)
        ]


def test_ranks_are_fused_by_their_reciprocals():
    fused = reciprocal_ranks([["a", "b", "c"], ["c", "d"]])
    expected = {"a": 1 / 61, "b": 1 / 62, "c": 1 / 63 + 1 / 61, "d": 1 / 62}
    assert dict(fused) == pytest.approx(expected)
    assert [key for key, _ in fused] == ["c", "a", "b", "d"]
    assert reciprocal_ranks([[], []]) == []


@pytest.fixture
def maker(make_store):
    maker = make_store(num_videos=30, num_classes=6)
    maker.features(maker.frames(noise=0.3))
    write_captions(maker.store.dataset("toy"), [(4, "a rare bird"), (4, "it sings"), (9, "a bird")])
    return maker


def test_a_search_joins_vectors_and_words(maker):
    searcher = Searcher(maker.store)
    query = maker.directions[4]
    (plain,) = searcher.search(query, 30)
    (hits,) = searcher.search([Query(wanted=query, words="the rare bird")], 30)
    by_words = sorted(
        (4, 9), key=lambda row: -plain_bm25(texts_of(maker.store.dataset("toy")), "rare bird")[row]
    )
    assert by_words == [4, 9]
    expected = dict(reciprocal_ranks([[hit.row for hit in plain], by_words]))
    assert {hit.row: hit.score for hit in hits} == pytest.approx(expected)
    assert hits[0].row == 4
    assert [hit.score for hit in hits] == sorted(expected.values(), reverse=True)
    # Words that nothing holds leave the order to the vectors.
    (nothing,) = searcher.search([Query(wanted=query, words="zebra")], 30)
    assert [hit.row for hit in nothing] == [hit.row for hit in plain]


def test_words_obey_filters_and_find_labels(maker):
    narrow = Searcher(maker.store, label="class 3")
    (hits,) = narrow.search([Query(wanted=maker.directions[0], words="bird")], 30)
    assert {hit.label for hit in hits} == {"class 3"}
    assert hits[0].row == 9
    whole = Searcher(maker.store)
    (hits,) = whole.search([Query(wanted=maker.directions[0], words="video17")], 3)
    assert 17 in {hit.row for hit in hits}
    (without,) = whole.search(
        [Query(wanted=maker.directions[0], words="video17")], 30, without=("toy", 17)
    )
    assert 17 not in {hit.row for hit in without}


def test_words_are_kept_until_a_caption_changes(maker, monkeypatch):
    dataset, cache = maker.store.dataset("toy"), maker.store.cache_folder
    first = open_words(cache, dataset)
    (kept,) = (cache / "indexes/toy").glob("words-*")
    monkeypatch.setattr(word_files.WordIndex, "of", None)
    again = open_words(cache, dataset)
    for name in ("words", "starts", "rows", "counts", "lengths"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    monkeypatch.undo()
    write_captions(dataset, [(4, "a common bird")])
    assert len(open_words(cache, dataset).entries("rare")[0]) == 0
    (changed,) = (cache / "indexes/toy").glob("words-*")
    assert changed.name != kept.name


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_file_of_words_is_made_again(maker, damage, caplog):
    dataset, cache = maker.store.dataset("toy"), maker.store.cache_folder
    whole = open_words(cache, dataset)
    (kept,) = (cache / "indexes/toy").glob("words-*")
    content = bytearray(kept.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    kept.write_bytes({"cut": content[:50], "empty": b"", "other": b"x" * 500}.get(damage, content))
    again = open_words(cache, dataset)
    np.testing.assert_array_equal(again.rows, whole.rows)
    assert "made again" in caplog.text
    caplog.clear()
    open_words(cache, dataset)
    assert not caplog.text


def test_entries_that_do_not_go_with_their_words_are_no_index(maker, caplog):
    """A file whose digest is right may be another's."""
    dataset, cache = maker.store.dataset("toy"), maker.store.cache_folder
    whole = open_words(cache, dataset)
    (kept,) = (cache / "indexes/toy").glob("words-*")
    for change in (
        {"rows": whole.rows + 100},
        {"starts": whole.starts[:-1]},
        {"lengths": whole.words},
    ):
        word_files._write(kept, WordIndex(**{**vars(whole), **change}))
        np.testing.assert_array_equal(open_words(cache, dataset).rows, whole.rows)
        assert "cannot be used" in caplog.text
        caplog.clear()
