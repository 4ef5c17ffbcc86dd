from harness.results.counterparts import counterparts, differing, newest_of_settings
from tests.reports.conftest import PROVENANCE, make_row


def test_rows_of_one_setting_are_paired():
    ours = [
        make_row("a", 0.5),
        make_row("a", 0.6, fusion="decision"),
        make_row("a", 0.1, metric="top1_std"),
        make_row("a", 0.3, split="other"),
    ]
    theirs = [
        make_row("b", 0.2, fusion="decision"),
        make_row("b", 0.4, protocol="tuned", tuned_on="shapes/train"),
        make_row("b", 0.1, metric="top1_std"),
    ]
    found = counterparts(ours, theirs)
    assert [(one.value, other.value) for one, other in found] == [(0.5, 0.4), (0.6, 0.2)]


def test_of_several_the_one_that_is_closer_and_none_that_is_no_closer():
    ours = [make_row("a", 0.5, num_frames=4)]
    theirs = [make_row("b", 0.1, num_frames=4), make_row("b", 0.2, num_frames=8)]
    assert [other.value for _, other in counterparts(ours, theirs)] == [0.1]
    again = [*theirs, make_row("b", 0.3, num_frames=4, text_set="cccccccccccc")]
    assert counterparts(ours, again) == []


def test_numbers_of_other_classes_are_never_paired():
    assert counterparts([make_row("a", classes=24)], [make_row("b", classes=12)]) == []


def test_what_differs_beside_the_systems_is_told():
    ours = make_row("a", protocol="few-shot", shots=16, seed=1, num_frames=4)
    theirs = make_row("b", seed=2)
    (pair,) = counterparts([ours], [theirs])
    told = "asked_protocol few-shot and zero-shot, shots 16 and None, seed 1 and 2, "
    assert differing(pair) == told + "num_frames 4 and 8"
    assert differing((ours, ours)) == ""
    same = make_row("b", 0.9, seed=1)
    assert counterparts([ours], [theirs, same]) == [(ours, same)]


def test_what_was_trained_on_other_videos_is_not_paired():
    ours = make_row("a", protocol="few-shot", classifier="prototype", shots=4, seed=1)
    other = {"protocol": "few-shot", "classifier": "prototype"}
    assert counterparts([ours], [make_row("b", **other, shots=8, seed=1)]) == []
    assert counterparts([ours], [make_row("b", **other, shots=4, seed=2)]) == []
    assert len(counterparts([ours], [make_row("b", **other, shots=4, seed=1)])) == 1


def test_of_what_a_name_stood_for_the_newest_counts():
    def scored(value: float, time: str, **changes):
        return make_row("a", value, provenance={**PROVENANCE, "time": time}, **changes)

    late = scored(0.5, "2026-02", feature_set="bbbbbbbbbbbb")
    other = scored(0.3, "2026-01", split="val1")
    rows = [late, scored(0.4, "2026-01"), other]
    assert newest_of_settings(rows) == [late, other]
    assert newest_of_settings(reversed(rows)) == [other, late]
