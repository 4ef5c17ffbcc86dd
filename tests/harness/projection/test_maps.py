import numpy as np
import pytest
from sklearn.decomposition import PCA

from harness.fusion import unit
from harness.projection.maps import Projection, embed, project
from harness.projection.panels import load_panels
from harness.projection.separation import knn_agreement
from vifistore.errors import UsageError

PCA_SETTINGS = Projection(method="pca")


def test_pca_is_scikit_learns_up_to_sign(blobs):
    vectors, _ = blobs()
    expected = PCA(n_components=2).fit_transform(vectors)
    np.testing.assert_allclose(np.abs(embed(vectors, PCA_SETTINGS)), np.abs(expected), atol=1e-4)


def test_pca_is_turned_to_the_earlier_map(blobs):
    vectors, _ = blobs()
    first = embed(vectors, PCA_SETTINGS)
    turned = first @ np.array([[0.0, -1.0], [-1.0, 0.0]]) + 5
    again = embed(vectors, PCA_SETTINGS, turned)
    np.testing.assert_allclose(again, turned - turned.mean(axis=0), atol=1e-6)


def test_tsne_separates_repeats_and_keeps_places(blobs):
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


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_videos_that_are_all_the_same_have_no_map(method):
    with pytest.raises(UsageError, match="have the same embedding"):
        embed(np.full((9, 4), 0.5, np.float32), Projection(method=method))


def test_a_row_per_panel_and_video(two_sets):
    maker = two_sets(unlabelled=(3,))
    names = ["vanilla", "tuned"]
    maps = project(load_panels([maker.store.features("toy", name) for name in names]), PCA_SETTINGS)
    assert list(maps.columns) == ["panel", "dataset", "row", "id", "label", "x", "y"]
    panels = dict(iter(maps.groupby("panel", sort=False)))
    assert list(panels) == names
    assert panels["vanilla"]["row"].tolist() == panels["tuned"]["row"].tolist()
    assert panels["tuned"]["id"].tolist()[5] == "video6"
    assert panels["tuned"]["label"].tolist()[3:6] == ["", "class 1", "class 0"]
    assert set(maps["dataset"]) == {"toy"}


def test_a_perplexity_of_nothing_and_a_seed_that_is_none_are_refused():
    with pytest.raises(UsageError, match="above 0"):
        Projection(perplexity=0)
    for seed in (-1, 2**32):
        with pytest.raises(UsageError, match=f"seed is {seed}"):
            Projection(seed=seed)
