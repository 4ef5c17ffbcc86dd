"""Several terms as one query: the least of what is wanted, less what is not, in deviations."""

import statistics

import numpy as np
import pytest

from harness.fusion import unit
from harness.retrieval.combined_queries import CosineScale, Query
from harness.retrieval.reranking import Rerank
from harness.retrieval.search import Searcher
from harness.vector_reading import video_vectors
from vifistore.errors import UsageError


@pytest.fixture(scope="module")
def maker(tmp_path_factory):
    from tests.harness.conftest import planted_store

    maker = planted_store(tmp_path_factory.mktemp("terms"), num_videos=30, num_classes=6)
    maker.features(maker.frames(noise=0.8))
    return maker


def plain_scores(maker, wanted, unwanted, cosines=None):
    """The formula, term by term and video by video."""
    vectors = video_vectors(maker.store.features("toy", "tiny"), np.arange(30)).astype(float)
    scores = []
    tables = []
    for number, term in enumerate([*wanted, *unwanted]):
        by_vector = [float(v @ term / np.linalg.norm(term)) for v in vectors]
        mean, deviation = statistics.fmean(by_vector), statistics.pstdev(by_vector)
        told = by_vector if cosines is None else cosines[number]
        tables.append([(value - mean) / deviation for value in told])
    for video in range(len(tables[0])):
        score = min(table[video] for table in tables[: len(wanted)])
        if len(unwanted):
            score -= max(0.0, *(table[video] for table in tables[len(wanted) :]))
        scores.append(score)
    return scores


@pytest.mark.parametrize(("num_wanted", "num_unwanted"), [(2, 0), (1, 1), (3, 2), (1, 2)])
def test_the_score_is_the_formula(maker, num_wanted, num_unwanted):
    wanted = maker.directions[:num_wanted]
    unwanted = maker.directions[num_wanted : num_wanted + num_unwanted]
    query = Query(wanted=3 * wanted, unwanted=0.1 * unwanted)
    (hits,) = Searcher(maker.store).search([query], 30)
    expected = plain_scores(maker, wanted, unwanted)
    assert len(hits) == 30
    assert [hit.row for hit in hits] == sorted(range(30), key=lambda row: -expected[row])
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.row], abs=1e-4)


def test_what_is_not_wanted_goes_down_and_nothing_else_does(maker):
    both = unit(maker.directions[:2]).sum(axis=0)
    searcher = Searcher(maker.store)
    (plain, less) = searcher.search(
        [Query(wanted=both[None]), Query(wanted=both[None], unwanted=maker.directions[1][None])], 4
    )
    assert {hit.label for hit in plain} == {"class 0", "class 1"}
    assert {hit.label for hit in less} == {"class 0"}


def test_a_query_of_one_term_is_its_cosine(maker):
    searcher = Searcher(maker.store)
    of_array = searcher.search(maker.directions[:3], 7)
    queries = [Query(wanted=vector[None]) for vector in maker.directions[:3]]
    assert searcher.search(queries, 7) == of_array
    (alone,) = searcher.search([Query(wanted=maker.directions[0])], 7)
    assert [hit.row for hit in alone] == [hit.row for hit in of_array[0]]


def test_plain_and_combined_queries_at_once(maker):
    searcher = Searcher(maker.store)
    plain, joined = Query(wanted=maker.directions[:1]), Query(wanted=maker.directions[:2])
    found = searcher.search([joined, plain, joined], 5)
    assert found == [*searcher.search([joined, plain], 5), found[0]]


def test_filters_change_no_score(maker):
    query = Query(wanted=maker.directions[:2], unwanted=maker.directions[2:3])
    (every,) = Searcher(maker.store).search([query], 30)
    (some,) = Searcher(maker.store, label=("class 1", "class 2")).search([query], 30)
    scores = {hit.row: hit.score for hit in every if hit.label in ("class 1", "class 2")}
    assert {hit.row: hit.score for hit in some} == scores
    (without,) = Searcher(maker.store).search([query], 30, without=("toy", every[0].row))
    assert [hit.row for hit in without] == [hit.row for hit in every[1:]]


def test_frames_rank_several_terms_too(maker):
    wanted, unwanted = maker.directions[:2], maker.directions[3:4]
    frames = maker.store.features("toy", "tiny").read("frames").astype(float)[:, 0]
    units = frames / np.linalg.norm(frames, axis=-1, keepdims=True)
    cosines = [(units @ term / np.linalg.norm(term)).max(axis=1) for term in (*wanted, *unwanted)]
    expected = plain_scores(maker, wanted, unwanted, cosines)
    (hits,) = Searcher(maker.store).search(
        [Query(wanted=wanted, unwanted=unwanted)], 30, rerank=Rerank(rule="maxsim")
    )
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.row], abs=2e-3)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_term_that_is_the_same_everywhere_tells_nothing():
    scale = CosineScale.of([np.array([[0.3, 0.3], [0.1, 0.5]], np.float32)])
    scores = scale.scores(np.array([[0.3, 0.3], [0.1, 0.5]], np.float32), 2)
    assert scores.tolist() == [pytest.approx(-1), 0.0]


def test_nothing_wanted_is_refused(maker):
    query = Query(wanted=np.empty((0, 16)), unwanted=maker.directions[:1])
    with pytest.raises(UsageError, match="give it one wanted term"):
        Searcher(maker.store).search([query])
    bad = Query(wanted=maker.directions[:1], unwanted=np.zeros((1, 16)))
    with pytest.raises(UsageError, match="zero or not finite"):
        Searcher(maker.store).search([bad])
