import numpy as np
import pytest
from sklearn.metrics import silhouette_samples
from sklearn.neighbors import NearestNeighbors

from harness.projection.panels import load_panels
from harness.projection.separation import (
    METRICS,
    knn_agreement,
    nearest_mean_is_own,
    separation,
    silhouettes,
)
from vifistore.errors import UsageError


def test_silhouettes_equal_scikit_learn(blobs):
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


@pytest.mark.parametrize("seed", range(4))
def test_classes_that_show_the_same_are_not_apart(blobs, seed):
    vectors, labels = blobs(seed=seed)
    # Copies, one of them another class: all distances are rounding.
    alike, of_alike = np.repeat(vectors[:1], 8, axis=0), np.repeat([7, 8], 4)
    found = silhouettes(np.concatenate([alike, vectors]), np.concatenate([of_alike, labels]))
    assert not found[:8].any()
    assert np.abs(found).max() <= 1


def test_knn_agreement_equals_scikit_learn(blobs, monkeypatch):
    vectors, labels = blobs(noise=1.5)
    index = NearestNeighbors(n_neighbors=6, metric="cosine").fit(vectors)
    nearest = index.kneighbors(return_distance=False)
    expected = (labels[nearest] == labels[:, None]).mean(axis=1)
    np.testing.assert_allclose(knn_agreement(vectors, labels, 6), expected)
    monkeypatch.setattr("harness.projection.separation._CHUNK_VIDEOS", 17)
    np.testing.assert_allclose(knn_agreement(vectors, labels, 6), expected)


def test_stretches_of_one_file_are_no_neighbours(blobs):
    vectors, labels = blobs(noise=1.5, num_videos=31)
    files = np.arange(31) // 4
    expected_knn, expected_mean = [], []
    for video, label in enumerate(labels):
        is_other = files != files[video]
        order = np.argsort(-(vectors[is_other] @ vectors[video]))[:6]
        expected_knn.append((labels[is_other][order] == label).mean())
        cosines = {}
        for other in np.unique(labels):
            members = vectors[(labels == other) & (is_other | (other != label))]
            if len(members):
                mean = members.mean(axis=0)
                cosines[other] = vectors[video] @ mean / np.linalg.norm(mean)
        expected_mean.append(float(max(cosines, key=cosines.get) == label))
    np.testing.assert_allclose(knn_agreement(vectors, labels, 6, files), expected_knn)
    np.testing.assert_array_equal(nearest_mean_is_own(vectors, labels, files), expected_mean)
    assert knn_agreement(vectors, labels, 6).mean() != np.mean(expected_knn)
    # All in one file have no neighbour.
    assert not knn_agreement(vectors, labels, 6, np.zeros(31)).any()
    assert not nearest_mean_is_own(vectors, labels, np.zeros(31)).any()


def test_nearest_mean_leaves_the_video_itself_out(blobs):
    vectors, labels = blobs(noise=1.5, num_videos=31)
    labels[4] = 8
    expected = []
    for video, label in enumerate(labels):
        cosines = {}
        for other in np.unique(labels):
            members = vectors[(labels == other) & (np.arange(31) != video)]
            if len(members):
                mean = members.mean(axis=0)
                cosines[other] = vectors[video] @ mean / np.linalg.norm(mean)
        expected.append(float(max(cosines, key=cosines.get) == label))
    assert 0 < np.mean(expected) < 1
    np.testing.assert_array_equal(nearest_mean_is_own(vectors, labels), expected)


def test_better_features_separate_better_with_intervals(two_sets):
    maker = two_sets(unlabelled=(0, 1))
    found = separation(
        load_panels([maker.store.features("toy", "vanilla"), maker.store.features("toy", "tuned")])
    )
    table = found.set_index(["panel", "metric"])
    for metric in METRICS:
        worse, better = table.loc[("vanilla", metric)], table.loc[("tuned", metric)]
        assert worse["ci_high"] < better["ci_low"]
        assert worse["ci_low"] <= worse["value"] <= worse["ci_high"]
        # Two are quarantined in one of the sets, two have no label.
        assert better["num_videos"] == 68


def test_without_labels_there_is_no_separation(make_store):
    maker = make_store(num_videos=12, unlabelled=range(12))
    maker.features(maker.frames())
    assert separation(load_panels([maker.store.features("toy", "tiny")])).empty
