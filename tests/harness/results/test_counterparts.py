from harness.results.counterparts import counterparts
from tests.reports.conftest import make_row


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
