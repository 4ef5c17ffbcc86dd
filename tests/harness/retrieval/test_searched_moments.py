"""Moments by several terms, ranked anew by their frames, and joined with words."""

import numpy as np
import pytest

from harness.fusion import unit
from harness.retrieval.combined_queries import CosineScale, JoinedQuery, Query
from harness.retrieval.exact_frames import ExactFrames
from harness.retrieval.moments import moments
from harness.retrieval.moments.moments import FilesCompared, find_joined
from harness.retrieval.moments.proposals import PROPOSALS
from harness.retrieval.reranking import RULES, Rerank, span_score
from harness.retrieval.search import Searcher
from harness.timelines import Timelines
from tests.harness.films import QUERY, film, write_films
from vifistore.errors import UnknownNameError
from vifistore.store.dataset import write_captions

# What a frame shows of the second term: sqrt(1 - c^2) of its cosine c with the first.
OTHER = np.roll(QUERY, 1)
BOTH = Query(wanted=np.stack([QUERY, OTHER]))
TURNS = [1.0, 0.0] * 5
TOGETHER = [0.0] * 3 + [0.7] * 3 + [0.0] * 4
ALONE = [0.0] * 6 + [1.0] * 2 + [0.0] * 2


@pytest.fixture
def searcher(tmp_path) -> Searcher:
    """In turns, together and the first alone: films in rows of 4 seconds, at a frame a second."""
    named = {"turns.mp4": TURNS, "together.mp4": TOGETHER, "alone.mp4": ALONE}
    rows = [row for name, cosines in named.items() for row in film(name, cosines, 4)]
    return Searcher(write_films(tmp_path, rows).store)


def found(searcher, query, k=3, **settings):
    (hits,) = searcher.moments([query], k, **settings)
    return [(hit.path, hit.start_seconds, hit.end_seconds) for hit in hits]


def test_all_terms_are_wanted_of_one_time(searcher):
    (hit, *_) = searcher.moments([BOTH], 3)[0]
    assert (hit.path, hit.start_seconds, hit.end_seconds) == ("together.mp4", 3, 6)
    assert hit.curve.times == tuple(np.arange(10) + 0.5)
    # Minimum of the standard scores at each time, by what the vectors of all rows are like.
    vectors = searcher.sources[0].read("view_mean")[:, 0]
    cosines = unit(vectors) @ BOTH.wanted.T
    of_frames = np.array([[c, np.sqrt(1 - c * c)] for c in TOGETHER])
    standard = (of_frames - cosines.mean(axis=0)) / cosines.std(axis=0)
    assert hit.curve.scores == pytest.approx(standard.min(axis=1), abs=2e-3)
    assert hit.score == pytest.approx(standard.min(axis=1).max(), abs=2e-3)


def test_what_is_not_wanted_takes_off(searcher):
    assert found(searcher, Query(wanted=QUERY[None]), 1) == [("turns.mp4", 0, 1.0)]
    # Of the first term everything that is best shows nothing of the second.
    hits = searcher.moments([Query(wanted=QUERY[None], unwanted=OTHER[None])], 20)[0]
    assert {hit.path for hit in hits[:2]} <= {"turns.mp4", "alone.mp4"}
    wanted, unwanted = Query(wanted=OTHER[None]), Query(wanted=OTHER[None], unwanted=OTHER[None])
    best = [searcher.moments([one], 1)[0][0].score for one in (wanted, unwanted)]
    assert best[1] < best[0]


@pytest.mark.parametrize("proposal", PROPOSALS)
def test_queries_of_one_term_are_answered_as_ever(searcher, proposal):
    plain = searcher.moments(np.stack([QUERY, OTHER]), 7, proposal=proposal)
    mixed = [Query(wanted=QUERY[None]), BOTH, Query(wanted=3 * OTHER[None])]
    first, _, last = searcher.moments(mixed, 7, proposal=proposal)
    assert [first, last] == plain
    with pytest.raises(UnknownNameError, match="unknown proposal"):
        searcher.moments([BOTH], proposal="guess")


class Indexed(ExactFrames):
    """An exact index that passes for another one."""

    kind = "indexed"


@pytest.mark.parametrize("proposal", PROPOSALS)
def test_an_index_finds_what_a_scan_does(tmp_path, monkeypatch, proposal):
    generator = np.random.default_rng(0)
    rows = [
        row for number in range(30) for row in film(f"{number}.mp4", generator.uniform(0, 1, 12), 5)
    ]
    features = write_films(tmp_path, rows)
    terms = unit(generator.normal(size=(3, 8)).astype(np.float32))
    scale = CosineScale.of([(unit(features.read("view_mean")[:, 0]) @ terms.T).T])
    joined = JoinedQuery(terms=terms, num_wanted=2, scale=scale)
    timelines = Timelines(features)
    scanned = find_joined(timelines, joined, 9, proposal=proposal)
    how = {"proposal": proposal, "index": Indexed(features)}
    # Of so few frames all are compared.
    few, all_of_few = FilesCompared(), {**how, "files_a_term": 2}
    assert find_joined(timelines, joined, 9, **all_of_few, compared=few) == scanned
    assert (few.files, few.of) == (30, 30)
    monkeypatch.setattr(moments, "_SCANNED_BYTES", 0)
    asked = FilesCompared()
    of_index = find_joined(timelines, joined, 9, **how, files_a_term=29, compared=asked)
    assert of_index == scanned
    assert 29 <= asked.files <= asked.of == 30
    # By each of two wanted terms, and by their mean; as many files as moments in any case.
    least = FilesCompared()
    find_joined(timelines, joined, 3, **how, files_a_term=1, compared=least)
    assert 3 <= least.files <= 9
    assert len(scanned) == 9
    assert [one.score for one in scanned] == sorted((one.score for one in scanned), reverse=True)


@pytest.mark.parametrize("rule", RULES)
def test_a_rerank_goes_by_the_frames_of_the_moment(tmp_path, rule):
    # The first has the best frame, the second the better ones.
    rows = film("peak.mp4", [0.1] * 4 + [0.7, 0.95, 0.7] + [0.1] * 3, 4)
    rows += film("plateau.mp4", [0.1] * 3 + [0.9] * 4 + [0.1] * 3, 4)
    searcher = Searcher(write_films(tmp_path, rows).store)
    plain = searcher.moments(QUERY, 5)[0]
    hits = searcher.moments(QUERY, 5, rerank=Rerank(rule=rule, best_frames=3))[0]
    by_place = {(hit.path, hit.start_seconds, hit.end_seconds): hit for hit in hits}
    assert by_place.keys() == {(hit.path, hit.start_seconds, hit.end_seconds) for hit in plain}
    assert plain[0].path == "peak.mp4"
    if rule != "weighted":
        assert hits[0].path == ("peak.mp4" if rule == "maxsim" else "plateau.mp4")
    plateau = by_place["plateau.mp4", 3, 7]
    assert plateau.score == pytest.approx(0.9, abs=2e-3)
    peak = next(hit for hit in hits if hit.path == "peak.mp4")
    assert (peak.start_seconds, peak.end_seconds) == (4, 7)
    # Its three frames are the first of the second row.
    frames = searcher.sources[0].read("frames")[1, 0, :3].astype(np.float32)
    weights = np.exp(np.array([0.7, 0.95, 0.7]) / 0.1)
    of_rule = {
        "maxsim": 0.95,
        "topk": (0.7 + 0.95 + 0.7) / 3,
        "weighted": float(unit(weights @ frames) @ QUERY),
    }
    assert peak.score == pytest.approx(of_rule[rule], abs=2e-3)


def test_the_score_of_a_span_is_of_its_frames_alone(searcher):
    source, how = searcher.sources[0], Rerank(rule="topk", best_frames=2)
    rows = searcher.timelines[0].rows_between(3, 3, 6)
    assert rows.tolist() == [3, 4]
    scores = span_score(source, rows, np.stack([QUERY, OTHER]), how, (3, 6), searcher.times)
    assert scores == pytest.approx([0.7, np.sqrt(1 - 0.49)], abs=2e-3)
    nothing = span_score(source, rows, QUERY[None], how, (3.6, 4.4), searcher.times)
    assert nothing.tolist() == [-np.inf]


def test_terms_and_a_rerank_go_together(searcher):
    hits = searcher.moments([BOTH], 3, rerank=Rerank(rule="topk", best_frames=2))[0]
    assert (hits[0].path, hits[0].start_seconds) == ("together.mp4", 3)
    assert hits[0].score > hits[1].score


def test_words_say_which_row(searcher):
    dataset = searcher.sources[0].dataset
    write_captions(dataset, [(7, "a kettle boils"), (1, "rain")])
    query = Query(wanted=QUERY[None], words="kettle")
    (hit, *further) = searcher.moments([query], 30)[0]
    # Row 7 is the second of the film in which the first term is shown from 6 to 8 seconds.
    assert (hit.path, hit.start_seconds, hit.end_seconds) == ("alone.mp4", 6, 8)
    assert hit.score > 1 / 61
    assert all(other.score < hit.score for other in further)
    assert len({(h.path, h.start_seconds) for h in (hit, *further)}) == 1 + len(further)


def test_a_row_of_words_in_no_moment_has_one_of_its_own(searcher):
    write_captions(searcher.sources[0].dataset, [(8, "a kettle boils")])
    query = Query(wanted=QUERY[None], words="kettle")
    hits = searcher.moments([query], 30)[0]
    (own,) = [hit for hit in hits if hit.row == 8]
    assert (own.start_seconds, own.end_seconds) == (8, 10)
    assert own.rank <= 2
