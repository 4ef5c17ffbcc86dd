"""Which comparisons of a study are told as sentences."""

from types import SimpleNamespace
from typing import Any

from harness.results import ResultRow
from harness.summaries import summary_rows
from vifi.study import page_words

ORIGIN = {"recipe": "r", "checkpoint": "c", "manifest": "m", "rows_covered": 10, "num_todo": 0}


def difference(split: str) -> list[ResultRow]:
    """How much better a lever is than the plain score, on one split."""
    told = {"against": "plain", "p_value": 0.012, "command": "vifi evaluate S"}
    row = ResultRow(
        protocol="zero-shot",
        dataset="toy",
        split=split,
        feature_set="ab",
        feature_names=("tuned",),
        scored_checkpoint="vifi",
        text_set="t",
        fusion="embedding",
        num_frames=8,
        num_views=1,
        classes=4,
        num_videos=10,
        metric="top1_minus_plain",
        value=0.021,
        ci_low=0.017,
        ci_high=0.025,
        provenance={**ORIGIN, **told},
    )
    return [row]


def test_a_mean_over_splits_makes_no_sentence(monkeypatch, tmp_path):
    runs = [difference("val1"), difference("val2")]
    rows = [row for run in runs for row in run] + summary_rows(runs, "splits")
    monkeypatch.setattr(page_words, "read_rows", lambda folder: rows)
    study: Any = SimpleNamespace(questions={"main": SimpleNamespace(headline=True)})
    steps: Any = [SimpleNamespace(name="ask main of toy", commands=[["evaluate", "S"]])]
    said = page_words.headlines(study, steps, tmp_path)
    beats = "tuned beats plain by 2.1 [1.7, 2.5] points, p = 0.012"
    assert [beats in line for line in said] == [True, True]
    assert ["val1" in said[0], "val2" in said[1]] == [True, True]
