"""Levers beside the plain score: their rows, differences, and what is refused."""

import json

import numpy as np
import pytest

from harness.ablations import Ablation, levers_ablation
from harness.levers.chosen_frames import FRAME_CHOICES
from harness.levers.known_levers import LEVERS, chosen_levers
from harness.levers.lever import Given
from harness.levers.wanted_levers import Levers
from harness.measuring import Scoring
from harness.metrics import is_right
from harness.protocols.trained import Trained
from harness.protocols.zero_shot import zero_shot
from harness.results import to_record
from harness.results.result_row import from_record
from harness.results.video_answers import answers_digest
from harness.scoring import load_classes, load_videos, score
from harness.statistics import paired_bootstrap
from tests.harness.test_text_rules import described
from vifistore.errors import UnknownNameError, UsageError


@pytest.fixture
def maker(make_store):
    made = make_store(num_videos=60)
    made.features(made.frames(num_views=2, noise=4.0))
    made.texts(noise=2.0)
    made.split("test", np.arange(60))
    return made


def asked(maker, *names, **fields):
    counts = dict(zip(maker.class_names, (3, 1, 2, 2, 4, 1), strict=True))
    return Levers(names=names, descriptions=described(maker, counts)[0], **fields)


def test_every_lever_has_rows_and_its_difference_from_the_plain_score(maker, value_of):
    features = maker.store.features("toy", "tiny")
    kept = []
    settings = Scoring(levers=asked(maker, "all"), keep=kept.append, fusions=("embedding", "image"))
    rows = zero_shot(features, ("test",), settings)
    names = list(chosen_levers(settings.levers, features))
    assert [scored.rows[0].lever for scored in kept] == ["", "", *names, *names]
    lifted = next(one for one in kept if one.rows[0].lever == "descriptions")
    assert lifted.rows == [row for row in rows if row in lifted.rows]
    told = answers_digest(lifted.videos.rows, *lifted.taken_for)
    assert {row.provenance["answers"] for row in lifted.rows} == {told}
    plain = [row for row in rows if not row.lever]
    alone = zero_shot(features, ("test",), Scoring(fusions=settings.fusions))
    assert [(row.key, row.value) for row in plain] == [(row.key, row.value) for row in alone]
    for fusion in settings.fusions:
        before = value_of(plain, metric="top1", fusion=fusion)
        for name in names:
            own = [row for row in rows if (row.lever, row.fusion) == (name, fusion)]
            top1 = value_of(own, metric="top1")
            difference = value_of(own, metric="top1_minus_plain")
            assert difference.value == pytest.approx(top1.value - before.value)
            assert difference.ci_low <= difference.value <= difference.ci_high
            assert 0 < difference.provenance["p_value"] <= 1
            lifted = top1.provenance["lifted"]
            assert lifted["seconds"] >= 0
            assert lifted.get("transductive", False) == LEVERS[name].is_transductive
            assert {row.metric for row in own} >= {"top1", "top5", "calibration_error"}
    assert len({row.key for row in rows}) == len(rows)
    json.dumps([to_record(row) for row in rows], allow_nan=False)


def test_the_difference_is_the_paired_bootstrap_of_both_scores(maker, value_of):
    features = maker.store.features("toy", "tiny")
    levers = asked(maker, "descriptions-transport")
    rows = zero_shot(features, ("test",), Scoring(levers=levers))
    videos = load_videos(features, "test")
    plain = load_classes(features, videos.class_names)
    texts = load_classes(features, videos.class_names, levers.descriptions)
    lifted, before = (
        is_right(score(videos, classes, [fusion])[fusion], videos.labels)
        for classes, fusion in ((texts, "transport"), (plain, "embedding"))
    )
    expected = paired_bootstrap(lifted, before)
    row = value_of(rows, metric="top1_minus_plain")
    assert (row.value, row.ci_low, row.ci_high) == (
        *(expected.difference, expected.low, expected.high),
    )
    assert row.provenance["lifted"]["text_set"] == levers.descriptions
    assert row.text_set == plain.text_set


def test_scores_of_levers_sum_to_the_number_of_views(maker):
    features = maker.store.features("toy", "tiny")
    videos = load_videos(features, "test")
    classes = load_classes(features, videos.class_names)
    scores = score(videos, classes)["embedding"]
    given = Given(videos=videos, classes=classes, fusion="embedding", scores=scores)
    np.testing.assert_allclose(given.probabilities.sum(1), 1, rtol=1e-5)
    for name in ("mutual-softmax", "test-time-cache"):
        np.testing.assert_allclose(LEVERS[name].score(given).scores.sum(1), 2, rtol=1e-5)


def test_an_ablation_scores_levers_too(maker, value_of):
    features = maker.store.features("toy", "tiny")
    settings = Ablation(fusions=("embedding",), levers=asked(maker, "mutual-softmax"))
    rows = levers_ablation(features, "test", settings)
    assert {row.protocol for row in rows} == {"ablation-levers"}
    assert {row.lever for row in rows} == {"", "mutual-softmax"}


def test_what_is_no_lever_and_what_one_lacks(maker):
    features = maker.store.features("toy", "tiny")
    with pytest.raises(UnknownNameError, match="Did you mean 'mutual-softmax'"):
        chosen_levers(Levers(names=("mutual-softmx",)), features)
    with pytest.raises(UsageError, match="give --descriptions FILE"):
        chosen_levers(Levers(names=("descriptions-max",)), features)
    # All is all that can be had.
    assert "descriptions" not in chosen_levers(Levers(names=("all",)), features)
    every = chosen_levers(Levers(names=("mutual-softmax", "all")), features)
    assert list(every) == ["mutual-softmax", *FRAME_CHOICES, "test-time-cache"]


def test_a_lever_by_its_former_name_is_that_of_now(maker, value_of):
    features = maker.store.features("toy", "tiny")
    rows = zero_shot(features, ("test",), Scoring(levers=Levers(names=("dual-softmax",))))
    row = value_of(rows, metric="top1", lever="mutual-softmax")
    before = {**to_record(row), "lever": "dual-softmax"}
    assert from_record(before) == from_record(to_record(row))
    assert from_record({**before, "lever": "temperature"}).lever == "temperature"


def test_only_scores_by_class_names_have_levers():
    with pytest.raises(UsageError, match="tip-adapter is none; leave them out"):
        Trained(classifier="tip-adapter", train_split="a", levers=Levers(names=("all",)))


def test_descriptions_that_are_better_lift_a_score(make_store, value_of):
    maker = make_store(num_videos=300)
    maker.features(maker.frames(noise=1.5))
    maker.texts(noise=4.0)
    names, _ = described(maker, dict.fromkeys(maker.class_names, 3), noise=0.3)
    levers = Levers(names=("descriptions",), descriptions=names)
    rows = zero_shot(maker.store.features("toy", "tiny"), ("",), Scoring(levers=levers))
    assert value_of(rows, metric="top1_minus_plain").ci_low > 0
