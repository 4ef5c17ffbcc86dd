import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_samples
from sklearn.neighbors import NearestNeighbors

from harness.fusion import unit
from harness.projection import (
    Projection,
    embed,
    knn_agreement,
    project,
    separation,
    silhouettes,
)
from vifistore.errors import UsageError

PCA_SETTINGS = Projection(method="pca")


def blobs(noise=0.5, num_videos=90, seed=0):
    generator = np.random.default_rng(seed)
    labels = np.arange(num_videos) % 3
    centres = np.random.default_rng(9).normal(size=(3, 12))
    return unit(centres[labels] + noise * generator.normal(size=(num_videos, 12))), labels


def test_silhouettes_equal_scikit_learn():
    vectors, labels = blobs(noise=1.5)
    expected = silhouette_samples(vectors, labels, metric="cosine")
    np.testing.assert_allclose(silhouettes(vectors, labels), expected, atol=1e-5)
    # A class of one video has silhouette 0.
    labels = labels.copy()
    labels[0] = 7
    expected = silhouette_samples(vectors, labels, metric="cosine")
    np.testing.assert_allclose(silhouettes(vectors, labels), expected, atol=1e-5)
    assert silhouettes(vectors, labels)[0] == 0
    with pytest.raises(UsageError, match="two or more"):
        silhouettes(vectors, np.zeros(90))


def test_knn_agreement_equals_scikit_learn(monkeypatch):
    vectors, labels = blobs(noise=1.5)
    index = NearestNeighbors(n_neighbors=6, metric="cosine").fit(vectors)
    nearest = index.kneighbors(return_distance=False)
    expected = (labels[nearest] == labels[:, None]).mean(axis=1)
    np.testing.assert_allclose(knn_agreement(vectors, labels, 6), expected)
    monkeypatch.setattr("harness.projection._CHUNK_VIDEOS", 17)
    np.testing.assert_allclose(knn_agreement(vectors, labels, 6), expected)


def test_pca_is_scikit_learns_up_to_sign():
    vectors, _ = blobs()
    expected = PCA(n_components=2).fit_transform(vectors)
    np.testing.assert_allclose(np.abs(embed(vectors, PCA_SETTINGS)), np.abs(expected), atol=1e-4)


def test_pca_is_turned_to_the_earlier_map():
    vectors, _ = blobs()
    first = embed(vectors, PCA_SETTINGS)
    turned = first @ np.array([[0.0, -1.0], [-1.0, 0.0]]) + 5
    again = embed(vectors, PCA_SETTINGS, turned)
    np.testing.assert_allclose(again, turned - turned.mean(axis=0), atol=1e-6)


def test_tsne_separates_repeats_and_keeps_places():
    vectors, labels = blobs(noise=0.3, num_videos=60)
    settings = Projection(perplexity=10)
    first = embed(vectors, settings)
    np.testing.assert_array_equal(first, embed(vectors, settings))
    apart = knn_agreement(unit(first - first.mean(axis=0)), labels, 5)
    assert apart.mean() > 0.9
    moved, _ = blobs(noise=0.3, num_videos=60, seed=1)
    second = embed(moved, settings, first)
    centres = [np.stack([m[labels == c].mean(axis=0) for c in range(3)]) for m in (first, second)]
    # Each class stays on its side of the map.
    distances = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=-1)
    assert distances.argmin(axis=1).tolist() == [0, 1, 2]


def test_panels_show_the_same_videos_and_better_features_separate(make_store):
    maker = make_store(num_videos=72, num_classes=3)
    status = np.ones(72, np.uint8)
    status[[5, 9]] = 2
    maker.features(maker.frames(noise=6.0, num_views=2), name="vanilla")
    maker.features(maker.frames(noise=1.0), name="tuned", status=status)
    names = ["vanilla", "tuned"]
    maps = project(maker.store, "toy", names, settings=PCA_SETTINGS)
    assert list(maps.columns) == ["panel", "row", "id", "label", "x", "y"]
    panels = dict(iter(maps.groupby("panel", sort=False)))
    assert list(panels) == names
    assert panels["vanilla"]["row"].tolist() == panels["tuned"]["row"].tolist()
    assert len(panels["tuned"]) == 70
    assert panels["tuned"]["id"].tolist()[5] == "video6"
    assert panels["tuned"]["label"].tolist()[5] == "class 0"
    table = separation(maker.store, "toy", names).set_index(["panel", "metric"])
    for metric in ("silhouette", "knn_agreement"):
        worse, better = table.loc[("vanilla", metric)], table.loc[("tuned", metric)]
        assert worse["ci_high"] < better["ci_low"]
        assert worse["ci_low"] <= worse["value"] <= worse["ci_high"]


def test_too_few_videos(make_store):
    maker = make_store(num_videos=4)
    maker.features(maker.frames())
    with pytest.raises(UsageError, match="4 videos are too few for a map"):
        project(maker.store, "toy", ["tiny"])
