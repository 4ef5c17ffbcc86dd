"""Cached features through mteb's own video tasks, on made data, without network and decoder."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from harness.fusion import unit
from tests.vifi.made_tasks import LABELS, files_of, offline_mteb, retrieval_task, zero_shot_task
from vifi.scoring.mteb_model import CachedModel, write_videos
from vifi.searching.query_words import query_encoder
from vifistore.errors import UsageError
from vifistore.store import open_store

# A tower of random weights may take every video for one class.
pytestmark = pytest.mark.filterwarnings("ignore:Precision is ill-defined")


@pytest.fixture
def mteb(monkeypatch):
    return offline_mteb(monkeypatch)


@pytest.fixture
def zero_shot(mteb):
    """Make a zero-shot task of files."""
    return partial(zero_shot_task, mteb)


def cosines(store: Path, files: list[Path], texts: list[str]) -> np.ndarray:
    """Of videos with texts, [video text], straight from the store."""
    opened = open_store(store)
    features = opened.features("d", "tiny")
    encode = query_encoder(opened, opened.checkpoint(features.checkpoint), ("{}",))
    row = {path: number for number, path in enumerate(opened.videos("d")["path"])}
    rows = [row[str(file.relative_to(features.dataset.root()))] for file in files]
    return unit(features.read("view_mean")[rows, 0]) @ unit(encode(texts)).T


@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_zero_shot_task_is_scored_from_the_cache(mteb, zero_shot, searchable, tmp_path, as_bytes):
    files = files_of(searchable)
    model = CachedModel(open_store(searchable), "tiny")
    where = mteb.ResultCache(tmp_path)
    found = mteb.evaluate(model, zero_shot(files, as_bytes=as_bytes), cache=where)
    texts = [f"a video of {label}." for label in LABELS]
    taken = cosines(searchable, files, texts).argmax(axis=1)
    right = np.mean([LABELS[n] == f.parent.name for n, f in zip(taken, files, strict=True)])
    ((scores,),) = (result.scores["test"] for result in found.task_results)
    assert scores["accuracy"] == pytest.approx(right)
    (path,) = tmp_path.rglob("MadeZeroShot.json")
    features = open_store(searchable).features("d", "tiny")
    assert path.parts[-3] == "vifistore__tiny"
    assert path.parts[-2].startswith(f"{features.id}-")
    written = json.loads(path.read_text())
    assert written["scores"]["test"][0]["accuracy"] == pytest.approx(right, abs=1e-6)
    assert mteb.TaskResult.from_disk(path).task_name == "MadeZeroShot"


def test_results_of_other_prompts_are_not_taken_for_its_own(mteb, zero_shot, searchable, tmp_path):
    task, where = zero_shot(files_of(searchable)), mteb.ResultCache(tmp_path)
    for templates in (("{}",), ("a clip of {}",), ("{}",)):
        model = CachedModel(open_store(searchable), "tiny", templates=templates)
        mteb.evaluate(model, task, cache=where)
    assert len(list(tmp_path.rglob("MadeZeroShot.json"))) == 2


def test_a_retrieval_task_is_scored_from_the_cache(mteb, searchable):
    files = files_of(searchable)
    found = mteb.evaluate(
        CachedModel(open_store(searchable)), retrieval_task(mteb, files), cache=None
    )
    scores = cosines(searchable, files, LABELS)
    best = [files[number].parent.name for number in scores.argmax(axis=0)]
    expected = np.mean([name == label for name, label in zip(best, LABELS, strict=True)])
    (result,) = found.task_results
    assert result.scores["test"][0]["precision_at_1"] == pytest.approx(expected)


def test_videos_are_matched_by_their_bytes(zero_shot, searchable):
    files = files_of(searchable)[:3]
    task = zero_shot([files[2], files[0], files[2]])
    task.load_data()
    model = CachedModel(open_store(searchable))
    vectors = model.encode(
        Loader(task.dataset["test"]), task_metadata=task.metadata, hf_split="test", hf_subset=""
    )
    np.testing.assert_array_equal(vectors[0], vectors[2])
    expected = cosines(searchable, [files[2], files[0]], LABELS)
    texts = model._text_encoder(LABELS)
    np.testing.assert_allclose(vectors[:2] @ unit(texts).T, expected, atol=1e-6)


class Loader:
    """What of a DataLoader is asked: that its batches are not made is the point."""

    def __init__(self, dataset):
        self.dataset = dataset


def test_what_the_store_lacks_is_counted_and_can_be_added(
    mteb, zero_shot, searchable, tmp_path, said
):
    files = files_of(searchable)
    store = shutil.copytree(searchable, tmp_path / "S.zarr")
    for number, file in enumerate(files[:2]):
        copy = tmp_path / file.parent.name / f"new{number}.mp4"
        copy.parent.mkdir(exist_ok=True)
        # Bytes behind the end are no frames, and make another file.
        copy.write_bytes(file.read_bytes() + b"\0" * 8)
        files.append(copy)
    task = zero_shot(files)
    with pytest.raises(UsageError, match="lacks 2 of the 11 videos of MadeZeroShot") as caught:
        mteb.evaluate(CachedModel(open_store(store)), task, cache=None)
    assert "vifi extract" in str(caught.value)
    assert "--frames 4" in str(caught.value)
    assert write_videos(task, tmp_path / "written") == 11
    assert said("scan", store, tmp_path / "written", "--dataset", "MadeZeroShot")[0] == 0
    words = str(caught.value).split("; ")[-1].split()[1:]
    assert said(*words, "--precision", "fp32", "--device", "cpu", "--workers", 1)[0] == 0
    (result,) = mteb.evaluate(CachedModel(open_store(store)), task, cache=None).task_results
    assert result.scores["test"][0]["accuracy"] >= 0


def test_one_embedding_of_several_kinds_is_refused(zero_shot, searchable):
    task = zero_shot(files_of(searchable))
    task.load_data()
    mixed = task.dataset["test"].add_column("text", ["words"] * len(task.dataset["test"]))
    model, where = CachedModel(open_store(searchable)), {"hf_split": "test", "hf_subset": ""}
    with pytest.raises(UsageError, match="one embedding of video with text"):
        model.encode(Loader(mixed), task_metadata=task.metadata, **where)
    plain = task.dataset["test"].remove_columns("video").rename_column("label", "video")
    with pytest.raises(UsageError, match="not videos"):
        model.encode(Loader(plain), task_metadata=task.metadata, **where)


def test_without_mteb_it_says_what_to_install(searchable, monkeypatch):
    for name in ("mteb", "mteb.models", "mteb.models.model_meta"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"pip install 'vifistore\[mteb\]'"):
        CachedModel(open_store(searchable))
