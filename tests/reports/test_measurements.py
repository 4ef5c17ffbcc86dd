import math
from dataclasses import replace

import pytest

from harness.results.row_names import row_name
from reports.layouts.protocol_tables import protocol_tables
from reports.measurements import features_of, measurements, method_of, paper_dataset


def test_shares_become_percent_and_ranks_stay(row):
    share, rank = measurements([row(value=0.5), row(value=3.0, metric="median_rank")])
    assert (share.value, share.low, share.high) == pytest.approx((50, 47, 53))
    assert rank.value == 3.0


def test_a_mean_takes_its_deviation_and_the_place_of_its_parts(row):
    parts = [row(value=v, split=s) for v, s in ((0.5, "a"), (0.6, "b"))]
    joined = {"split": "a+b", "provenance": {"over": "splits"}, "ci_low": None, "ci_high": None}
    mean, std = row(value=0.55, **joined), row(value=0.05, metric="top1_std", **joined)
    alone = row("other", value=0.7, split="a")
    found = measurements([*parts, mean, std, alone])
    assert [(m.name, m.row.split) for m in found] == [("vifi-clip", "a+b"), ("other", "a")]
    assert (found[0].value, found[0].std) == pytest.approx((55, 5))
    assert found[1].std is None


def test_a_mean_over_seeds_replaces_runs_with_features_of_their_own(row):
    runs = [
        row(f"vifi-clip-s{i}", value=0.5, seed=i, feature_set=str(i) * 12, text_set="t")
        for i in (1, 2)
    ]
    mean = replace(
        runs[0],
        feature_set="1" * 12 + "+" + "2" * 12,
        feature_names=("vifi-clip-s1", "vifi-clip-s2"),
        scored_checkpoint="vifi-clip-s1+vifi-clip-s2",
        seed=None,
        provenance={"over": "seeds"},
    )
    found = measurements([*runs, mean])
    assert [m.name for m in found] == ["vifi-clip"]
    assert found[0].method == "ViFi-CLIP"


def test_an_undefined_value_says_so(row):
    assert not measurements([row(value=math.nan)])[0].is_defined


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("vifi-clip@step-2000", "ViFi-CLIP"),
        ("ViFi-CLIP_K400", "ViFi-CLIP"),
        ("vifi-clip-image-ft", "CLIP image-FT"),
        ("text-ft", "CLIP text-FT"),
        ("ViT-B-16-quickgelu@openai.32f", "Vanilla CLIP"),
        ("vl-prompting-16", "VL prompting"),
        ("my-model", ""),
        ("openair", ""),
    ],
)
def test_methods_are_known_by_their_names(name, method):
    assert method_of([name]) == method


def test_names_of_two_methods_say_nothing(row):
    assert method_of(["vanilla", "vifi-clip"]) == ""
    crossed = row("vifi-clip", scored_checkpoint="vanilla")
    assert measurements([crossed])[0].method == ""


def test_a_digest_is_no_name(row):
    by_features = row("vifi-clip", scored_checkpoint="c" * 64)
    assert measurements([by_features])[0].method == "ViFi-CLIP"


def test_vanilla_clip_was_not_tuned_with_any_fusion(row):
    found = measurements([row("vanilla", trained_fusion="embedding")])
    assert found[0].trained_fusion == ""


@pytest.mark.parametrize(
    ("name", "short"),
    [("HMDB-51", "hmdb51"), ("Kinetics-400", "k400"), ("k400_tiny", "k400-tiny"), ("own", "own")],
)
def test_data_sets_of_the_paper(name, short):
    assert paper_dataset(name) == short


def test_row_names(row):
    assert row_name(row(feature_names=("a-long-name@x.32f", "short"))) == "short"
    assert row_name(row(feature_names=())) == "0123456789ab"
    assert row_name(row(feature_names=("b", "long"), provenance={"asked": "long"})) == "long"
    assert row_name(row(feature_names=("b", "long"), provenance={"asked": "0123456789ab"})) == "b"
    # What looks like a sum would be taken for an ensemble.
    runs = row(feature_set="1+2", feature_names=("abc", "xyz"))
    assert row_name(runs) == "mean of abc, xyz"


def test_a_set_has_one_name_whatever_it_was_called_before(row):
    def scored(time, *names, **fields):
        shared = {"scored_checkpoint": "c", "feature_names": names}
        provenance = {"checkpoint": "digest", "time": time, "asked": names[0]}
        return row(**{**shared, "provenance": provenance, **fields})

    rows = [
        scored("2026-01-01", "first", value=0.1),
        scored("2026-01-01", "first", value=0.2, split="val"),
        scored("2026-01-03", "alias", "first", value=0.3),
        scored("2026-01-02", "first", value=0.4, dataset="other"),
    ]
    found = measurements(rows)
    assert [(m.name, m.row.value) for m in found] == [
        ("alias", 0.3),
        ("alias", 0.2),
        ("alias", 0.4),
    ]
    (table,) = protocol_tables(found)
    assert [(r.label, r.detail) for r in table.rows] == [("alias", "test"), ("alias", "val")]
    # Another checkpoint may share the features of a set, and is another row.
    text = scored("2026-01-04", "text", value=0.5)
    other = replace(text, provenance=text.provenance | {"checkpoint": "another"})
    assert {m.name for m in measurements([*rows, other])} == {"alias", "text"}


def test_runs_that_share_their_features_are_several(row):
    names = ("text-ft-s1", "text-ft-s2")
    provenance = {"over": "seeds", "count": 2, "checkpoint": "c1+c2"}
    mean = row(feature_names=names, provenance=provenance, scored_checkpoint="+".join(names))
    assert row_name(mean) == "text-ft"
    assert features_of(mean) == names


def test_what_measures_a_row_again(row):
    assert features_of(row(feature_names=("a-long-name", "short"))) == ("short",)
    # With other names beside theirs, runs are known by their ids.
    aliases = ("a", "b", "c")
    mean = row(feature_set="1+2", feature_names=aliases, provenance={"over": "seeds", "count": 2})
    assert features_of(mean) == ("1", "2")


def test_parts_of_a_mean_are_known_though_their_names_hold_a_plus(row):
    runs = [row(seed=i, scored_checkpoint=f"start-{i}+a5", feature_set=str(i)) for i in (1, 2)]
    mean = replace(
        runs[0],
        seed=None,
        feature_set="1+2",
        scored_checkpoint="start-1+a5+start-2+a5",
        provenance={"over": "seeds"},
    )
    assert [m.row for m in measurements([*runs, mean])] == [mean]
