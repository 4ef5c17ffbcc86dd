from dataclasses import replace

import numpy as np
import pytest

from harness.fusion import unit
from harness.protocols.base_to_novel import BaseToNovel, base_to_novel
from vifistore.errors import UsageError
from vifistore.store.identity import Identity, TunedOn


@pytest.fixture
def maker(make_store):
    """Six classes; 0-3 are base, 4 and 5 novel and relabelled 0 and 1."""
    maker = make_store(num_videos=120)
    maker.texts()
    rows = np.arange(120)
    base, novel = rows[maker.labels < 4], rows[maker.labels >= 4]
    maker.split("base_val", base, class_names=maker.class_names[:4])
    maker.split("novel_val", novel, maker.labels[novel] - 4, maker.class_names[4:])
    return maker


def cosines(maker, name):
    features = maker.store.features("toy", name)
    texts = maker.store.texts(maker.texts())
    return unit(features.view_mean[:][:, 0]) @ unit(texts.embeddings[:, 0]).T


def test_base_and_novel_compete_among_themselves(maker, value_of):
    maker.features(maker.frames(noise=2.5))
    rows = base_to_novel([maker.store.features("toy", "tiny")])
    z, labels = cosines(maker, "tiny"), maker.labels
    base, novel = labels < 4, labels >= 4
    base_top1 = (z[base, :4].argmax(axis=1) == labels[base]).mean()
    novel_top1 = (z[novel, 4:].argmax(axis=1) == labels[novel] - 4).mean()
    assert value_of(rows, subset="base", metric="top1").value == pytest.approx(base_top1)
    found = value_of(rows, subset="novel", metric="top1")
    assert found.value == pytest.approx(novel_top1)
    assert (found.classes, found.num_videos, found.split) == (2, novel.sum(), "novel_val")
    harmonic = value_of(rows, subset="all", metric="harmonic_mean")
    assert harmonic.value == pytest.approx(2 / (1 / base_top1 + 1 / novel_top1))
    assert harmonic.ci_low < harmonic.value < harmonic.ci_high
    assert harmonic.seed is None


def test_classes_that_a_checkpoint_was_tuned_on_are_not_novel(maker):
    names = maker.class_names
    maker.split("train", np.arange(120)[maker.labels < 5], class_names=names)
    cases = {
        # Its list names all classes, and videos are of the first five.
        "train": ("toy", "train", names, "was tuned on 1 of the 2 classes of novel_val"),
        "gone": ("toy", "gone", [names[5].upper()], "was tuned on 1 of the 2 classes of novel"),
        "base": ("toy", "base_val", names[:4], None),
        "other": ("k400", "train", names, None),
    }
    for case, (dataset, split, classes, words) in cases.items():
        tuned_on = TunedOn(dataset=dataset, split=split, class_names=tuple(classes))
        maker.checkpoint(case, identity=Identity(tuned_on=(tuned_on,)))
        maker.features(maker.frames(), checkpoint=case)
        maker.texts(case)
        if words:
            with pytest.raises(UsageError, match=words):
                base_to_novel([maker.store.features("toy", "tiny")])
        else:
            assert base_to_novel([maker.store.features("toy", "tiny")])


def test_videos_that_are_listed_and_missing_are_counted(maker, value_of):
    maker.features(maker.frames())
    rows = np.arange(120)[maker.labels < 4]
    maker.split("part", rows, class_names=maker.class_names[:4], listed=[30, 20, 20, 30])
    rows = base_to_novel(
        [maker.store.features("toy", "tiny")], settings=BaseToNovel(base_split="part")
    )
    assert value_of(rows, subset="base", metric="top1").listed == 100
    assert value_of(rows, subset="novel", metric="top1").listed is None
    assert value_of(rows, subset="joint", metric="top1").listed == 100 + 40


def test_joint_lets_all_classes_compete(maker, value_of):
    maker.features(maker.frames(noise=2.5))
    rows = base_to_novel([maker.store.features("toy", "tiny")])
    right = cosines(maker, "tiny").argmax(axis=1) == maker.labels
    novel = maker.labels >= 4
    joint = value_of(rows, subset="joint", metric="top1")
    assert joint.value == pytest.approx(right.mean())
    assert (joint.classes, joint.num_videos, joint.split) == (6, 120, "base_val+novel_val")
    part = value_of(rows, subset="joint", metric="novel_top1").value
    assert part == pytest.approx(right[novel].mean())
    # More classes to mistake it for: a novel video is never easier in the joint task.
    assert part <= value_of(rows, subset="novel", metric="top1").value
    alone = base_to_novel([maker.store.features("toy", "tiny")], settings=BaseToNovel(joint=False))
    assert {row.subset for row in alone} == {"base", "novel", "all"}


def test_harmonic_mean_is_that_of_the_means_over_seeds(maker, value_of):
    names = ["s1", "s2", "s3"]
    for seed, name in enumerate(names):
        maker.features(maker.frames(noise=2 + seed, seed=seed), name=name)
    rows = base_to_novel([maker.store.features("toy", name) for name in names])

    def runs(subset, metric="top1"):
        return [value_of(rows, subset=subset, metric=metric, seed=seed).value for seed in (1, 2, 3)]

    base, novel = np.mean(runs("base")), np.mean(runs("novel"))
    mean = value_of(rows, subset="base", metric="top1", seed=None)
    assert mean.value == pytest.approx(base)
    assert mean.feature_names == tuple(names)
    assert mean.feature_set.count("+") == 2
    assert mean.provenance["count"] == 3
    assert mean.num_videos == (maker.labels < 4).sum()
    assert mean.provenance["recipe"] == mean.feature_set
    assert mean.provenance["rows_covered"] == mean.num_videos
    spread = value_of(rows, subset="base", metric="top1_std", seed=None).value
    assert spread == pytest.approx(np.std(runs("base")))
    harmonic = value_of(rows, subset="all", metric="harmonic_mean", seed=None).value
    assert harmonic == pytest.approx(2 * base * novel / (base + novel))
    means = np.mean([2 * b * n / (b + n) for b, n in zip(runs("base"), runs("novel"), strict=True)])
    assert harmonic != pytest.approx(means, abs=1e-6)
    own = runs("all", "harmonic_mean")
    deviation = value_of(rows, subset="all", metric="harmonic_mean_std", seed=None)
    assert deviation.value == pytest.approx(np.std(own))


def test_own_text_sets_for_base_and_novel(maker, value_of):
    maker.features(maker.frames(noise=2.5))
    rows = base_to_novel([maker.store.features("toy", "tiny")])
    joint = value_of(rows, subset="joint", metric="top1")
    base_set = maker.texts(class_names=maker.class_names[:4])
    novel_set = maker.texts(class_names=maker.class_names[4:])
    rows = base_to_novel([maker.store.features("toy", "tiny")])
    assert value_of(rows, subset="base", metric="top1").text_set == base_set
    assert value_of(rows, subset="joint", metric="top1").text_set == f"{base_set}+{novel_set}"
    assert value_of(rows, subset="joint", metric="top1").classes == joint.classes


def test_refusals(maker):
    maker.features(maker.frames())
    with pytest.raises(UsageError, match="1 feature sets and 2 seeds"):
        base_to_novel([maker.store.features("toy", "tiny")], seeds=(1, 2))
    with pytest.raises(UsageError, match="named twice in tiny, tiny; name one per training run"):
        base_to_novel([maker.store.features("toy", "tiny"), maker.store.features("toy", "tiny")])
    maker.features(maker.frames(num_frames=3, num_views=2), name="other")
    with pytest.raises(UsageError, match=r"\(tiny 4 x 1, other 3 x 2\) have no common mean"):
        base_to_novel([maker.store.features("toy", "tiny"), maker.store.features("toy", "other")])
    maker.split("overlap", [0, 1], [0, 1], maker.class_names[3:5])
    settings = replace(BaseToNovel(), novel_split="overlap")
    with pytest.raises(UsageError, match=r"1 classes are both base and novel \(first: 'class 3'\)"):
        base_to_novel([maker.store.features("toy", "tiny")], settings=settings)
