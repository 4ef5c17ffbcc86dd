import pandas as pd
import pytest

from harness.results.video_answers import DIGEST, VideoAnswers, answers_digest
from tests.reports.conftest import make_row
from vifistore.errors import DamagedError


def two_videos(**changes):
    """A row of the score that `answers` are of: one of its two videos is right."""
    return make_row(**{"value": 0.5, "num_videos": 2, **changes})


def answers(row, ids=("=1", "b")):
    columns = {"id": ids, "row": [4, 5], "source": [0, 0], "label": ["001", "NA"]}
    return VideoAnswers(name=row.score_name, table=pd.DataFrame({**columns, "predicted": "NA"}))


def test_what_is_written_is_read_by_any_row_of_the_score(tmp_path):
    row = two_videos()
    answers(row).write(tmp_path)
    found = VideoAnswers.read(tmp_path, two_videos(value=0.9, metric="top5"))
    assert found.table.to_dict("list") == answers(row).table.to_dict("list")
    assert VideoAnswers.read(tmp_path, two_videos(fusion="decision")) is None


def test_no_dataset_leads_out_of_the_folder(tmp_path):
    row = make_row(dataset="../../out")
    outside = tmp_path / f"out-{row.score_name.rpartition('-')[2]}.csv"
    outside.write_text("id,row,source,label,predicted\n")
    (tmp_path / "results" / "artefacts" / "answers").mkdir(parents=True)
    assert VideoAnswers.read(tmp_path / "results", row) is None


def test_a_video_stands_in_it_once(tmp_path):
    row = two_videos()
    answers(row, ("b", "b")).write(tmp_path)
    assert VideoAnswers.read(tmp_path, row).table["row"].tolist() == [4]


def test_a_file_that_is_none_is_told(tmp_path):
    row = two_videos()
    answers(row).write(tmp_path)
    (path,) = (tmp_path / "artefacts" / "answers").iterdir()
    path.write_text("id,row\nx,1\n")
    with pytest.raises(DamagedError, match="has no column source, label, predicted"):
        VideoAnswers.read(tmp_path, row)


def test_names_of_numbers_differ_where_settings_do():
    row = two_videos()
    assert row.score_name == make_row(metric="top5").score_name != make_row(seed=1).score_name
    numbers = {make_row(**change).number_name for change in ({}, {"metric": "top5"}, {"seed": 1})}
    assert len(numbers) == 3
    # Values are no part of it, nor what the set was called.
    assert make_row(value=0.9).number_name == row.number_name


@pytest.mark.parametrize("changes", [{"num_videos": 3}, {"value": 0.6}])
def test_answers_of_an_earlier_score_are_not_those_of_a_row(tmp_path, changes):
    answers(two_videos()).write(tmp_path)
    assert VideoAnswers.read(tmp_path, two_videos(), exact=True) is not None
    assert VideoAnswers.read(tmp_path, two_videos(**changes), exact=True) is None
    assert VideoAnswers.read(tmp_path, two_videos(**changes)) is not None


def test_the_digest_of_odd_names_is_that_of_what_is_read(tmp_path):
    names = ["=1", "-a", "a,b", 'he "x"', "001", "NA", "nan", "", " a ", "a\nb", "é", "'=1"]
    columns = {"id": names, "row": range(len(names)), "source": 0, "label": names}
    table = pd.DataFrame({**columns, "predicted": names[::-1]})
    told = answers_digest(table["row"], table["label"], table["predicted"])
    row = two_videos(provenance={DIGEST: told})
    VideoAnswers(name=row.score_name, table=table).write(tmp_path)
    assert VideoAnswers.read(tmp_path, row, exact=True) is not None
    other = two_videos(provenance={DIGEST: told[::-1]})
    assert VideoAnswers.read(tmp_path, other, exact=True) is None
