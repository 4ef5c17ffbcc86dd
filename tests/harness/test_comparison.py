from dataclasses import replace

import numpy as np
import pytest

from harness.comparison import Answers, answers_of, compare, compare_answers, mean_answers
from harness.measuring import Scoring
from harness.protocols.base_to_novel import BaseToNovel, base_to_novel
from harness.protocols.zero_shot import zero_shot
from vifistore.errors import UsageError


def sets(maker, *names):
    return [maker.store.features("toy", name) for name in names]


def test_better_features_beat_worse_ones(make_store):
    maker = make_store(num_videos=150)
    maker.texts()
    status = np.ones(150, np.uint8)
    status[10:20] = 2
    maker.features(maker.frames(noise=1.0), name="good")
    maker.features(maker.frames(noise=6.0), name="bad", status=status)
    found = compare(
        *sets(maker, "bad", "good"), settings=Scoring(fusions=("embedding", "decision"))
    )
    assert [compared.fusion for compared in found] == ["embedding", "decision"]
    assert (found[0].num_videos, found[0].num_unpaired) == (140, 10)
    assert found[0].sentence.startswith("good beats bad by")
    assert found[0].sentence.endswith("points, p < 0.001")
    row = found[0].result
    assert (row.metric, row.num_videos) == ("top1_minus_good", 140)
    assert row.ci_low < row.value < row.ci_high < 0
    assert row.provenance["against"] == "good"
    assert row.provenance["p_value"] < 0.001
    assert row.provenance["unpaired"] == 10
    assert "against_tuned_on" not in row.provenance
    assert row.key != found[0].row.key
    same = compare(*sets(maker, "good", "good"))[0]
    assert same.comparison.difference == 0
    assert "unpaired" not in same.result.provenance
    assert "do not differ clearly" in same.sentence


def test_answers_are_paired_by_video(make_store):
    maker = make_store(num_videos=12)
    maker.texts()
    maker.features(maker.frames(), name="tiny")
    (compared,) = compare(*sets(maker, "tiny", "tiny"))
    shared = {"row": compared.row, "class_names": ["a", "b"]}
    first = Answers(videos=np.array([1, 2, 3]), is_right=np.array([True, False, True]), **shared)
    second = Answers(videos=np.array([0, 3, 2]), is_right=np.array([True, True, False]), **shared)
    found = compare_answers("first", "second", first, second)
    assert (found.num_videos, found.comparison.difference) == (2, 0)


def test_a_mean_over_runs_takes_each_video_once(make_store):
    maker = make_store(num_videos=12)
    maker.texts()
    maker.features(maker.frames(), name="tiny")
    (compared,) = compare(*sets(maker, "tiny", "tiny"))
    shared = {"row": compared.row, "class_names": ["a", "b"]}
    runs = [
        Answers(videos=np.array(videos), is_right=np.array(right), **shared)
        for videos, right in (([2, 1, 1, 0], [1, 0, 0, 1]), ([0, 1, 2], [0, 0, 1]))
    ]
    mean = mean_answers(runs)
    assert (mean.videos.tolist(), mean.is_right.tolist()) == ([0, 1, 2], [0.5, 0, 1])


def test_nothing_in_common(make_store):
    maker = make_store(num_videos=70)
    maker.texts()
    early, late = np.ones(70, np.uint8), np.ones(70, np.uint8)
    early[35:], late[:35] = 2, 2
    maker.features(maker.frames(seed=0, num_frames=2), name="early", status=early)
    maker.features(maker.frames(seed=1, num_frames=3), name="late", status=late)
    with pytest.raises(UsageError, match="early and late hold no video of all in common"):
        compare(*sets(maker, "early", "late"))


def test_any_protocol_can_be_compared(make_store):
    maker = make_store(num_videos=120)
    maker.texts()
    rows = np.arange(120)
    base, novel = rows[maker.labels < 4], rows[maker.labels >= 4]
    maker.split("base_val", base, class_names=maker.class_names[:4])
    maker.split("novel_val", novel, maker.labels[novel] - 4, maker.class_names[4:])
    answers = {}
    for name, noise in (("good", 1.0), ("bad", 6.0)):
        maker.features(maker.frames(noise=noise), name=name)
        found = answers[name] = []
        settings = BaseToNovel(keep=lambda scored, found=found: found.append(answers_of(scored)))
        base_to_novel([maker.store.features("toy", name)], settings=settings)
    pairs = zip(answers["good"], answers["bad"], strict=True)
    results = [compare_answers("good", "bad", *pair).result for pair in pairs]
    assert [row.subset for row in results] == ["base", "novel", "joint"]
    assert all(row.value > 0 for row in results)
    base_part, novel_part, _ = answers["good"]
    with pytest.raises(AssertionError):
        compare_answers("good", "bad", base_part, novel_part)


def test_a_difference_of_means_has_no_scores_of_single_runs(make_store):
    maker = make_store(num_videos=40)
    maker.texts()
    maker.split("val", np.arange(40))
    answers: list[Answers] = []
    for name in ("one", "other"):
        maker.features(maker.frames(noise=3.0, seed=len(name)), name=name)
        settings = Scoring(keep=lambda scored: answers.append(answers_of(scored)))
        zero_shot(maker.store.features("toy", name), ("val",), settings)
    one, other = answers
    of_mean = one.row.provenance | {"values": [0.4, 0.6], "over": "seeds", "count": 2}
    mean = replace(one, row=replace(one.row, provenance=of_mean))
    other = replace(other, row=replace(other.row, tuned_on="toy/train"))
    told = compare_answers("one", "other", mean, other).result.provenance
    assert "values" not in told
    assert told["against_tuned_on"] == "toy/train"
    assert (told["over"], told["count"], told["against"]) == ("seeds", 2, "other")
