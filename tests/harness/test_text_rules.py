"""Fusions by every text of a class: each restated in float64, one video and class at a time."""

import itertools

import numpy as np
import pytest

from harness.fusion import check_fusions, class_vectors, fuse_frames, fuse_views, unit
from harness.link import Link
from harness.scoring import load_classes, load_videos, score
from harness.text_rules import OF_FRAMES, OF_VIEWS, TEXT_RULES, fuse_texts
from vifistore.errors import DamagedError, UnknownNameError, UsageError
from vifistore.store.described import described_fields, padded

COUNTS = np.array([3, 1, 4, 3, 2])


def normalised(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def planted(seed=0, num_frames=4, counts=COUNTS):
    generator = np.random.default_rng(seed)
    frames = generator.normal(size=(7, 2, num_frames, 12)) * generator.uniform(1, 9, (7, 2, 1, 1))
    each = [generator.normal(size=(count, 12)) for count in counts]
    texts = padded(np.concatenate(each), [["x"] * count for count in counts])
    return frames.astype(np.float32), unit(texts)


def best_text(frames, texts):
    return max(float(normalised(frames.mean(0)) @ text) for text in texts)


def transport(frames, texts):
    """By iterations on the whole plan: rows, then columns, brought to their sums in turn."""
    z = normalised(frames) @ texts.T
    plan = np.exp((z - 1) / 0.1)
    for _ in range(3000):
        plan = plan / plan.sum(1, keepdims=True) / len(frames)
        plan = plan / plan.sum(0, keepdims=True) / len(texts)
    return ((plan * z).sum() + z.mean()) / 2


def time_warping(frames, texts):
    """Every path there is, written out."""
    z = normalised(frames) @ texts.T
    paths = [[(0, 0)]]
    done = []
    while paths:
        path = paths.pop()
        f, p = path[-1]
        if (f, p) == (len(frames) - 1, len(texts) - 1):
            done.append([z[place] for place in path])
            continue
        steps = [(f + 1, p + 1), (f + 1, p), (f, p + 1)]
        paths += [[*path, s] for s in steps if s[0] < len(frames) and s[1] < len(texts)]
    return float(np.mean(min(done, key=lambda cosines: sum(1 - cosine for cosine in cosines))))


RESTATED = {"best-text": best_text, "transport": transport, "time-warping": time_warping}


def restated(fusion, frames, texts, counts, scale):
    exact, total = frames.astype(np.float64), np.zeros((len(frames), len(texts)))
    for video, view in itertools.product(range(len(frames)), range(frames.shape[1])):
        cosines = [
            RESTATED[fusion](exact[video, view], of_class[:count].astype(np.float64))
            for of_class, count in zip(texts, counts, strict=True)
        ]
        powers = np.exp(scale * (np.array(cosines) - max(cosines)))
        total[video] += powers / powers.sum()
    return total


def vectors_of(fusion, frames):
    return frames if fusion in OF_FRAMES else frames.mean(2)


@pytest.mark.parametrize("fusion", RESTATED)
def test_equals_the_restatement(fusion, monkeypatch):
    frames, texts = planted()
    given = (vectors_of(fusion, frames), texts, Link(5.0), COUNTS)
    expected = restated(fusion, frames, texts, COUNTS, 5.0)
    found = fuse_texts(fusion, *given)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)
    assert (found.dtype, found.shape) == (np.float32, (7, 5))
    monkeypatch.setattr("harness.text_rules.SLAB_VECTORS", 8)
    np.testing.assert_allclose(fuse_texts(fusion, *given), expected, rtol=0, atol=2e-4)


def test_every_rule_has_a_restatement_and_a_name():
    assert {*OF_VIEWS, *OF_FRAMES} == {*RESTATED}
    assert check_fusions(TEXT_RULES) == TEXT_RULES
    with pytest.raises(UnknownNameError, match="Did you mean 'time-warping'"):
        check_fusions(["time-warpin"])


@pytest.mark.parametrize("fusion", RESTATED)
def test_one_text_a_class_makes_it_a_plain_fusion(fusion):
    frames, texts = planted(counts=np.ones(5, int))
    found = fuse_texts(fusion, vectors_of(fusion, frames), texts, Link(9.0))
    if fusion in OF_VIEWS:
        expected = fuse_views("embedding", frames.mean(2), texts[:, 0], Link(9.0))
    else:
        expected = fuse_frames(["decision"], frames, texts[:, 0], Link(9.0))["decision"]
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_only_time_warping_minds_the_order_of_texts_and_frames():
    frames, texts = planted(counts=np.full(5, 4))
    for fusion in RESTATED:
        vectors = vectors_of(fusion, frames)
        plain = fuse_texts(fusion, vectors, texts, Link(9.0))
        turned = fuse_texts(fusion, vectors, texts[:, ::-1], Link(9.0))
        assert np.allclose(plain, turned, atol=1e-4) == (fusion != "time-warping"), fusion
        both = fuse_texts(fusion, vectors_of(fusion, frames[:, :, ::-1]), texts[:, ::-1], Link(9.0))
        np.testing.assert_allclose(both, plain, atol=1e-4)


def test_frames_in_the_order_of_a_class_are_of_it():
    """Two classes of the same sub-actions in another order, which their means cannot tell apart."""
    steps = np.eye(4, dtype=np.float32)
    texts = np.stack([steps, steps[::-1]])
    frames = np.repeat(steps, 2, axis=0)[None, None]
    scores = fuse_texts("time-warping", frames, texts, Link(10.0))
    assert scores[0, 0] > 0.95
    mean = fuse_views("embedding", frames.mean(2), class_vectors(texts), Link(10.0))
    np.testing.assert_allclose(mean, 0.5, atol=1e-6)


def described(maker, texts_of_class, noise=0.3, seed=2):
    """A text set in the store, of so many texts of each class."""
    generator = np.random.default_rng(seed)
    texts = [[f"{name} {n}" for n in range(count)] for name, count in texts_of_class.items()]
    rows = np.repeat(
        [maker.class_names.index(name) for name in texts_of_class], list(map(len, texts))
    )
    vectors = maker.directions[rows] + noise * generator.normal(size=(len(rows), 16))
    fields = {
        **{"text_digest": "text of tiny", "logit_scale": 20.0, "context_length": 12},
        **{"class_names": list(texts_of_class), "precision": "fp32"},
    }
    embeddings = padded(vectors.astype(np.float32), texts)
    return maker.store.add_texts(described_fields(fields, texts), embeddings), embeddings


@pytest.mark.parametrize("frames", [None, np.array([0, 2])])
def test_a_store_is_scored_by_descriptions(make_store, frames):
    maker = make_store(num_videos=20)
    all_frames = maker.frames(num_views=2, noise=2.0)
    maker.features(all_frames)
    maker.texts()
    counts = dict(zip(maker.class_names, (3, 1, 2, 2, 4, 1), strict=True))
    made, embeddings = described(maker, counts)
    videos = load_videos(maker.store.features("toy", "tiny"))
    # Class names are what is scored where no descriptions are asked for.
    assert load_classes(videos.features, videos.class_names).counts is None
    classes = load_classes(videos.features, videos.class_names, made)
    assert classes.templates == ("1 to 4 texts a class",)
    found = score(videos, classes, [*RESTATED, "embedding"], frames=frames)
    chosen = all_frames if frames is None else all_frames[:, :, frames]
    for fusion in RESTATED:
        expected = restated(
            fusion, chosen.astype(np.float32), unit(embeddings), counts.values(), 20.0
        )
        np.testing.assert_allclose(found[fusion], expected, atol=5e-3)
    vectors = [
        unit(unit(e[:count]).mean(0)) for e, count in zip(embeddings, counts.values(), strict=True)
    ]
    expected = fuse_views(
        "embedding", chosen.astype(np.float32).mean(2), np.stack(vectors), Link(20)
    )
    np.testing.assert_allclose(found["embedding"], expected, atol=5e-3)


def test_a_set_of_descriptions_holds_what_it_says(make_store):
    maker = make_store(num_videos=20)
    maker.features(maker.frames())
    counts = dict.fromkeys(maker.class_names, 2)
    made, embeddings = described(maker, counts)
    videos = load_videos(maker.store.features("toy", "tiny"))
    some = load_classes(videos.features, videos.class_names[2:4], made)
    assert (some.counts == 2).all()
    assert some.templates == ("2 texts a class",)
    with pytest.raises(UsageError, match="give --fusion best-text"):
        score(videos, load_classes(videos.features, videos.class_names, made), ["each-template"])
    attrs = maker.store.texts(made).attrs
    wrong = maker.store.add_texts(attrs, embeddings[:, :1])
    assert wrong == made
    other = attrs | {"descriptions": [["a"]] * 6}
    wrong = maker.store.add_texts(other, embeddings)
    with pytest.raises(DamagedError, match="does not hold the embeddings"):
        load_classes(videos.features, videos.class_names, wrong)
