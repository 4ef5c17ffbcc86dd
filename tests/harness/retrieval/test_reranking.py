"""Reranking by frames: every rule held to its formula, padding and other seconds left out."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from harness.retrieval.filters import ANY_TIME, TimeFilter
from harness.retrieval.reranking import RULES, Rerank, frame_scores
from harness.retrieval.search import Searcher
from tests.harness.films import QUERY, Stretch, write_films
from vifistore.errors import DamagedError, UnknownNameError, UsageError

# Of one frame to five, at whole seconds and a half.
COSINES = [
    [0.9, 0.1, 0.2],
    [0.5, 0.5, 0.5, 0.5, 0.5],
    [0.7, 0.6, -0.9, 0.0],
    [0.3],
    [0.6, 0.61],
]


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    rows = [
        Stretch(f"{n}.mp4", 0.0, 5.0, [at + 0.5 for at in range(len(row))], row)
        for n, row in enumerate(COSINES)
    ]
    return write_films(tmp_path_factory.mktemp("films"), rows)


def plain_score(vectors, rule, query, best_frames, temperature):
    """The same, frame by frame: `vectors` are all frames of a video that count."""
    cosines = [float(v @ query / math.sqrt(v @ v)) for v in vectors]
    if rule == "maxsim":
        return max(cosines)
    if rule == "topk":
        largest = sorted(cosines)[-best_frames:]
        return sum(largest) / len(largest)
    powers = [math.exp(c / temperature) for c in cosines]
    pooled = sum(p * v for p, v in zip(powers, vectors, strict=True)) / sum(powers)
    return float(pooled @ query / math.sqrt(pooled @ pooled))


def vectors_of(features, row, seconds=(0.0, math.inf)):
    count = int(features.num_valid[row, 0])
    frames = features.read("frames")[row, 0, :count].astype(np.float64)
    times = features.read("timestamps")[row, 0, :count]
    return frames[(times >= seconds[0]) & (times < seconds[1])]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("best_frames", "temperature"), [(4, 0.1), (2, 0.02), (1, 3.0)])
def test_every_rule_is_its_formula(features, rule, best_frames, temperature):
    how = Rerank(rule=rule, best_frames=best_frames, temperature=temperature)
    other = np.array([0.2, 0.9, 0, 0, 0, 0, 0, 0.1], np.float32)
    queries = np.stack([QUERY, other / np.linalg.norm(other)])
    rows = np.array([4, 0, 3, 1, 2])
    found = frame_scores(features, rows, queries, how, ANY_TIME)
    for number, query in enumerate(queries):
        expected = [
            plain_score(vectors_of(features, row), rule, query, best_frames, temperature)
            for row in rows
        ]
        np.testing.assert_allclose(found[number], expected, atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_only_frames_within_the_seconds_count(features, rule):
    times = TimeFilter(start_seconds=1.5, end_seconds=3.5)
    how = Rerank(rule=rule)
    (found,) = frame_scores(features, np.arange(5), QUERY[None], how, times)
    for row, score in enumerate(found):
        vectors = vectors_of(features, row, (1.5, 3.5))
        if len(vectors):
            assert score == pytest.approx(plain_score(vectors, rule, QUERY, 4, 0.1), abs=1e-5)
        else:
            assert score == -np.inf
    # Row 3 has one frame, at half a second.
    assert np.isinf(found).tolist() == [False, False, False, True, False]


def test_a_search_ranks_the_best_anew(features):
    searcher = Searcher(features.store)
    (plain,) = searcher.search(QUERY, 5)
    ranked = {
        rule: [hit.row for hit in searcher.search(QUERY, 5, rerank=Rerank(rule=rule))[0]]
        for rule in RULES
    }
    assert ranked["maxsim"] == [0, 2, 4, 1, 3]
    assert ranked["topk"][:2] == [4, 1]
    assert ranked["maxsim"] != [hit.row for hit in plain]
    (hits,) = searcher.search(QUERY, 2, rerank=Rerank(rule="maxsim", candidates=2))
    # No more than the best by their vectors are looked at.
    assert {hit.row for hit in hits} == {hit.row for hit in plain[:2]}
    assert hits[0].score == pytest.approx(max(COSINES[hits[0].row]), abs=1e-3)
    bounded = Searcher(features.store, times=TimeFilter(end_seconds=1.0))
    (hits,) = bounded.search(QUERY, 9, rerank=Rerank(rule="maxsim"))
    assert [hit.score for hit in hits] == pytest.approx(
        sorted(c[0] for c in COSINES)[::-1], abs=1e-3
    )


def test_stage_two_reads_the_frames_of_the_candidates_alone(features, monkeypatch):
    read, asked = type(features).read_chosen, []

    def noted(self, name, rows, *, verify=True):
        asked.append((name, sorted(np.asarray(rows).tolist())))
        return read(self, name, rows, verify=verify)

    searcher = Searcher(features.store)
    _ = searcher.indexes
    monkeypatch.setattr(type(features), "read_chosen", noted)
    (hits,) = searcher.search(QUERY, 2, rerank=Rerank(rule="maxsim", candidates=2))
    rows = sorted(hit.row for hit in hits)
    assert asked == [("frames", rows), ("num_valid", rows)]


def test_a_frame_that_is_none_is_refused(features, tmp_path):
    rows = [Stretch("a.mp4", 0.0, 2.0, [0.5, 1.5], [0.5, 0.4])]
    broken = write_films(tmp_path, rows)
    searcher = Searcher(broken.store)
    _ = searcher.indexes
    folder = tmp_path / "S.zarr" / broken.array_path("frames")
    (chunk,) = [path for path in folder.rglob("*") if path.is_file() and path.name != "zarr.json"]
    content = bytearray(chunk.read_bytes())
    content[:16] = np.full(8, np.nan, np.float16).tobytes()
    chunk.write_bytes(content)
    with pytest.raises(DamagedError, match="zero or not finite"):
        searcher.search(QUERY, 1, rerank=Rerank(rule="topk"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"candidates": 0}, "--candidates is 0"),
        ({"best_frames": 0}, "--best-frames is 0"),
        ({"temperature": 0.0}, "--temperature is 0"),
        ({"temperature": math.nan}, "--temperature is nan"),
        ({"temperature": math.inf}, "--temperature is inf"),
    ],
)
def test_settings_that_rank_nothing_are_refused(settings, words):
    with pytest.raises(UsageError, match=words):
        Rerank(**{"rule": "topk", **settings})


def test_an_unknown_rule_is_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'maxsim'"):
        Rerank(rule="maxim")  # type: ignore[arg-type]


def test_an_index_of_frames_finds_further_candidates(features, monkeypatch):
    """A long video may answer in a moment, and be far on average."""
    searcher, asked = Searcher(features.store), []

    class Indexed:
        kind = "made"

        def search(self, queries, k, allowed=None):
            asked.append((len(queries), k, allowed.tolist()))
            return SimpleNamespace(rows=np.array([[0, 0, 2, 4, -1]] * len(queries)))

    monkeypatch.setitem(vars(searcher), "frame_indexes", [Indexed()])
    how = Rerank(rule="maxsim", candidates=1)
    (hits,) = searcher.search(QUERY, 1, rerank=how)
    (alone,) = Searcher(features.store).search(QUERY, 1, rerank=how)
    assert (hits[0].row, alone[0].row != 0) == (0, True)
    assert hits[0].score == pytest.approx(0.9, abs=1e-3)
    searcher.search(QUERY, 1, rerank=how, without=("d", 3))
    assert asked == [(1, 8, [True] * 5), (1, 8, [True, True, True, False, True])]
