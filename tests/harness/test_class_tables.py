import numpy as np
import pytest

from harness.class_tables import class_tables
from harness.measuring import Scored, Scoring
from harness.protocols.zero_shot import zero_shot


@pytest.fixture
def kept(make_store) -> list[Scored]:
    maker = make_store(num_videos=90)
    maker.features(maker.frames(noise=6.0))
    maker.texts()
    scored: list[Scored] = []
    fusions = ("embedding", "decision")
    zero_shot(
        maker.store.features("toy", "tiny"), settings=Scoring(fusions=fusions, keep=scored.append)
    )
    return scored


def test_the_mean_of_the_classes_is_the_row(kept):
    for scored in kept:
        tables = class_tables(scored)
        values = {row.metric: row.value for row in scored.rows}
        per_class = tables.per_class
        assert per_class["value"].mean() == pytest.approx(values["mean_per_class"])
        wrong = (1 - per_class["value"]) * per_class["num_videos"]
        assert tables.confusion["count"].sum() == pytest.approx(wrong.sum())
        assert tables.confusion["count"].is_monotonic_decreasing
        share = tables.confusion["count"] / tables.confusion["num_videos"]
        np.testing.assert_allclose(tables.confusion["share"], share)


def test_intervals_hold_the_value_and_every_row_its_setting(kept):
    per_class = class_tables(kept[0]).per_class
    assert (per_class["ci_low"] <= per_class["value"]).all()
    assert (per_class["ci_high"] >= per_class["value"]).all()
    unsure = per_class[(per_class["value"] > 0) & (per_class["value"] < 1)]
    assert (unsure["ci_low"] < unsure["ci_high"]).all()
    assert set(per_class["features"]) == {"tiny"}
    assert set(per_class["protocol"]) == {"zero-shot"}


def test_other_settings_have_other_names(kept):
    names = [class_tables(scored).name for scored in kept]
    assert len(set(names)) == 2
    assert names == [class_tables(scored).name for scored in kept]
    assert all(name.startswith("toy-") for name in names)
