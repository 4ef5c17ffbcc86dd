"""Ensembles of feature sets and one temperature: restated, and chosen where nothing is scored."""

from dataclasses import replace

import numpy as np
import pytest

from harness.levers.calibration import best_temperature
from harness.levers.ensembles import best_weights, weight_grid
from harness.levers.lever import likelihood_loss
from harness.levers.wanted_levers import Levers
from harness.measuring import Scoring
from harness.metrics import calibration_error, is_right
from harness.protocols.zero_shot import zero_shot
from harness.scoring import load_classes, load_videos, score
from harness.vector_reading import video_vectors
from vifistore.errors import UsageError
from vifistore.store.identity import Identity, TunedOn, packed
from vifistore.store.schema import DONE, TODO

NAMES = ("ensemble-embedding", "ensemble-logit", "ensemble-probability")


@pytest.fixture
def maker(make_store):
    made = make_store(num_videos=120)
    made.features(made.frames(num_views=2, noise=6.0))
    others = {"name": "other", "checkpoint": "other", "logit_scale": 10.0}
    made.features(made.frames(num_views=2, noise=3.0, seed=5), **others)
    made.texts()
    made.texts("other", logit_scale=10.0)
    made.split("val", np.arange(60))
    made.split("test", np.arange(60, 120))
    return made


def features(maker, name="tiny"):
    return maker.store.features("toy", name)


def parts(maker, split, name):
    """Unit vectors, unit class vectors, scale and plain probabilities of one set."""
    videos = load_videos(features(maker, name), split)
    classes = load_classes(videos.features, videos.class_names)
    scores = score(videos, classes)["embedding"].astype(np.float64) / 2
    vectors = video_vectors(videos.features, videos.rows).astype(np.float64)
    return vectors, classes.vectors.astype(np.float64), classes.link.scale, scores, videos.labels


def shares(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def restated(name, one, other, w):
    (v1, t1, s1, p1, _), (v2, t2, s2, p2, _) = one, other
    if name == "ensemble-probability":
        return w * p1 + (1 - w) * p2
    if name == "ensemble-logit":
        product = p1**w * p2 ** (1 - w)
        return product / product.sum(1, keepdims=True)
    v, t = w * v1 + (1 - w) * v2, w * t1 + (1 - w) * t2
    v, t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (v, t))
    return shares((w * s1 + (1 - w) * s2) * v @ t.T)


def test_each_equals_its_restatement_with_equal_weights_and_with_those_of_a_split(maker, value_of):
    test = [parts(maker, "test", name) for name in ("tiny", "other")]
    val = [parts(maker, "val", name) for name in ("tiny", "other")]
    grid = np.arange(11) / 10
    for name in NAMES:
        choices = [restated(name, val[0], val[1], w) for w in grid]
        best = max(
            range(11),
            key=lambda n: (
                is_right(choices[n], val[0][4]).mean(),
                -likelihood_loss(choices[n], val[0][4]),
            ),
        )
        for split, weight in (("", 0.5), ("val", grid[best])):
            levers = Levers(
                names=(name,), validation_split=split, ensemble_with=(features(maker, "other"),)
            )
            rows = zero_shot(features(maker), ("test",), Scoring(levers=levers))
            row = value_of(rows, metric="top1", lever=name)
            expected = restated(name, test[0], test[1], weight)
            assert row.value == pytest.approx(is_right(expected, test[0][4]).mean())
            lifted = row.provenance["lifted"]
            assert lifted["weights"] == {
                "tiny": pytest.approx(weight),
                "other": pytest.approx(1 - weight),
            }
            assert lifted.get("tuned_on") == ("toy/val" if split else None)
            error = value_of(rows, metric="calibration_error", lever=name).value
            assert error == pytest.approx(calibration_error(expected, test[0][4]), abs=1e-3)


def test_the_better_set_gets_the_weight(maker, value_of):
    levers = Levers(
        names=("ensemble-logit",),
        validation_split="val",
        ensemble_with=(features(maker, "other"),),
    )
    rows = zero_shot(features(maker), ("test",), Scoring(levers=levers))
    assert value_of(rows, metric="top1_minus_plain").value > 0
    weights = value_of(rows, metric="top1_minus_plain").provenance["lifted"]["weights"]
    assert weights["other"] > weights["tiny"]


def test_of_equal_accuracy_the_likelier_weights():
    labels = np.array([0, 1])
    sure, unsure = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[0.6, 0.4], [0.4, 0.6]])
    found = best_weights(lambda w: w[0] * sure + w[1] * unsure, 2, labels)
    np.testing.assert_array_equal(found, [1, 0])


def test_weights_are_those_that_sum_to_one():
    assert [len(weight_grid(count)) for count in (1, 2, 3, 4)] == [1, 11, 66, 286]
    np.testing.assert_allclose([sum(one) for one in weight_grid(3)], 1)
    with pytest.raises(UsageError, match="give 3 or fewer"):
        weight_grid(5)


def test_the_temperature_is_that_of_least_loss():
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(4000, 5)) * 2
    labels = np.array([generator.choice(5, p=p) for p in shares(logits)])
    for sharpened in (0.5, 1.0, 3.0):
        assert best_temperature(sharpened * logits, labels) == pytest.approx(sharpened, rel=0.08)
    losses = [likelihood_loss(shares(logits / t), labels) for t in np.linspace(0.2, 4, 200)]
    best = best_temperature(logits, labels)
    assert likelihood_loss(shares(logits / best), labels) <= min(losses) + 1e-6


def test_a_temperature_calibrates_and_changes_no_answer(make_store, value_of):
    maker = make_store(num_videos=600)
    maker.features(maker.frames(noise=6.0), logit_scale=60.0)
    maker.checkpoint(logit_scale=60.0)
    maker.texts(logit_scale=60.0)
    maker.split("val", np.arange(300))
    maker.split("test", np.arange(300, 600))
    levers = Levers(names=("temperature",), validation_split="val")
    rows = zero_shot(features(maker), ("test",), Scoring(levers=levers))
    errors = [
        value_of(rows, metric="calibration_error", lever=lever).value
        for lever in ("", "temperature")
    ]
    assert errors[1] < errors[0] / 2
    row = value_of(rows, metric="top1_minus_plain")
    assert row.value == 0
    assert row.provenance["lifted"]["temperature"] > 1
    # By any temperature, and of any videos: no interval is needed to say so.
    gained = value_of(rows, metric="top1_minus_plain")
    assert (gained.value, gained.ci_low, gained.ci_high) == (0, 0, 0)
    assert row.provenance["lifted"]["tuned_on"] == "toy/val"


def test_no_label_of_a_scored_video_chooses_anything(maker, make_store):
    for split, told in (("test", "60 of 60 training videos"), ("both", "also in test")):
        maker.split("both", np.arange(50, 70))
        settings = Scoring(levers=Levers(names=("temperature",), validation_split=split))
        with pytest.raises(UsageError, match=told) as error:
            zero_shot(features(maker), ("test",), settings)
        assert len(str(error.value).splitlines()) == 1
    maker.split("fewer", np.arange(40), maker.labels[:40] % 3, maker.class_names[:3])
    settings = Scoring(levers=Levers(names=("temperature",), validation_split="fewer"))
    with pytest.raises(UsageError, match="name different classes"):
        zero_shot(features(maker), ("test",), settings)


def test_copies_of_scored_videos_choose_nothing(make_store):
    maker = make_store(num_videos=60)
    digests = [f"{number % 50:064x}" for number in range(60)]
    maker.features(maker.frames(), digests=digests)
    maker.texts()
    maker.split("val", np.arange(30))
    maker.split("test", np.arange(30, 60))
    settings = Scoring(levers=Levers(names=("temperature",), validation_split="val"))
    with pytest.raises(UsageError, match="10 of 30 videos of test are copies of videos of val"):
        zero_shot(features(maker), ("test",), settings)


def test_sets_that_cannot_join(maker):
    def lift(*others, names=NAMES):
        levers = Levers(names=names, ensemble_with=others)
        return zero_shot(features(maker), ("test",), Scoring(levers=levers))

    with pytest.raises(UsageError, match="are one feature set"):
        lift(features(maker))
    status = np.full(120, DONE, np.uint8)
    status[100:] = TODO
    maker.features(maker.frames(seed=8), name="part", checkpoint="part", status=status, seal=False)
    maker.texts("part")
    levers = Levers(names=NAMES, ensemble_with=(features(maker, "part"),))
    with pytest.raises(UsageError, match="part lacks 20 of the 60 videos of test"):
        zero_shot(features(maker), ("test",), replace(Scoring(levers=levers), partial=True))
    with pytest.raises(UsageError, match="needs other feature sets; give --ensemble-with NAME"):
        lift()


def test_a_validation_split_that_was_trained_on_is_told(make_store, value_of):
    maker = make_store(num_videos=60)
    digests = [f"{number:064x}" for number in range(60)]
    tuned = TunedOn(dataset="toy", split="val", videos=packed(digests[:30]))
    maker.features(maker.frames(), digests=digests, identity=Identity(tuned_on=(tuned,)))
    maker.texts()
    maker.split("val", np.arange(30))
    maker.split("test", np.arange(30, 60))
    levers = Levers(names=("temperature",), validation_split="val")
    rows = zero_shot(features(maker), ("test",), Scoring(levers=levers))
    row = value_of(rows, metric="top1", lever="temperature")
    assert row.provenance["lifted"]["seen_in_training"] == 30


def test_an_ensemble_was_tuned_on_what_any_of_its_sets_was(make_store, value_of):
    maker = make_store(num_videos=60)
    digests = [f"{number:02x}" * 32 for number in range(60)]
    tuned = [
        TunedOn(dataset="elsewhere", split=split, videos=packed(digests[start:stop]))
        for split, start, stop in (("some", 20, 40), ("more", 35, 50))
    ]
    maker.features(maker.frames(), digests=digests)
    for number, entry in enumerate(tuned):
        names = {"name": f"tuned-{number}", "checkpoint": f"tuned-{number}"}
        frames = maker.frames(seed=3 + number)
        maker.features(frames, digests=digests, identity=Identity(tuned_on=(entry,)), **names)
        maker.texts(names["checkpoint"])
    maker.texts()
    maker.split("val", np.arange(30))
    maker.split("test", np.arange(30, 60))
    others = tuple(features(maker, f"tuned-{number}") for number in range(2))
    names = ("ensemble-probability", "temperature")
    levers = Levers(names=names, ensemble_with=others, validation_split="val")
    rows = zero_shot(features(maker), ("test",), Scoring(levers=levers))
    plain, own, joined = (
        value_of(rows, metric="top1", lever=lever) for lever in ("", *reversed(names))
    )
    assert [row.protocol for row in (plain, own, joined)] == ["zero-shot", "zero-shot", "tuned"]
    assert joined.tuned_on == "elsewhere/some, elsewhere/more"
    # Of the test videos ten are in one part and fifteen in the other, five of these in both.
    assert joined.provenance["shared_videos"] == 20
    assert [one["shared_videos"] for one in joined.provenance["tuned_on"]] == [10, 15]
    assert joined.provenance["lifted"]["seen_in_training"] == 10
    assert "seen_in_training" not in own.provenance["lifted"]
    assert value_of(rows, metric="top1_minus_plain", lever=names[0]).protocol == "tuned"
