from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.results.video_answers import DIGEST, VideoAnswers, answers_digest
from reports.class_answers import answer_tables
from reports.measurements import measurements
from reports.page.class_view import MAX_VIDEOS, class_views
from tests.reports.conftest import make_row


def keep(folder, row, labels, predicted, ids=None):
    """Keep answers of a row; returns the row that tells their digest."""
    count = len(labels)
    ids = [f"v{number}" for number in range(count)] if ids is None else ids
    columns = {"id": ids, "row": range(count), "source": range(count), "label": labels}
    table = pd.DataFrame({**columns, "predicted": predicted})
    VideoAnswers(name=row.score_name, table=table).write(folder)
    told = {DIGEST: answers_digest(table["row"], table["label"], table["predicted"])}
    return replace(row, provenance=row.provenance | told)


@pytest.fixture
def rows():
    return [make_row("clip"), make_row("full", feature_set="bbbbbbbbbbbb")]


def test_systems_stand_side_by_side(rows, tmp_path):
    rows = [
        keep(tmp_path, rows[0], ["a", "a", "b"], ["a", "b", "b"]),
        keep(tmp_path, rows[1], ["a", "b", "a"], ["a", "a", "a"], ["v0", "v2", "v3"]),
    ]
    (table,) = answer_tables(tmp_path, measurements(rows))
    assert (table.title, table.systems) == ("shapes, test", ["clip", "full"])
    assert table.videos["id"].tolist() == ["v0", "v1", "v2", "v3"]
    assert table.is_right().tolist() == [
        [True, True],
        [False, False],
        [True, False],
        [False, True],
    ]
    (view,) = class_views(tmp_path, [table])
    assert [(c["name"], c["count"], c["right"]) for c in view["classes"]] == [
        ("a", 3, [1, 2]),
        ("b", 1, [1, 0]),
    ]
    # Those that systems differ in come first, and what is not known is not called wrong.
    videos = view["classes"][0]["videos"]
    assert [video["id"] for video in videos] == ["v3", "v1", "v0"]
    assert videos[0]["answers"][0] == {"is_right": False, "predicted": ""}


def test_scores_of_one_name_are_told_apart(tmp_path):
    rows = [make_row("clip", fusion=fusion) for fusion in ("decision", "embedding")]
    rows = [keep(tmp_path, row, ["a"], ["a"]) for row in rows]
    (table,) = answer_tables(tmp_path, measurements(rows))
    assert table.systems == ["clip, embedding", "clip, decision"]


def test_without_answers_there_is_nothing(rows, tmp_path):
    assert answer_tables(tmp_path, measurements(rows)) == []


def test_a_page_holds_so_many_videos_and_no_more(rows, tmp_path):
    count = MAX_VIDEOS + 40
    labels = np.array(["a", "b"])[np.arange(count) % 2]
    predicted = np.where(np.arange(count) < 50, "c", labels)
    kept = keep(tmp_path, rows[0], labels, predicted)
    (view,) = class_views(tmp_path, answer_tables(tmp_path, measurements([kept])))
    assert view["more"] == 40
    shown = {video["id"] for one in view["classes"] for video in one["videos"]}
    assert len(shown) == MAX_VIDEOS
    assert {f"v{number}" for number in range(50)} <= shown


def test_an_ablation_is_shown_where_nothing_else_is(rows, tmp_path):
    ablated = make_row("full", protocol="ablation-fusion", feature_set="bbbbbbbbbbbb")
    plain, ablated = (keep(tmp_path, row, ["a"], ["a"]) for row in (rows[0], ablated))
    (table,) = answer_tables(tmp_path, measurements([plain, ablated]))
    assert table.systems == ["clip"]
    (table,) = answer_tables(tmp_path, measurements([ablated]))
    assert table.systems == ["full"]


def test_levers_come_behind_plain_scores(tmp_path):
    rows = [
        keep(tmp_path, make_row("clip", lever="mutual-softmax"), ["a", "b"], ["a", "b"]),
        keep(tmp_path, make_row("clip"), ["a", "b"], ["a", "a"]),
    ]
    (table,) = answer_tables(tmp_path, measurements(rows))
    assert (table.systems, table.num_plain) == (["clip", "clip, mutual-softmax"], 1)
    assert table.is_right().tolist() == [[True, True], [False, True]]


def test_answers_of_another_score_are_not_shown_beside_a_row(rows, tmp_path):
    first = keep(tmp_path, rows[0], ["a", "b"], ["a", "a"])
    # The same setting again, as much of it right.
    again = keep(tmp_path, rows[0], ["a", "b"], ["b", "b"])
    assert answer_tables(tmp_path, measurements([first])) == []
    assert len(answer_tables(tmp_path, measurements([again]))) == 1


def test_every_class_has_some_of_the_videos_that_are_shown(rows, tmp_path, monkeypatch):
    monkeypatch.setattr("reports.page.class_view.MAX_VIDEOS", 4)
    labels, predicted = ["a"] * 9 + ["b"] * 3, ["b"] * 9 + ["b", "b", "a"]
    kept = keep(tmp_path, rows[0], labels, predicted)
    (view,) = class_views(tmp_path, answer_tables(tmp_path, measurements([kept])))
    shown = {one["name"]: [video["id"] for video in one["videos"]] for one in view["classes"]}
    assert shown == {"a": ["v0", "v1"], "b": ["v11", "v9"]}
    assert view["more"] == 8


def test_draws_come_behind_what_is_drawn_once(tmp_path):
    rows = [make_row("clip", shots=1, seed=0, protocol="few-shot"), make_row("clip")]
    rows = [keep(tmp_path, row, ["a"], ["a"]) for row in rows]
    titles = [table.title for table in answer_tables(tmp_path, measurements(rows))]
    assert titles == ["shapes, test", "shapes, test, 1 shot, seed 0"]
