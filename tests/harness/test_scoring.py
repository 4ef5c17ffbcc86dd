import shutil

import numpy as np
import pytest

from harness import vector_reading
from harness.ablations import fusion_matrix
from harness.fusion import FUSIONS, class_vectors, fuse_frames
from harness.link import Link
from harness.protocols.zero_shot import zero_shot
from harness.retrieval.evaluation import retrieval
from harness.scoring import checkpoint_of, load_classes, load_videos, score
from harness.text_choice import find_texts
from harness.vector_reading import read_all, read_vectors
from vifistore.errors import DamagedError, IncompleteError, UnknownNameError, UsageError


def scored(maker, split="", fusions=FUSIONS, **options):
    videos = load_videos(maker.store.features("toy", "tiny"), split)
    classes = load_classes(videos.features, videos.class_names)
    return videos, score(videos, classes, fusions, **options)


def test_scores_from_the_store_equal_those_from_arrays(make_store):
    maker = make_store(num_videos=200)
    frames = maker.frames(num_views=2)
    maker.features(frames)
    texts = maker.store.texts(maker.texts())
    rows = np.random.default_rng(0).permutation(200)[:77]
    maker.split("some", rows)
    videos, scores = scored(maker, "some")
    np.testing.assert_array_equal(videos.rows, rows)
    expected = fuse_frames(FUSIONS, frames[rows], class_vectors(texts.embeddings), Link(20.0))
    for fusion in FUSIONS:
        np.testing.assert_allclose(scores[fusion], expected[fusion], atol=1e-4)


def test_frames_and_views_can_be_chosen(make_store):
    maker = make_store()
    frames = maker.frames(num_views=3, num_frames=8)
    maker.features(frames)
    texts = maker.store.texts(maker.texts())
    few, some = np.array([1, 5]), np.array([0, 2])
    _, scores = scored(maker, frames=few, views=some)
    subset = frames[:, some][:, :, few]
    expected = fuse_frames(FUSIONS, subset, class_vectors(texts.embeddings), Link(20.0))
    for fusion in FUSIONS:
        np.testing.assert_allclose(scores[fusion], expected[fusion], atol=1e-5)


@pytest.mark.parametrize("read_bytes", [1, 10_000, 2**25])
def test_reading_gives_every_position_once(make_store, monkeypatch, read_bytes):
    maker = make_store(num_videos=300)
    frames = maker.frames()
    maker.features(frames)
    monkeypatch.setattr(vector_reading, "READ_BYTES", read_bytes)
    features = maker.store.features("toy", "tiny")
    rows = np.array([299, 0, 64, 63, 250, 0, 130])
    seen = np.concatenate([positions for positions, _ in read_vectors(features, "frames", rows)])
    assert sorted(seen) == list(range(7))
    expected = frames.astype(np.float32).mean(axis=2)[rows]
    np.testing.assert_allclose(read_all(features, "view_mean", rows), expected, rtol=1e-6)


def test_only_needed_blocks_are_read(make_store, monkeypatch):
    maker = make_store(num_videos=300)
    maker.features(maker.frames())
    features = maker.store.features("toy", "tiny")
    spans, read = [], features.read
    monkeypatch.setattr(
        features, "read", lambda name, *span: (spans.append(span), read(name, *span))[1]
    )
    read_all(features, "view_mean", np.array([200, 5, 70, 3]))
    assert spans == [(0, 128), (192, 256)]


def test_quarantined_videos_are_counted_and_not_scored(make_store):
    maker = make_store()
    status = np.ones(70, np.uint8)
    status[[4, 66]] = 2
    maker.features(maker.frames(), status=status)
    maker.texts()
    videos, scores = scored(maker)
    assert (len(videos.rows), videos.num_quarantined, videos.num_todo) == (68, 2, 0)
    assert not {4, 66} & set(videos.rows)
    assert np.isfinite(scores["image"]).all()


def test_unlabelled_videos_are_left_out_of_all_but_refused_in_a_split(make_store):
    maker = make_store(unlabelled=(0, 1, 2))
    maker.features(maker.frames())
    assert load_videos(maker.store.features("toy", "tiny")).rows.tolist() == list(range(3, 70))
    maker.split("test", [0, 5], labels=[-1, 2])
    with pytest.raises(UsageError, match="1 of 2 videos of split test of toy have no label"):
        load_videos(maker.store.features("toy", "tiny"), "test")


def test_no_labels_at_all(make_store):
    maker = make_store(num_videos=5, unlabelled=range(5))
    maker.features(maker.frames())
    with pytest.raises(UsageError, match="none of these videos has a label"):
        load_videos(maker.store.features("toy", "tiny"))


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([], [], "split test of toy is empty; choose another --split"),
        ([1, 2], [0, 6], "uses label 6, but names only 6 classes; scan it again"),
    ],
)
def test_bad_splits(make_store, rows, labels, message):
    maker = make_store()
    maker.features(maker.frames())
    maker.split("test", rows, labels=labels)
    with pytest.raises(UsageError, match=message):
        load_videos(maker.store.features("toy", "tiny"), "test")


def test_unknown_names_say_what_exists(make_store):
    maker = make_store()
    maker.features(maker.frames())
    with pytest.raises(UnknownNameError, match=r"'tinny'.*Did you mean 'tiny'"):
        load_videos(maker.store.features("toy", "tinny"))
    with pytest.raises(UnknownNameError, match="split of toy"):
        load_videos(maker.store.features("toy", "tiny"), "val1")
    with pytest.raises(UnknownNameError, match="text set"):
        load_classes(maker.store.features("toy", "tiny"), ["a"], "none")


def test_where_there_are_splits_one_has_to_be_named(make_store):
    maker = make_store()
    maker.features(maker.frames())
    maker.texts()
    for name in ("", "all"):
        found = load_videos(maker.store.features("toy", "tiny"), name)
        assert (found.split, len(found.rows)) == ("all", 70)
    maker.split("train", range(40))
    maker.split("test", range(40, 70))
    for score_all in (zero_shot, retrieval, fusion_matrix):
        tiny = maker.store.features("toy", "tiny")
        features = [tiny] if score_all is fusion_matrix else tiny
        with pytest.raises(UsageError, match="has the splits test, train; name the one to score"):
            score_all(features)
    assert {row.split for row in zero_shot(maker.store.features("toy", "tiny"), ("all",))} == {
        "all"
    }
    assert {row.num_videos for row in retrieval(maker.store.features("toy", "tiny"), "all")} == {70}
    maker.split("all", range(3))
    assert len(load_videos(maker.store.features("toy", "tiny"), "all").rows) == 3


def test_split_of_a_set_that_is_not_sealed(make_store):
    maker = make_store()
    status = np.ones(70, np.uint8)
    status[64:] = 0
    maker.features(maker.frames(), status=status, seal=False)
    maker.split("late", [64, 65])
    with pytest.raises(IncompleteError, match="not sealed: 6 of 70"):
        load_videos(maker.store.features("toy", "tiny"), "all")
    assert load_videos(maker.store.features("toy", "tiny"), "all", partial=True).num_todo == 6
    with pytest.raises(IncompleteError, match="holds none of the 2 videos of split late"):
        load_videos(maker.store.features("toy", "tiny"), "late", partial=True)


@pytest.mark.parametrize(
    ("bad", "fusion"), [(0.0, "embedding"), (0.0, "image"), (np.nan, "decision"), (np.inf, "max")]
)
def test_unusable_embeddings_are_damage(make_store, bad, fusion):
    maker = make_store()
    frames = maker.frames()
    frames[33, 0] = bad
    with np.errstate(invalid="ignore"):
        maker.features(frames)
    maker.texts()
    with pytest.raises(DamagedError, match=r"of 1 videos \(first: row 33\) are zero or not finite"):
        scored(maker, fusions=[fusion])


def test_texts_of_another_dimension(make_store):
    maker = make_store(dim=16)
    maker.features(maker.frames())
    maker.directions = maker.directions[:, :8]
    text_set = maker.texts()
    features = maker.store.features("toy", "tiny")
    with pytest.raises(UsageError, match=r"tiny has 16 dimensions, text set .* has 8"):
        load_classes(features, maker.class_names, text_set)


def test_texts_are_found_by_checkpoint_and_class_names(make_store):
    maker = make_store()
    maker.features(maker.frames())
    checkpoint = checkpoint_of(maker.store.features("toy", "tiny"))
    maker.texts("another")
    everything = maker.texts()
    some = maker.class_names[3:]
    assert find_texts(maker.store, checkpoint, some) == everything
    exact = maker.texts(class_names=some)
    assert find_texts(maker.store, checkpoint, some) == exact
    assert find_texts(maker.store, checkpoint, maker.class_names) == everything
    maker.texts(templates=("a {}", "the {}"))
    with pytest.raises(UsageError, match=r"several .*\{\} \| the \{\}.*--template"):
        find_texts(maker.store, checkpoint, maker.class_names)


def test_of_many_templates_the_first_are_told(make_store):
    maker = make_store()
    maker.features(maker.frames())
    maker.texts()
    maker.texts(templates=[f"{number} {{}}" for number in range(28)])
    checkpoint = checkpoint_of(maker.store.features("toy", "tiny"))
    with pytest.raises(UsageError, match=r"\(0 \{\} \| 1 \{\} \| 2 \{\} and 25 more\)"):
        find_texts(maker.store, checkpoint, maker.class_names)


def test_templates_choose_between_text_sets(make_store):
    maker = make_store()
    maker.features(maker.frames())
    features = maker.store.features("toy", "tiny")
    maker.texts(templates=("a {}",))
    several = maker.texts(templates=("a {}", "the {}"))
    names = maker.class_names
    found = load_classes(features, names, templates=("a {}", "the {}"))
    assert (found.text_set, found.templates) == (several, ("a {}", "the {}"))
    with pytest.raises(UsageError, match="no text embeddings of these 6 classes"):
        load_classes(features, names, templates=("the {}",))


def test_id_without_a_name_has_no_checkpoint(make_store):
    maker = make_store()
    feature_id = maker.features(maker.frames())
    shutil.rmtree(maker.store.backend.folder / "names")
    features = maker.store.features("toy", feature_id)
    with pytest.raises(UsageError, match=r"has no name.*--name"):
        load_classes(features, maker.class_names)


def test_class_vectors_follow_the_asked_order(make_store):
    maker = make_store()
    maker.features(maker.frames())
    text_set = maker.texts()
    features = maker.store.features("toy", "tiny")
    order = [4, 0, 2]
    whole = load_classes(features, maker.class_names, text_set)
    names = [maker.class_names[index] for index in order]
    part = load_classes(features, names, text_set)
    np.testing.assert_array_equal(part.vectors, whole.vectors[order])
    assert part.link == Link(20.0)
    with pytest.raises(UsageError, match=r"lacks 1 of 2 classes \(first: 'fly'\)"):
        load_classes(features, ["class 1", "fly"], text_set)


def test_several_larger_text_sets_of_one_way_are_one(make_store):
    maker = make_store()
    maker.features(maker.frames())
    larger = [maker.texts(class_names=maker.class_names[:count]) for count in (4, 5)]
    features = maker.store.features("toy", "tiny")
    classes = load_classes(features, maker.class_names[:2])
    assert classes.text_set in larger
    maker.texts(class_names=maker.class_names[:3], templates=("a {}",))
    with pytest.raises(UsageError, match="several text sets fit"):
        load_classes(features, maker.class_names[:2])
