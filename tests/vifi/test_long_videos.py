"""Long videos from files to moments: cut into stretches, sampled by rate, searched and scored."""

import json

import numpy as np
import pytest

from tests.vifi.conftest import save_tiny
from vifi.demo.clips import class_names, draw_clip, write_mp4

# Clips of two seconds each, one after another.
_CLIPS = 10


@pytest.fixture
def films(tmp_path):
    """Folder with two films of twenty seconds, and the class of each of their clips."""
    folder, names = tmp_path / "films", class_names()
    folder.mkdir()
    shown = {}
    for number, title in enumerate(("first", "second")):
        shown[title] = [names[(7 * at + 5 * number) % len(names)] for at in range(_CLIPS)]
        clips = [
            draw_clip(name, split="test", number=at, seed=0) for at, name in enumerate(shown[title])
        ]
        write_mp4(folder / f"{title}.mp4", np.concatenate(clips))
    return folder, shown


def test_from_films_to_moments(said, tmp_path, films):
    folder, shown = films
    store, weights, out = tmp_path / "s.zarr", tmp_path / "tiny.safetensors", tmp_path / "out"
    save_tiny(weights)
    assert said("scan", store, folder, "--dataset", "films", "--window", "6")[0] == 0
    model = ("--model", "vifi-tiny", "--pretrained", weights, "--name", "tiny")
    flags = ("--device", "cpu", "--precision", "fp32", "--workers", "1")
    code, _, errors = said("extract", store, "--dataset", "films", *model, "--fps", "2", *flags)
    assert code == 0, errors
    # A moment is one of the whole film, and so is its curve.
    code, text, errors = said("search", store, "a circle", "--frames", "--json")
    assert code == 0, errors
    hits = json.loads(text)["hits"]
    assert {hit["path"] for hit in hits} == {"first.mp4", "second.mp4"}
    for hit in hits:
        assert 0 <= hit["start_seconds"] < hit["end_seconds"] <= 2 * _CLIPS
        assert len(hit["curve"]["times"]) == 4 * _CLIPS
    queries = tmp_path / "queries.txt"
    lines = [
        f"{title} {2 * at}.0 {2 * at + 2}.0##{name}"
        for title, names in shown.items()
        for at, name in enumerate(names)
    ]
    queries.write_text("\n".join(lines))
    words = ("evaluate", store, "moment-retrieval", "--dataset", "films", "--queries", queries)
    code, text, errors = said(*words, "--results", out, "--predictions", tmp_path / "found.jsonl")
    assert code == 0, errors
    assert "(2 videos, 20 queries)" in text
    found = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert [one["query"] for one in found] == [name for names in shown.values() for name in names]
    assert all(w[1] <= 2 * _CLIPS for one in found for w in one["pred_relevant_windows"])
    assert said("report", out)[0] == 0
    assert "R1@0.5" in (out / "moment-retrieval.md").read_text()
