"""`vifi search` with several stages and several queries: it finds what the Searcher does."""

import shutil

import numpy as np
import pytest

from harness.retrieval.combined_queries import Query
from harness.retrieval.reranking import Rerank
from harness.retrieval.search import Searcher
from vifi.searching.query_encoders import encode_picture
from vifi.searching.query_words import query_encoder
from vifistore.store import open_store

VIDEO = "red run/1.mp4"


@pytest.fixture
def searcher(searchable):
    return Searcher(open_store(searchable))


@pytest.fixture
def encode(searchable, searcher):
    return query_encoder(open_store(searchable), searcher.checkpoint)


def same(document, hits):
    """Whether a document holds these hits."""
    told = [(hit["id"], hit["rank"]) for hit in document["hits"]]
    scores = [hit["score"] for hit in document["hits"]]
    return told == [(hit.id, hit.rank) for hit in hits] and scores == pytest.approx(
        [hit.score for hit in hits], abs=1e-5
    )


@pytest.fixture
def picture(tmp_path):
    from PIL import Image

    path = tmp_path / "noise.png"
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(path)
    return path


def test_several_words_are_one_query(found, searcher, encode):
    document = found("a run", "--and", "red", "--and", "grass", "--not", "snow", "-k", 20)
    assert document["query"] == "“a run” and “red” and “grass” not “snow”"
    vectors = encode(["a run", "red", "grass", "snow"])
    query = Query(wanted=vectors[:3], unwanted=vectors[3:])
    (hits,) = searcher.search([query], 20)
    assert same(document, hits)


def test_words_a_video_and_a_picture_are_one_query(found, searcher, encode, picture):
    document = found("a run", "--like", VIDEO, "--image", picture, "-k", 20)
    assert document["query"] == f"“a run” and like {VIDEO} and like {picture}"
    seen = encode_picture(searcher.sources[0], searcher.checkpoint, picture)
    like = searcher.like(VIDEO)
    query = Query(wanted=np.stack([*encode(["a run"]), like.vector, seen]))
    (hits,) = searcher.search([query], 20, without=(like.dataset, like.rows))
    assert same(document, hits)
    assert VIDEO not in {hit["id"] for hit in document["hits"]}
    document = found("--image", picture, "--not", "a jump")
    assert document["query"] == f"like {picture} not “a jump”"


def test_a_stretch_of_a_video_of_the_store(found, searcher):
    text = f"{VIDEO}@0.1-0.35"
    document = found("--like", text, "-k", 20)
    frames = searcher.sources[0].read("frames")[searcher.find_video(VIDEO)[1], 0]
    # Of 12 frames at 25 a second the four are those at 0.04, 0.16, 0.28 and 0.4 seconds.
    (hits,) = searcher.search(
        frames[1:3].astype(np.float32).mean(axis=0), 20, without=searcher.find_video(VIDEO)
    )
    assert document["query"] == text
    assert same(document, hits)


def test_a_file_of_no_store(found, searchable, searcher, tmp_path):
    file = tmp_path / "mine@home.mp4"
    shutil.copy(searchable.parent / "videos" / VIDEO, file)
    (best, *_) = found("--like", file, "-k", 1)["hits"]
    assert (best["id"], best["score"]) == (VIDEO, pytest.approx(1, abs=1e-4))
    (part, *_) = found("--like", f"{file}@0.2-0.5", "-k", 20)["hits"]
    assert part["score"] < 1 - 1e-4
    assert found("--like", f"{file}@0-99", "-k", 1)["hits"][0]["id"] == VIDEO


@pytest.mark.parametrize("rule", ["maxsim", "topk", "weighted"])
def test_the_best_are_ranked_by_their_frames(found, searcher, encode, rule):
    document = found("a run", "--rerank", rule, "--candidates", 5, "-k", 5)
    how = Rerank(rule=rule, candidates=5)
    (hits,) = searcher.search(encode(["a run"]), 5, rerank=how)
    assert same(document, hits)


def test_settings_of_a_rerank(found, searcher, encode):
    for flags, how in (
        (("topk", "--best-frames", 2), Rerank(rule="topk", best_frames=2)),
        (("weighted", "--temperature", 0.01), Rerank(rule="weighted", temperature=0.01)),
    ):
        document = found("a run", "--rerank", *flags)
        assert same(document, searcher.search(encode(["a run"]), 10, rerank=how)[0])


def test_moments_go_through_the_same_stages(found, searcher, encode):
    words = ["a run", "red", "snow"]
    vectors = encode(words)
    several = Query(wanted=vectors[:2], unwanted=vectors[2:])
    hybrid = Query(wanted=vectors[:1], words=words[0])
    how = {"rerank": Rerank(rule="weighted", candidates=5)}
    for flags, query, settings in (
        (("--and", "red", "--not", "snow"), several, {}),
        (("--hybrid",), hybrid, {}),
        (("--rerank", "weighted", "--candidates", 5), vectors[:1], how),
        (("--proposal", "contrast"), vectors[:1], {"proposal": "contrast"}),
    ):
        document = found("a run", "--frames", "-k", 4, *flags)
        query = query if isinstance(query, np.ndarray) else [query]
        (hits,) = searcher.moments(query, 4, **settings)
        assert same(document, hits)
    document = found("a run", "--frames", "--like", VIDEO)
    assert document["query"] == f"“a run” and like {VIDEO}"
    assert VIDEO not in {hit["id"] for hit in document["hits"]}


def test_words_among_labels_and_ids(found, searching, searcher, encode):
    document = found("a blue jump", "--hybrid", "-k", 20)
    query = Query(wanted=encode(["a blue jump"]), words="a blue jump")
    assert same(document, searcher.search([query], 20)[0])
    # Every video of the class holds both words in its label.
    assert {hit["label"] for hit in document["hits"][:5]} == {"blue jump"}
    _, out, _ = searching("search", "a blue jump", "--hybrid", "-k", 1)
    assert f" {document['hits'][0]['score']:.4f} " in out


def test_a_file_of_queries_with_words_that_go_with_each(found, tmp_path):
    file = tmp_path / "queries.txt"
    file.write_text("a run\na jump\n")
    answers = found("--queries", file, "--and", "red", "-k", 3)["queries"]
    assert [one["query"] for one in answers] == ["“a run” and “red”", "“a jump” and “red”"]
    alone = found("a run", "--and", "red", "-k", 3)["hits"]
    assert [hit["id"] for hit in answers[0]["hits"]] == [hit["id"] for hit in alone]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--not", "x"), "give one query beside --and and --not"),
        (("--and", "x"), "give one query beside --and and --not"),
        (("words", "--queries", "x.txt"), "give one query in words, or --queries FILE"),
        (("words", "--and", " "), "--and is empty"),
        (("words", "--not", ""), "--not is empty"),
        (("words", "--not", "\udcff"), "not UTF-8"),
        (("words", "--rerank", "best"), "--rerank"),
        (("words", "--candidates", "5"), "--candidates is of --rerank maxsim, topk and weighted"),
        (
            ("words", "--rerank", "maxsim", "--best-frames", "2"),
            "--best-frames is of --rerank topk",
        ),
        (("words", "--proposal", "contrast"), "--proposal draws moments"),
        (("words", "--frames", "--proposal", "guess"), "unknown proposal 'guess'"),
        (("words", "--rerank", "topk", "--temperature", "2"), "is of --rerank weighted"),
        (("words", "--rerank", "topk", "--best-frames", "0"), "--best-frames is 0"),
        (("words", "--rerank", "weighted", "--temperature", "nan"), "--temperature is nan"),
        (("words", "--rerank", "maxsim", "--candidates", "-1"), "--candidates is -1"),
        (("words", "--per-file", "-1"), "--per-file is -1"),
        (("--like", VIDEO, "--hybrid"), "--hybrid looks for words"),
        (("--like", f"{VIDEO}@9-10"), "has no embedding from 9 to 10"),
        (("--like", f"{VIDEO}@0.45-0.47"), "no cached frame"),
        (("--like", f"{VIDEO}@2-1"), "the end behind the start"),
        (("--like", "nowhere.mp4@1-2"), "unknown video 'nowhere.mp4'"),
        (("--like", "/etc/hostname"), "give another video"),
        (("--like", "x", "--template", "a {}"), "--template is for queries in words"),
    ],
)
def test_wrong_calls_end_in_one_line(searching, arguments, words):
    code, out, error = searching("search", *arguments)
    assert code == 2
    assert out == ""
    assert words in error.strip().splitlines()[-1]
    assert len(error.strip().splitlines()[-1]) < 400
