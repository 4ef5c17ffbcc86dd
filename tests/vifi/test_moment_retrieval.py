"""`vifi evaluate S moment-retrieval`: from a query file to rows, predictions and a table."""

import csv
import json
import shutil

import pytest

from harness.results import read_rows
from vifistore.store import open_store

QUERIES = "alone 0.0 0.4##a red run\nold 0.0 0.2##blue\nbroken 0 1##blue\nnowhere 0 1##blue\n"


@pytest.fixture
def store(searchable, tmp_path):
    return shutil.copytree(searchable, tmp_path / "s.zarr")


@pytest.fixture
def queries(tmp_path):
    path = tmp_path / "charades_sta_test.txt"
    path.write_text(QUERIES)
    return path


def test_rows_predictions_and_a_table(said, store, queries, tmp_path):
    out, found = tmp_path / "out", tmp_path / "found.jsonl"
    words = ("evaluate", store, "moment-retrieval", "--dataset", "d", "--queries", queries)
    code, text, errors = said(*words, "--results", out, "--predictions", found)
    assert code == 0, errors
    line = text.splitlines()[0]
    assert line.startswith("tiny d charades_sta_test contrast r1_iou_0.3 ")
    assert line.endswith("(2 of 4 listed videos, 2 queries, 1 quarantined)")
    assert "1 of the 4 videos of" in errors
    assert "are not in d (nowhere), and their queries are left out" in errors
    rows = read_rows(out)
    assert {row.template for row in rows} == {"{}"}
    assert (
        rows[0].text_set == open_store(store).find_texts(class_names=["a red run", "blue"])[0]["id"]
    )
    lines = [json.loads(line) for line in found.read_text().splitlines()]
    assert [(one["qid"], one["query"], one["vid"]) for one in lines] == [
        (0, "a red run", "alone"),
        (1, "blue", "old"),
    ]
    assert all(0 <= start <= end for one in lines for start, end, _ in one["pred_relevant_windows"])
    code, _, errors = said("report", out)
    assert code == 0, errors
    table = (out / "moment-retrieval.md").read_text()
    assert "R1@0.5" in table
    assert "mIoU" in table
    assert "2 of 4 listed videos" in table


def test_rules_beside_one_another_and_a_table_of_predictions(said, store, queries, tmp_path):
    out, found = tmp_path / "out", tmp_path / "found.csv"
    words = ("evaluate", store, "moment-retrieval", "--dataset", "d", "--queries", queries)
    for rule in ("half-way", "watershed"):
        flags = ("--proposal", rule, "--results", out, "--predictions", found, "--json")
        code, text, errors = said(*words, *flags)
        assert code == 0, errors
        assert {row["fusion"] for row in json.loads(text)["rows"]} == {rule}
    with found.open() as file:
        lines = list(csv.DictReader(file))
    assert lines[0]["path"] == "alone.mp4"
    assert {line["video"] for line in lines} == {"alone", "old"}
    assert said("report", out)[0] == 0
    table = (out / "moment-retrieval.md").read_text()
    assert "stretches by half-way" in table
    assert "stretches by watershed" in table


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], "moment-retrieval needs the benchmark's queries; give --queries FILE"),
        (["--queries", "QUERIES", "--split", "all"], "moment-retrieval takes no --split, not all"),
        (["--queries", "QUERIES", "--fusion", "max"], "--fusion has no meaning for moment-retr"),
        (["--queries", "QUERIES", "--proposal", "contrasts"], "Did you mean 'contrast'?"),
        (["--queries", "QUERIES", "--predictions", "a.parquet"], "must end in .csv or .jsonl"),
        (["--queries", "none.txt"], "none.txt cannot be read (No such file or directory)"),
        (["--queries", __file__], "is no query file that is known"),
    ],
)
def test_wrong_use_is_one_line(said, store, queries, flags, told):
    flags = [queries if flag == "QUERIES" else flag for flag in flags]
    code, text, errors = said("evaluate", store, "moment-retrieval", "--dataset", "d", *flags)
    assert (code, text, errors.count("\n")) == (2, "", 0)
    assert told in errors


def test_texts_that_follow_videos_and_sets_without_frames(said, store, queries, monkeypatch):
    words = ("evaluate", store, "moment-retrieval", "--dataset", "d", "--queries", queries)
    monkeypatch.setattr("vifi.scoring.moment_retrieval.follow_videos", lambda checkpoint: True)
    code, _, errors = said(*words)
    assert code == 2
    assert "follow each video and have no cosine with a frame" in errors
    features = open_store(store).features("d", "tiny")
    (store / features.path / "frames" / "zarr.json").unlink()
    code, _, errors = said(*words)
    assert code == 2
    assert "has no frames; use one that was extracted from videos" in errors


def test_queries_are_of_moments_alone(said, store, queries):
    code, _, errors = said("evaluate", store, "retrieval", "--dataset", "d", "--queries", queries)
    assert code == 2
    assert "--queries has no meaning for retrieval; leave it out" in errors
