"""Blends, averages and the start of a run, beside what it tuned."""

import numpy as np
import pytest

from harness.levers.kin_weights import kin_of
from harness.levers.wanted_levers import Levers
from harness.measuring import Scoring
from harness.protocols.zero_shot import zero_shot


@pytest.fixture
def maker(make_store):
    made = make_store(num_videos=60)
    parent = made.checkpoint("start", kind="")
    for seed, (name, kind, step) in enumerate(
        [
            ("tuned", "trained", 10),
            ("half", "blend-0.5", 10),
            ("earlier", "ema", 5),
            ("ema", "ema", 10),
            ("stranger", "blend-0.3", 10),
        ]
    ):
        of = "of another run" if name == "stranger" else parent
        told = {"kind": kind, "step": step, "parent": of}
        made.features(made.frames(noise=2.0 + seed, seed=seed), name=name, checkpoint=name, **told)
        made.texts(name)
    made.features(made.frames(noise=8.0, seed=9), name="start", checkpoint="start", kind="")
    made.texts("start")
    return made


def sets(maker, *names):
    return [maker.store.features("toy", name) for name in names]


def test_kin_are_of_the_same_run_and_step(maker):
    every = sets(maker, "tuned", "half", "earlier", "ema", "stranger", "start")
    found = kin_of(every[0], every)
    assert {kind: features.name for kind, features in found.items()} == {
        **{"blend-0.5": "half", "ema": "ema", "start": "start"},
    }
    assert kin_of(every[1], every) == {}
    assert kin_of(every[5], every) == {}


def test_each_is_a_row_beside_the_tuned_weights(maker, value_of):
    tuned, *others = sets(maker, "tuned", "half", "ema", "start")
    levers = Levers(
        names=("weights",),
        kin=kin_of(tuned, others),
        encode_seconds={"weights-ema": 12.5},
    )
    rows = zero_shot(tuned, ("",), Scoring(levers=levers))
    plain = value_of(rows, metric="top1", lever="")
    for lever, features in (("blend-0.5", others[0]), ("ema", others[1]), ("start", others[2])):
        row = value_of(rows, metric="top1", lever=f"weights-{lever}")
        (alone,) = [r for r in zero_shot(features, ("",), Scoring()) if r.metric == "top1"]
        assert row.value == pytest.approx(alone.value)
        assert row.feature_set == plain.feature_set
        assert row.provenance["lifted"]["features"] == features.name
        difference = value_of(rows, metric="top1_minus_plain", lever=f"weights-{lever}")
        assert difference.value == pytest.approx(alone.value - plain.value)
    lifted = value_of(rows, metric="top1", lever="weights-ema").provenance["lifted"]
    assert lifted["encode_seconds"] == 12.5
    assert lifted["seconds"] >= 12.5
    assert np.isfinite(lifted["seconds"])
