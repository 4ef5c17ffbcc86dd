"""ActionCLIP's rule of templates: probabilities of each, averaged."""

import numpy as np
import pytest

from harness.classes import Classes
from harness.each_template import EACH_TEMPLATE, fuse_templates
from harness.fusion import check_fusions, class_vectors, fuse_views, unit
from harness.link import Link
from harness.scoring import load_classes, load_videos, score
from vifistore.errors import UnknownNameError


def planted(seed: int = 0):
    generator = np.random.default_rng(seed)
    views = generator.normal(size=(7, 2, 12)).astype(np.float32)
    return views, unit(generator.normal(size=(5, 3, 12)))


def restated(views, prompts, scale):
    """In float64, one template and view after the other."""
    total = np.zeros((len(views), len(prompts)))
    for place in range(prompts.shape[1]):
        for view in range(views.shape[1]):
            v = views[:, view].astype(np.float64)
            z = scale * (v / np.linalg.norm(v, axis=1, keepdims=True)) @ prompts[:, place].T
            powers = np.exp(z - z.max(1, keepdims=True))
            total += powers / powers.sum(1, keepdims=True) / prompts.shape[1]
    return total


def test_the_mean_of_the_probabilities_of_templates(monkeypatch):
    views, prompts = planted()
    expected = restated(views, prompts, 20.0)
    np.testing.assert_allclose(fuse_templates(views, prompts, Link(20.0)), expected, atol=1e-5)
    monkeypatch.setattr("harness.each_template.SLAB_VECTORS", 4)
    np.testing.assert_allclose(fuse_templates(views, prompts, Link(20.0)), expected, atol=1e-5)


def test_one_template_is_embedding_fusion():
    views, prompts = planted()
    one = prompts[:, :1]
    embedding = fuse_views("embedding", views, class_vectors(one), Link(9.0))
    np.testing.assert_allclose(fuse_templates(views, one, Link(9.0)), embedding, rtol=1e-5)
    alone = Classes(vectors=one[:, 0], link=Link(9.0), text_set="", templates=("{}",))
    np.testing.assert_array_equal(alone.each_template, one)


def test_it_is_known_by_its_name():
    assert check_fusions([EACH_TEMPLATE]) == (EACH_TEMPLATE,)
    with pytest.raises(UnknownNameError, match=f"Did you mean '{EACH_TEMPLATE}'"):
        check_fusions(["each-templat"])


@pytest.mark.parametrize("frames", [None, np.array([0, 2])])
def test_a_store_is_scored_so(make_store, frames):
    maker = make_store(num_videos=20)
    planted_frames = maker.frames(num_views=2, noise=2.0)
    maker.features(planted_frames)
    texts = maker.store.texts(maker.texts(templates=("{}", "a {}", "see {}"), noise=2.0))
    features = maker.store.features("toy", "tiny")
    videos = load_videos(features)
    classes = load_classes(features, videos.class_names)
    found = score(videos, classes, ["embedding", EACH_TEMPLATE], frames=frames)
    chosen = planted_frames if frames is None else planted_frames[:, :, frames]
    views = chosen.astype(np.float32).mean(2)
    expected = restated(views, unit(texts.embeddings), 20.0)
    np.testing.assert_allclose(found[EACH_TEMPLATE], expected, atol=5e-3)
    assert np.abs(found["embedding"] - expected).max() > 0.05
