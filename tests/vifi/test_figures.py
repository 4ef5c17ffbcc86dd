"""`vifi tsne`, `vifi attention` and `vifi report --store` from a store to figures and a page."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from harness.retrieval.hits import Match, VideoTable
from tests.support import video_table
from tests.vifistore.extract.conftest import scan, write_clip
from vifi.demo.clips import class_names, draw_clip, write_mp4
from vifi.searching.thumbnails_of_hits import Pictures, write_thumbnails
from vifi.searching.video_files import row_of
from vifi.verbs.attention import _draw
from vifistore.errors import UnknownNameError, UsageError
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.frame_attention import VideoAttention
from vifistore.extract.job import extract_dataset
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.prompt_learning import PromptSettings, add_prompts
from vifistore.models.registry import model_config
from vifistore.models.skeletons import new_model
from vifistore.store import open_store
from vifistore.store.dataset import write_videos
from vifistore.store.splits import Split, write_split
from vifistore.store.store import create_store

NUM_CLIPS = 8


@pytest.fixture(scope="module")
def store_path(tmp_path_factory):
    """Eight clips of two classes, under a random tiny model and the same with prompts."""
    folder = tmp_path_factory.mktemp("figures")
    for number in range(NUM_CLIPS):
        name = class_names()[number % 2]
        (folder / "v" / name).mkdir(parents=True, exist_ok=True)
        clip = draw_clip(name, split="test", number=number, seed=0)
        write_mp4(folder / "v" / name / f"{number}.mp4", clip)
    # A clip of no class.
    write_clip(folder / "v" / "lost.mp4", seed=1, num_frames=9)
    store = scan(folder / "s.zarr", folder / "v")
    prompted = new_model("vifi-tiny", 1)
    add_prompts(prompted, PromptSettings(image_prompts=3, image_depth=2, text_prompts=0), seed=0)
    models = {"plain": new_model("vifi-tiny", 0), "prompted": prompted}
    for name, clip in models.items():
        header = CheckpointHeader(
            model="vifi-tiny",
            config=model_config("vifi-tiny"),
            name=name,
            step=0,
            parent="",
            settings={},
        )
        path = folder / f"{name}.safetensors"
        save_checkpoint(path, clip.state_dict(), header)
        settings = ExtractSettings(
            model="vifi-tiny", pretrained=str(path), frames=2, precision="fp32", name=f"{name}.2f"
        )
        extract_dataset(store.dataset("d"), settings)
    return folder / "s.zarr"


@pytest.fixture
def one_format(monkeypatch):
    """Draw PNG alone: that all formats are written is seen once."""
    for module in ("figure_style", "attention_heat"):
        monkeypatch.setattr(f"reports.figures.{module}.FORMATS", ("png",))


def test_tsne_writes_three_formats_rows_and_the_pages_map(store_path, said, tmp_path):
    features = ("--features", "plain.2f", "prompted.2f")
    out = ("--out", tmp_path / "fig", "--results", tmp_path / "results")
    code, said_out, _ = said("tsne", store_path, *features, *out, "--method", "pca")
    assert code == 0
    assert "1 videos have no label" in said_out
    for suffix in (".pdf", ".svg", ".png"):
        assert (tmp_path / f"fig{suffix}").stat().st_size > 1000
    rows = pd.read_csv(tmp_path / "fig.csv")
    assert len(rows) == 2 * (NUM_CLIPS + 1)
    assert rows["label"].isna().sum() == 2
    measured = pd.read_csv(tmp_path / "fig_separation.csv")
    assert set(measured["num_videos"]) == {NUM_CLIPS}
    assert len(measured) == 2 * 3
    artefacts = tmp_path / "results" / "artefacts"
    assert (artefacts / "pca.csv").is_file()
    assert len(list((artefacts / "thumbnails" / "d").glob("*.jpg"))) == NUM_CLIPS + 1


@pytest.mark.usefixtures("one_format")
def test_tsne_of_chosen_classes(store_path, said, tmp_path):
    shared = ("tsne", store_path, "--features", "plain.2f", "--out", tmp_path / "a.png")
    assert said(*shared, "--classes", "2", "--method", "pca")[0] == 0
    assert len(pd.read_csv(tmp_path / "a.csv")) == NUM_CLIPS
    for wrong, words in {
        ("--classes", "9"): "more than the 2",
        ("--class-names", "nope"): "unknown class 'nope'",
        ("--out", tmp_path / "a.jpg"): "must end in .png, .svg, .pdf or nothing",
        ("--out", ""): "which names no file",
        ("--out", "/"): "which names no file",
        ("--out", ".."): "which names no file",
        ("--out", tmp_path / "a.png/b"): "is no folder; give another --out",
        ("--dataset", "e"): "unknown dataset 'e'",
        ("--seed", "-1"): "seed is -1",
        ("--results", tmp_path / "a.png"): "is not a folder",
    }.items():
        code, _, error = said(*shared, *wrong)
        assert (code, words in error) == (2, True), error


@pytest.mark.usefixtures("one_format")
def test_splits_drawn_together_are_not_measured(store_path, said, tmp_path):
    store = tmp_path / "s.zarr"
    shutil.copytree(store_path, store)
    rows = np.arange(NUM_CLIPS)
    names = class_names()[:2]
    split = Split(name="train", rows=rows, labels=rows % 2, class_names=names, source="", digest="")
    write_split(open_store(store, mode="a").dataset("d"), split)
    shared = ("tsne", store, "--features", "plain.2f", "--out", tmp_path / "a.png")
    measures = {}
    for flags in ((), ("--split", "train"), ("--split", "all")):
        code, out, _ = said(*shared, "--method", "pca", *flags)
        assert (code, "name one with --split (train), or all" in out) == (0, not flags)
        measures[flags] = len(pd.read_csv(tmp_path / "a_separation.csv"))
    assert list(measures.values()) == [0, 3, 3]


@pytest.mark.usefixtures("one_format")
def test_attention_of_plain_and_prompted_models_side_by_side(store_path, said, tmp_path):
    names = [f"{class_names()[0]}/0.mp4", "lost.mp4"]
    models = ("--checkpoints", "plain", "prompted.2f")
    results = tmp_path / "results"
    shared = ("attention", store_path, *models, "--frames", "3")
    code, out, _ = said(*shared, "--videos", *names, "--results", results)
    assert code == 0
    assert len(out.splitlines()) == 4
    entries = json.loads((results / "artefacts" / "attention.json").read_text())
    assert [entry["id"] for entry in entries] == names
    assert all((results / entry[key]).is_file() for entry in entries for key in ("image", "strip"))
    # The same video again takes its own place.
    assert said(*shared, "--videos", names[0], "--results", results)[0] == 0
    again = json.loads((results / "artefacts" / "attention.json").read_text())
    assert [entry["image"] for entry in again] == [entry["image"] for entry in entries]
    # Figures that lie elsewhere are copied for the page; the end of an id names a video.
    shutil.rmtree(results)
    out = ("--out", tmp_path / "elsewhere", "--results", results)
    assert said(*shared, "--videos", "lost", *out)[0] == 0
    (entry,) = json.loads((results / "artefacts" / "attention.json").read_text())
    assert entry["id"] == "lost.mp4"
    assert (results / entry["image"]).is_file()
    assert (tmp_path / "elsewhere" / (results / entry["image"]).name).is_file()


@pytest.mark.parametrize(
    ("name", "row"),
    [("a/1.mp4", 0), ("v/b/1.mp4", 1), ("b/1", 1), ("b/1.mp4", 1), ("2.x", 2), ("2.x.avi", 2)],
)
def test_a_video_is_named_by_the_end_of_its_id_or_path(name, row):
    ids = ["a/1.mp4", "b/1.mp4", "b/2.x.avi"]
    table = pd.DataFrame({"id": ids, "path": [f"v/{name}" for name in ids]})
    assert row_of(table, name, "d") == row
    with pytest.raises(UsageError, match=r"end of several videos; give one of a/1\.mp4, b/1"):
        row_of(table, "1", "d")
    with pytest.raises(UnknownNameError, match=r"unknown video of d '1\.avi'"):
        row_of(table, "1.avi", "d")


def test_wrong_calls_of_attention(store_path, said, tmp_path):
    shared = ("attention", store_path, "--out", tmp_path / "a")
    video = ("--videos", "lost.mp4")
    for wrong, words in {
        ("--checkpoints", "plain"): "--videos is missing",
        video: "--checkpoints is missing",
        (*video, "--checkpoints", "plan"): "Did you mean 'plain'?",
        ("--checkpoints", "plain", "--videos", "los.mp4"): "Did you mean 'lost.mp4'?",
        (*video, "--checkpoints", "plain", "--frames", "0"): "--frames is 0",
        ("--checkpoints", "plain", "--videos", "mp4"): "unknown video of d 'mp4'",
    }.items():
        code, _, error = said(*shared, *wrong)
        assert (code, words in error) == (2, True), error
    code, _, error = said("attention", store_path, *video, "--checkpoints", "plain")
    assert (code, "--out FOLDER" in error) == (2, True)
    assert not (tmp_path / "a").exists()


@pytest.mark.usefixtures("one_format")
def test_report_takes_origin_and_pictures_from_the_store(store_path, said, tmp_path):
    results = tmp_path / "results"
    said(
        *("tsne", store_path, "--features", "plain.2f", "--method", "pca"),
        *("--out", tmp_path / "a.png", "--results", results),
    )
    (results / "artefacts" / "thumbnails" / "d" / "0.jpg").unlink()
    scored = ("--dataset", "d", "--features", "plain.2f", "--results", results)
    assert said("evaluate", store_path, "zero-shot", *scored)[0] == 0
    assert said("report", results, "--store", store_path)[0] == 0
    page = (results / "index.html").read_text()
    assert "<h3>Checkpoints</h3>" in page
    assert "prompted.2f" in page
    assert "artefacts/thumbnails/d/0.jpg" in page
    runs = json.loads((results / "artefacts" / "throughput.json").read_text())
    num_videos = len(open_store(store_path).videos("d"))
    assert {run["frames_encoded"] for run in runs} == {2 * num_videos}
    assert all(run["encode (%)"] > 0 for run in runs)
    assert "<h3>Extractions</h3>" in page
    code, _, error = said("report", results, "--store", tmp_path / "none.zarr")
    assert (code, "there is no store" in error) == (1, True)


def test_pictures_of_videos_that_are_gone_are_left_out(store_path, tmp_path, caplog):
    store = open_store(store_path)
    gone = store.dataset("d").root() / store.videos("d")["path"][0]
    content = gone.read_bytes()
    gone.write_bytes(b"no video")
    try:
        written = write_thumbnails(store.dataset("d"), tmp_path, np.arange(3))
    finally:
        gone.write_bytes(content)
    assert list(written) == [1, 2]


@pytest.fixture
def leading_out(tmp_path):
    """A store whose table of videos names a file outside of its folder."""
    write_clip(tmp_path / "secret.mp4", seed=0)
    write_clip(tmp_path / "v" / "inside.mp4", seed=1)
    store = create_store(tmp_path / "s.zarr")
    table = video_table(2, [])
    table["path"] = ["../secret.mp4", "inside.mp4"]
    write_videos(store.new_dataset("d"), table, [], str(tmp_path / "v"))
    return store


def test_no_picture_is_drawn_of_what_is_outside_the_folder(leading_out, tmp_path, caplog):
    written = write_thumbnails(leading_out.dataset("d"), tmp_path / "out", np.arange(2))
    assert list(written) == [1]
    assert "no video in the folder of d" in caplog.text
    hit = VideoTable(leading_out.dataset("d")).hit(1, Match(0, 0.5, 0.0, 0.2))
    for is_moment in (True, False):
        assert Pictures(leading_out, tmp_path / "out").of_hit(hit, is_moment=is_moment) is None
    names = [path.name for path in (tmp_path / "out").rglob("*.jpg")]
    assert names == ["1.jpg"]


def test_no_attention_is_drawn_of_what_is_outside_the_folder(leading_out, tmp_path, said):
    call = ("attention", leading_out.path, "--checkpoints", "none", "--videos", "v0.mp4")
    code, _, error = said(*call, "--out", tmp_path / "out")
    assert (code, "no video in the folder of d" in error) == (1, True)
    assert not (tmp_path / "out").exists()


def test_a_map_of_another_store_is_left_as_it_is(leading_out, said, tmp_path):
    results = tmp_path / "results"
    (results / "artefacts").mkdir(parents=True)
    lines = ["panel,dataset,row,id,label,x,y", "p,other,0,a,b,0,0", "p,d,1,a,b,0,1"]
    lines += ["p,d,99,a,b,1,1", "p,d,,a,b,2,1"]
    (results / "artefacts" / "tsne.csv").write_text("\n".join(lines))
    # The map alone is a page.
    assert said("report", results, "--store", leading_out.path)[0] == 0
    names = [path.name for path in results.rglob("*.jpg")]
    assert names == ["1.jpg"]


def test_a_title_says_the_label_unless_the_id_begins_with_it(monkeypatch, tmp_path):
    titles = []
    for name in ("attention_overlays", "attention_strips"):
        monkeypatch.setattr(
            f"reports.figures.attention_heat.{name}", lambda *a: titles.append(a[-1])
        )
    seen = VideoAttention(frames=np.zeros(1), seconds=np.zeros(1), maps={})
    for label, name in (("run", "run/1.mp4"), ("run", "prune/1.mp4"), ("", "1.mp4")):
        _draw(tmp_path / "a", pd.Series({"label": label, "id": name}), seen)
    assert titles[::2] == ["run/1.mp4", "run: prune/1.mp4", "1.mp4"]


def test_the_picture_of_a_stretch_is_of_its_middle(tmp_path):
    (tmp_path / "v/frames").mkdir(parents=True)
    for number in range(10):
        Image.new("L", (40, 30), 25 * number).save(tmp_path / f"v/frames/{number}.png")
    store = create_store(tmp_path / "s.zarr")
    table = video_table(2, []).assign(path="frames", start_seconds=[0.0, 0.24])
    write_videos(
        store.new_dataset("d"), table.assign(end_seconds=[np.nan, 0.36]), [], str(tmp_path / "v")
    )
    written = write_thumbnails(store.dataset("d"), tmp_path / "out", np.arange(2))
    pictures = Pictures(store, tmp_path / "out2")
    hit = VideoTable(store.dataset("d")).hit(1, Match(1, 0.5))
    drawn = [tmp_path / "out" / written[0], tmp_path / "out" / written[1]]
    drawn += [tmp_path / "out2" / str(pictures.of_hit(hit, is_moment=False))]
    levels = [float(np.asarray(Image.open(path)).mean()) for path in drawn]
    assert levels == pytest.approx([125, 175, 175], abs=2)
