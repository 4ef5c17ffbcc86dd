"""`vifi classify`: videos of a store and of none, every form of answer, one line for errors."""

import csv
import io
import json
import os
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from harness.fusion import unit
from harness.softmax import softmax
from tests.vifi.conftest import save_tiny
from vifi.__main__ import run
from vifi.classifying import label_texts
from vifistore.extract.class_texts import reload_checkpoint
from vifistore.store import open_store

LABELS = ["a red run", "a blue jump", "=nothing"]
ASKED = ("--labels", ",".join(LABELS))


@pytest.fixture
def store(searchable, tmp_path) -> Path:
    """A copy of the store that texts may be kept in."""
    return shutil.copytree(searchable, tmp_path / "S.zarr")


@pytest.fixture
def model(searchable) -> tuple[str, ...]:
    """Flags by which files are encoded as the store's were."""
    weights = searchable.parent / "tiny.safetensors"
    sampled = ("--num-frames", "4", "--precision", "fp32", "--device", "cpu", "--workers", "1")
    return ("--model", "vifi-tiny", "--pretrained", str(weights), *sampled)


def predictions(document: dict, root: Path = Path()) -> dict[str, dict[str, float]]:
    """Probabilities by the name of a video below a folder, and by label."""
    return {
        Path(video["id"]).relative_to(root).as_posix(): {
            found["label"]: found["probability"] for found in video["predictions"]
        }
        for video in document["videos"]
    }


def test_probabilities_are_the_softmax_over_the_labels(said, store):
    code, out, _ = said("classify", store, *ASKED, "--json")
    assert code == 3
    opened = open_store(store)
    features = opened.features("d", "tiny")
    loaded = reload_checkpoint(opened.checkpoint(features.checkpoint))
    prompts = [f"a photo of a {label}." for label in LABELS]
    cosines = unit(features.read("view_mean")[:, 0]) @ unit(loaded.text_side.encode(prompts)).T
    expected = softmax(cosines * np.float32(loaded.logit_scale))
    videos = json.loads(out)["videos"]
    assert [video["id"] for video in videos] == list(opened.videos("d")["id"])
    answered = 0
    for video, wanted in zip(videos, expected, strict=True):
        if video["state"] == "quarantined":
            assert (video["reason"], video["predictions"]) == ("not a video", [])
            continue
        answered += 1
        found = {p["label"]: p["probability"] for p in video["predictions"]}
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert [found[label] for label in LABELS] == pytest.approx(wanted.tolist(), abs=1e-4)
        assert sum(found.values()) == pytest.approx(1)
    assert answered == 10


def test_files_of_no_store_get_the_very_numbers(said, store, model, monkeypatch):
    folder, temporary = store.parent / "videos", store.parent / "temporary"
    shutil.copytree(open_store(store).dataset("d").root(), folder)
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    _, out, _ = said("classify", store, *ASKED, "--json")
    code, loose, told = said("classify", folder, folder / "alone.mp4", *model, *ASKED, "--json")
    assert code == 3
    assert predictions(json.loads(loose), folder) == predictions(json.loads(out))
    assert "broken.mp4" in told
    # Nothing stays behind.
    assert list(temporary.iterdir()) == []


def test_random_weights_are_told_once_a_call(capsys, searchable):
    words = [str(searchable.parent / "videos" / "blue jump" / "0.mp4")]
    words += ["--model", "vifi-tiny", "--pretrained", "none"]
    words += ["--num-frames", "2", "--device", "cpu", "--workers", "1", "--labels", "a,b"]
    for _ in range(2):
        run(["classify", *words])
        assert capsys.readouterr().err.count("gets RANDOM weights") == 1


def test_texts_that_follow_a_video_are_made_for_files_of_no_store(said, store, tmp_path):
    """X-CLIP's, whose cosines the store form takes from kept tokens."""
    weights = tmp_path / "x-clip.safetensors"
    save_tiny(weights, system={"name": "x-clip", "frames": 2, "mit_layers": 1, "prompt_layers": 2})
    model = ("--model", "vifi-tiny", "--pretrained", weights, "--precision", "fp32")
    extracted = (*model, "--keep-tokens", "--name", "x", "--device", "cpu", "--workers", 1)
    assert said("extract", store, "--dataset", "d", *extracted)[0] == 3
    kept = said("classify", store, "--features", "x", *ASKED, "--json")[1]
    root = open_store(store).dataset("d").root()
    loose = said("classify", root, *model, *ASKED, "--json")[1]
    found = predictions(json.loads(loose), root)
    assert found == predictions(json.loads(kept))
    assert sum(found["alone.mp4"].values()) == pytest.approx(1)


def test_a_file_that_is_no_video_gets_its_line(said, store, model):
    broken = store.parent / "notes.mp4"
    broken.write_text("no video")
    code, out, _ = said("classify", broken, *model, *ASKED)
    assert (code, out) == (3, f"{broken}  quarantined: not a video\n")


def test_moments_have_times_and_cover_the_video(said, store):
    many = ("--labels", "water,a dog,night,two hands,snow,a ball,red,nothing at all", "--frames")
    _, out, _ = said("classify", store, *many, "--format", "json")
    videos = json.loads(out)["videos"]
    assert any(len(video["moments"]) > 1 for video in videos)
    for video in videos:
        moments = video["moments"]
        best = [moment["predictions"][0]["label"] for moment in moments]
        assert all(one != other for one, other in pairwise(best))
        edges = [(moment["start_seconds"], moment["end_seconds"]) for moment in moments]
        assert all(end == start for (_, end), (start, _) in pairwise(edges))
        assert bool(moments) == (video["state"] == "done")
        assert not moments or edges[0][0] == 0
    _, out, _ = said("classify", store, *many)
    assert " s  " in out


def test_a_cell_that_a_spreadsheet_would_run_is_marked(said, store):
    _, out, _ = said("classify", store, *ASKED, "--format", "csv", "--top", 9)
    header, *rows = csv.reader(io.StringIO(out))
    assert header == [
        *("id", "path", "state", "reason"),
        *("top_1", "probability_1", "top_2", "probability_2", "top_3", "probability_3"),
    ]
    labels = {cell for row in rows for cell in row[4::2]}
    assert "'=nothing" in labels
    assert "=nothing" not in labels
    (bad,) = (row for row in rows if row[2] == "quarantined")
    assert bad[4:] == [""] * 6


def test_texts_are_encoded_once(said, store, monkeypatch):
    said("classify", store, *ASKED)
    kept = {texts["id"] for texts in open_store(store).find_texts(class_names=LABELS)}
    assert len(kept) == 1

    def refuse(*_: object) -> None:
        raise AssertionError("the texts are in the store")

    monkeypatch.setattr(label_texts, "plain_text_tower", refuse)
    code, out, _ = said("classify", store, "--labels", ",".join(LABELS), "--top", 1)
    assert code == 3
    assert "a blue jump" in out


def test_a_store_that_cannot_be_written_answers_the_same(said, store, monkeypatch):
    def refuse(*_: object, **options: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(label_texts, "open_store", refuse)
        code, out, told = said("classify", store, *ASKED)
    assert code == 3
    assert "not kept" in told
    assert open_store(store).find_texts(class_names=LABELS) == []
    assert said("classify", store, *ASKED)[1] == out


def test_labels_of_a_file_and_of_the_dataset(said, store, tmp_path):
    names = ["blue jump", "red run"]
    (tmp_path / "list.csv").write_text("id,name\n1,red run\n0,blue jump\n")
    _, of_file, _ = said("classify", store, "--labels", tmp_path / "list.csv", "--json")
    _, of_dataset, _ = said("classify", store, "--json")
    assert json.loads(of_file) == json.loads(of_dataset)
    assert json.loads(of_file)["labels"] == names


def test_names_that_would_steer_a_terminal_are_shown_harmless(said, store):
    _, out, _ = said("classify", store, "--labels", "a,b\x1b[31m")
    assert "\x1b" not in out
    assert "b?[31m" in out


def test_videos_that_are_to_do_are_told(said, searchable, model, tmp_path):
    small = tmp_path / "T.zarr"
    said("scan", small, searchable.parent / "videos", "--dataset", "d")
    code, _, told = said("classify", small, *ASKED)
    assert (code, "vifi extract" in told) == (2, True)
    said("extract", small, "--dataset", "d", *model[:4], "--frames", 2, "--limit", 2, *model[8:])
    code, out, told = said("classify", small, *ASKED, "--json")
    assert code == 0
    states = [video["state"] for video in json.loads(out)["videos"]]
    assert sorted(states) == ["done"] * 2 + ["to do"] * 9
    assert "9 videos are not encoded yet" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--top", "0"], "--top is 0"),
        (["--labels", ""], "--labels is empty"),
        (["--labels", "one"], "only the label 'one'"),
        (["--labels", "a,,b"], "label 2 of 3 is empty"),
        (["--labels", "a,b,a"], "'a' is given twice"),
        (["--labels", "Dog,dog,cat"], "'Dog' and 'dog' are one and the same to this model"),
        (["--labels", "a_b,a b", "--class-names", "spaces"], "would both become 'a b'"),
        (["--labels", "missing.txt"], "missing.txt cannot be read"),
        (["--labels", "a,\udcff"], "is not UTF-8"),
        (["--json", "--format", "csv"], "--json and --format csv"),
        (["--dataset", "nope"], "unknown dataset 'nope'"),
        (["--features", "nope"], "'nope'"),
        (["--num-frames", "3"], "--num-frames has no meaning"),
        (["--device", "cpu"], "--device has no meaning"),
        (["--template", "no place"], "must hold exactly one {}"),
        (["--pretrained", "none"], "--pretrained needs the --model"),
        (["--model", "vifi-tiny", "--pretrained", "none"], "--labels a,b,c"),
        (["--model", "vifi-tiny", "--pretrained", "none", *ASKED], "is a store"),
    ],
)
def test_what_cannot_be_is_one_line(said, searchable, words, told):
    code, out, error = said("classify", searchable, *words)
    assert (code, out) == (2, "")
    last = error.splitlines()[-1]
    assert told in last
    assert len(last) < 400


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("gone.mp4", "does not exist"),
        ("empty", "holds no video"),
        ("pipe", "is no video file"),
        ("8", "--num-frames 8"),
        ("https://host/a.mp4", "lies on a server"),
        ("s3://b/a.mp4?sig=hush", "holds a query"),
    ],
)
def test_what_is_no_video_is_one_line(said, model, tmp_path, monkeypatch, source, told):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    os.mkfifo("pipe")
    code, _, error = said("classify", source, *model, *ASKED)
    assert code == 2
    assert told in error


def test_a_video_without_a_model_says_what_it_needs(said):
    code, _, error = said("classify", "a.mp4", "b.mp4", *ASKED)
    assert code == 2
    assert "--model M --pretrained P" in error


def test_embeddings_of_elsewhere_have_no_words(said, tmp_path):
    np.save(tmp_path / "f.npy", np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32))
    (tmp_path / "l.csv").write_text("id,label\na,x\nb,y\nc,x\nd,y\n")
    table = ("--format", "npy", "--dataset", "u", "--name", "m", "--table", tmp_path / "l.csv")
    assert said("import", tmp_path / "N.zarr", tmp_path / "f.npy", *table)[0] == 0
    code, _, error = said("classify", tmp_path / "N.zarr")
    assert code == 2
    assert "has no text tower" in error


def test_weights_that_are_gone_are_told(said, store, tmp_path):
    save_tiny(tmp_path / "w.safetensors", seed=3)
    folder = tmp_path / "one"
    folder.mkdir()
    shutil.copy(open_store(store).dataset("d").root() / "alone.mp4", folder)
    flags = ("--model", "vifi-tiny", "--pretrained", tmp_path / "w.safetensors", "--frames", 2)
    said("scan", tmp_path / "G.zarr", folder, "--dataset", "d")
    said("extract", tmp_path / "G.zarr", "--dataset", "d", *flags, "--workers", 1)
    (tmp_path / "w.safetensors").unlink()
    code, _, error = said("classify", tmp_path / "G.zarr", *ASKED)
    assert code in (1, 2)
    assert "w.safetensors" in error
