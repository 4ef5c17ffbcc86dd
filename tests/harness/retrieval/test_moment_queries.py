"""Query files of benchmarks, as they are published and as they are not."""

import json

import numpy as np
import pytest

from harness.retrieval.moments.moment_queries import read_moment_queries
from harness.retrieval.moments.moment_videos import FoundVideo, find_videos
from tests.support import video_table
from vifistore.errors import UsageError
from vifistore.store.dataset import write_videos
from vifistore.store.store import create_store

# A line of highlight_val_release.jsonl in its form.
LINE = {
    "qid": 7803,
    "query": "Man in gray top walks from outside to inside.",
    "duration": 150,
    "vid": "RoripwjYFp8_360.0_510.0",
    "relevant_clip_ids": [13, 14],
    "saliency_scores": [[4, 4, 2], [3, 4, 2]],
    "relevant_windows": [[26, 30]],
}
CHARADES = "3MSZA 24.3 30.4##person turn a light on.\nAMT7R 0.0 5.1##a person opens a door.\n"
ACTIVITYNET = {
    "v_uqiMw7tQ1Cc": {
        "duration": 55.15,
        "timestamps": [[0.28, 55.15], [13.79, 60.0], [9, 3]],
        "sentences": [" A weight lifting tutorial is given.", "The coach helps.", "Nothing."],
    }
}


def written(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_qvhighlights(tmp_path):
    lines = json.dumps(LINE) + "\n" + json.dumps({**LINE, "qid": 1, "relevant_windows": []}) + "\n"
    found = read_moment_queries(written(tmp_path, "val.jsonl", lines))
    assert (found.benchmark, found.num_empty) == ("qvhighlights", 1)
    (query,) = found.queries
    assert (query.qid, query.video, query.duration) == (7803, LINE["vid"], 150.0)
    assert query.text == LINE["query"]
    assert query.windows.tolist() == [[26.0, 30.0]]
    assert query.saliency == {13: (4, 4, 2), 14: (3, 4, 2)}


def test_what_no_reader_sees_is_left_out_of_sentences(tmp_path):
    lines = [
        {**LINE, "query": "\ufeffa\u200bman \x1b[2J\ud800\n runs"},
        {**LINE, "qid": 2, "query": " "},
    ]
    text = "\n".join(map(json.dumps, lines))
    found = read_moment_queries(written(tmp_path, "val.jsonl", text))
    assert [query.text for query in found.queries] == ["a man [2J runs"]
    assert found.num_empty == 1


def test_charades(tmp_path):
    found = read_moment_queries(written(tmp_path, "charades_sta_test.txt", CHARADES))
    assert found.benchmark == "charades-sta"
    assert [q.video for q in found.queries] == ["3MSZA", "AMT7R"]
    assert found.queries[0].text == "person turn a light on."
    assert found.queries[0].windows.tolist() == [[24.3, 30.4]]
    assert found.queries[1].saliency is None


def test_activitynet_ends_with_its_videos(tmp_path):
    found = read_moment_queries(written(tmp_path, "val_1.json", json.dumps(ACTIVITYNET)))
    assert (found.benchmark, found.num_empty) == ("activitynet-captions", 1)
    assert found.queries[0].text == "A weight lifting tutorial is given."
    assert [q.windows.tolist() for q in found.queries] == [[[0.28, 55.15]], [[13.79, 55.15]]]


WRONG = {
    "a test split": json.dumps({k: v for k, v in LINE.items() if k != "relevant_windows"}),
    "no qid": json.dumps({**LINE, "qid": True}),
    "twice": json.dumps(LINE) + "\n" + json.dumps(LINE),
    "a long video": json.dumps({**LINE, "duration": 1e12}),
    "no duration": json.dumps({**LINE, "duration": "NaN"}),
    "a clip outside": json.dumps({**LINE, "relevant_clip_ids": [13, 75]}),
    "a clip that is large": json.dumps({**LINE, "relevant_clip_ids": [13, 10**30]}),
    "scores of two": json.dumps({**LINE, "saliency_scores": [[4, 4], [3, 4]]}),
    "fewer scores": json.dumps({**LINE, "saliency_scores": [[4, 4, 2]]}),
    "no window": json.dumps({**LINE, "relevant_windows": [[1, 2], [3]]}),
    "words as windows": json.dumps({**LINE, "relevant_windows": "words"}),
    "a window that is large": json.dumps({**LINE, "relevant_windows": [[0, 10**400]]}),
    "infinite": json.dumps({**LINE, "relevant_windows": [[0, float("inf")]]}),
    "only empty": json.dumps({**LINE, "relevant_windows": [[9, 3]]}),
    "no letter": json.dumps({**LINE, "query": "\ud800 "}),
    "no sentence": json.dumps({**LINE, "query": 5}),
    "a terminal's": json.dumps({**LINE, "vid": "\x1b[2J"}),
    "a long name": json.dumps({**LINE, "vid": "a" * 300}),
    "no video": json.dumps({**LINE, "vid": ""}),
    "a long sentence": json.dumps({**LINE, "query": "long " * 1000}),
    "a list": "[1, 2]",
    "cut short": json.dumps(LINE) + '\n{"qid": 5',
    "deep": '{"a":' * 100_000,
    "digits": '{"qid": ' + "9" * 10_000 + "}",
    "no times": "3MSZA ##person.",
    "words as times": "3MSZA a b##person.",
    "nothing": "",
    "a picture": b"\x89PNG\r\n\x1a\n\x00\xff",
    "activitynet of a word": json.dumps({"v_a": "word"}),
    "activitynet without times": json.dumps({"v_a": {"duration": 3, "sentences": ["a"]}}),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_query_file_is_refused_in_one_line(tmp_path, what):
    path = written(tmp_path, "queries", WRONG[what])
    with pytest.raises(UsageError) as found:
        read_moment_queries(path)
    message = str(found.value)
    assert len(message) < 400
    assert message.isprintable()
    assert "published" in message or "give a query file" in message or "QVHighlights" in message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        read_moment_queries(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="cannot be read"):
        read_moment_queries(tmp_path)


def dataset_of(folder, paths, ids=None):
    dataset = create_store(folder / "S.zarr").new_dataset("d")
    table = video_table(len(paths), []).assign(path=paths, id=ids or paths)
    write_videos(dataset, table, [], "/videos")
    return dataset


INF = float("inf")


def test_videos_are_found_by_file_name_id_and_times(tmp_path):
    paths = [
        *("clips/3MSZA.mp4", "a/RoripwjYFp8_360.0_510.0.mp4", "b/abc_000060_000210.mkv"),
        *("whole/XYZ_1.mp4", "v_anet.mp4", "x.webm"),
    ]
    dataset = dataset_of(tmp_path, paths, ids=[*paths[:5], "by id"])
    wanted = {
        "3MSZA": FoundVideo(paths[0]),
        "RoripwjYFp8_360.0_510.0": FoundVideo(paths[1]),
        "abc_60.0_210.0": FoundVideo(paths[2]),
        "XYZ_1_60.0_210.0": FoundVideo(paths[3], 60, 210),
        "anet": FoundVideo(paths[4]),
        "by id": FoundVideo(paths[5]),
    }
    assert find_videos(dataset, [*wanted, "nobody", "v_nobody_1.0_2.0"]) == wanted


def test_rows_of_one_file_are_one_video_and_two_files_are_not(tmp_path):
    dataset = dataset_of(tmp_path, ["a/x.mp4", "a/x.mp4", "b/y.mp4", "c/y.avi"], list("1234"))
    assert find_videos(dataset, ["x"]) == {"x": FoundVideo("a/x.mp4", 0.0, INF)}
    with pytest.raises(UsageError, match=r"y may be any of b/y\.mp4, c/y\.avi"):
        find_videos(dataset, ["y"])


def test_windows_are_numbers_of_one_kind(tmp_path):
    found = read_moment_queries(written(tmp_path, "c.txt", CHARADES))
    assert all(q.windows.dtype == np.float64 for q in found.queries)
