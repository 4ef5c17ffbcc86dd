import numpy as np
import pytest

from harness.fusion import unit
from harness.measuring import Scoring
from harness.protocols.zero_shot import zero_shot
from harness.results import append_rows, read_frame
from harness.retrieval.search import Searcher
from harness.scoring import load_classes, load_videos
from harness.shortcuts import evaluate, predict, text_embeddings
from vifistore.errors import UsageError


@pytest.fixture
def features(make_store):
    """Seventy videos of six classes; the text embeddings of their names are there."""
    maker = make_store()
    maker.features(maker.frames(noise=2.0))
    maker.texts()
    return maker.store.features("toy", "tiny")


def test_evaluate_is_the_protocol_as_a_table(features, tmp_path):
    settings = Scoring(fusions=("embedding", "image"), folds=50)
    found = evaluate(features, settings=settings)
    append_rows(tmp_path / "out", zero_shot(features, settings=settings))
    wanted = read_frame(tmp_path / "out")
    columns = ["fusion", "metric", "value", "ci_low", "ci_high", "num_videos"]
    assert found[columns].equals(wanted[columns])
    assert set(found["fusion"]) == {"embedding", "image"}


def test_predictions_are_what_was_evaluated(features):
    settings = Scoring(fusions=("embedding", "decision"), folds=50)
    found = predict(features, settings=settings)
    assert len(found) == 2 * len(load_videos(features).rows)
    scores = evaluate(features, settings=settings)
    top1 = scores[scores["metric"] == "top1"].set_index("fusion")["value"]
    assert found.groupby("fusion")["is_right"].mean().to_dict() == pytest.approx(top1.to_dict())


def test_text_embeddings_go_by_the_name_of_the_class(features):
    found = text_embeddings(features)
    assert list(found) == features.dataset.class_names()
    (texts,) = features.store.find_texts()
    kept = features.store.texts(texts["id"]).embeddings
    np.testing.assert_allclose(found["class 3"], unit(kept[3, 0]), atol=1e-6)
    (one,) = text_embeddings(features, ["class 3"]).values()
    np.testing.assert_array_equal(one, found["class 3"])
    with pytest.raises(UsageError, match="vifi texts"):
        text_embeddings(features, templates=["a video of {}"])


def test_what_is_loaded_says_what_it_is(features):
    videos = load_videos(features)
    assert repr(videos) == "<Videos of tiny, toy/all: 70 videos, 6 classes>"
    classes = load_classes(features, videos.class_names)
    assert repr(classes) == f"<Classes of text set {classes.text_set}: 6 vectors of 16>"
    texts = features.store.texts(classes.text_set)
    assert repr(texts) == f"<Texts {texts.id}: 6 classes, 1 prompts each, 16 dimensions>"
    assert repr(Searcher(features.store)) == "<Searcher of tiny in toy, flat>"
