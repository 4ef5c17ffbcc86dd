"""`vifi search` and `vifi index`: the fixed document, every kind of query, one line for errors."""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.fusion import unit
from tests.vifi.conftest import save_tiny
from vifi.__main__ import run
from vifi.searching.query_encoders import encode_picture, text_encoder
from vifistore.extract.class_texts import reload_checkpoint
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.prompt_learning import PromptSettings, add_prompts
from vifistore.models.skeletons import new_model
from vifistore.models.towers import load_model
from vifistore.store import open_store
from vifistore.store.dataset import write_captions
from vifistore.store.splits import Split, write_split


def test_the_document_is_the_fixed_one(found, searchable):
    document = found("a red run", "-k", 3)
    assert list(document) == ["query", "features", "hits"]
    assert (document["query"], document["features"]) == ("a red run", "tiny")
    assert [hit["rank"] for hit in document["hits"]] == [1, 2, 3]
    for hit in document["hits"]:
        assert list(hit) == [
            *("rank", "score", "dataset", "id", "path", "label", "start_seconds", "end_seconds")
        ]
        assert (hit["dataset"], hit["start_seconds"]) == ("d", 0.0)
        assert hit["end_seconds"] == pytest.approx(12 / 25)


def test_scores_are_the_models_own(found, searchable):
    store = open_store(searchable)
    features = store.features("d", "tiny")
    loaded = reload_checkpoint(store.checkpoint(features.checkpoint))
    text = unit(loaded.text_side.encode(["a red run"]))[0]
    videos = unit(features.read("view_mean")[:, 0])
    expected = dict(zip(store.videos("d")["id"], videos @ text, strict=True))
    hits = found("a red run", "-k", 100)["hits"]
    # Every video but the quarantined one, the unlabelled one too.
    assert len(hits) == 10
    assert "red run/broken.mp4" not in {hit["id"] for hit in hits}
    assert "" in {hit["label"] for hit in hits}
    for hit in hits:
        assert hit["score"] == pytest.approx(expected[hit["id"]], abs=1e-5)


def test_videos_like_one_of_the_store(found):
    hits = found("--like", "red run/1.mp4", "-k", 20)["hits"]
    assert len(hits) == 9
    assert "red run/1.mp4" not in {hit["id"] for hit in hits}


def test_videos_like_a_picture(found, tmp_path):
    from PIL import Image

    picture = tmp_path / "noise.png"
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(picture)
    document = found("--image", picture, "-k", 4)
    assert document["query"] == str(picture)
    assert len(document["hits"]) == 4


def test_filters_and_moments(found, searching):
    hits = found("anything", "--label", "blue jump", "-k", 50)["hits"]
    assert {hit["label"] for hit in hits} == {"blue jump"}
    assert len(hits) == 5
    labels = ("--label", "blue jump", "--label", "red run")
    assert len(found("anything", *labels, "-k", 50)["hits"]) == 9
    # The clips are 12 frames at 25 a second.
    assert len(found("anything", "--max-seconds", 0.5, "-k", 50)["hits"]) == 10
    assert found("anything", "--min-seconds", 0.5)["hits"] == []
    moments = found("anything", "--frames", "-k", 4)["hits"]
    assert all(hit["end_seconds"] <= 12 / 25 + 1e-6 for hit in moments)
    assert any(hit["end_seconds"] - hit["start_seconds"] < 12 / 25 for hit in moments)
    _, out, _ = searching("search", "anything", "--frames", "-k", 1)
    assert " s" in out


def test_queries_from_a_file(searching, tmp_path):
    file = tmp_path / "queries.txt"
    # With and without the mark that some editors begin a file with.
    for encoding in ("utf-8", "utf-8-sig"):
        file.write_text("a red run\n\n  a jump \n", encoding=encoding)
        code, out, _ = searching("search", "--queries", file, "-k", 1, "--json")
        assert code == 0
        asked = [answer["query"] for answer in json.loads(out)["queries"]]
        assert asked == ["a red run", "a jump"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give one query"),
        (("  ",), "give one query"),
        (("words", "--like", "x"), "unknown video 'x'"),
        (("words", "-k", "0"), "-k (--k) is 0"),
        (("words", "--k", "0"), "-k (--k) is 0"),
        (("words", "--features", "tini"), "Did you mean 'tiny'"),
        (("words", "--dataset", "e"), "unknown dataset 'e'"),
        (("words", "--label", "green"), "unknown label 'green'"),
        (("words", "--index", "hnsw"), "vifi index"),
        (("\udcff red run",), "not UTF-8"),
        (("--queries", "nowhere.txt"), "give a file with a query per line"),
        (("--queries", "/"), "give a file with a query per line"),
        (("words", "--label", "red run", "--label", "green"), "unknown label 'green'"),
        (("words", "--from", "nan"), "--from is nan; give seconds"),
        (("words", "--from", "2", "--to", "1"), "give a --to behind --from"),
        (("words", "--to", "soon"), "--to"),
        (("words", "--min-seconds", "9", "--max-seconds", "3"), "exchange them"),
        (("--like", "red run/broken.mp4"), "has no embedding"),
        (("--like", "red run/9.mp4"), "unknown video"),
        (("--image", "/etc/hostname"), "not a picture"),
    ],
)
def test_wrong_calls_end_in_one_line(searching, arguments, words):
    code, out, error = searching("search", *arguments)
    assert code in (1, 2)
    assert out == ""
    assert words in error.strip().splitlines()[-1]


@pytest.mark.parametrize("flag", [("--like",), ("--image",), ()])
@pytest.mark.parametrize("secret", ["sig=5ECRET", "5ECRET"])
def test_the_secret_of_an_address_is_told_nowhere(searching, tmp_path, flag, secret):
    address = f"http://host/a.mp4?{secret}" if "=" in secret else f"https://me:{secret}@host/a.mp4"
    code, out, error = searching("search", *flag, address, "--json", "--results", tmp_path / "out")
    assert (code, out, "5ECRET" in error) == (2, "", False)
    assert "host/a.mp4" in error
    assert not (tmp_path / "out").exists()


def test_the_gallery_of_a_results_folder(searching, tmp_path):
    for _ in range(2):
        assert searching("search", "a red run", "-k", 3, "--results", tmp_path)[0] == 0
    searching("search", "--like", "red run/1.mp4", "-k", 2, "--frames", "--results", tmp_path)
    gallery = json.loads((tmp_path / "artefacts/gallery.json").read_text())
    # The second call took the place of the first.
    assert [entry["kind"] for entry in gallery] == ["text", "video-frames"]
    first, second = gallery
    # A moment is shown by what is seen in it.
    assert all("-" in Path(hit["thumbnail"]).stem for hit in second["hits"])
    commands = json.loads((tmp_path / "artefacts/commands.json").read_text())
    assert len(commands) == 1
    assert first["features"] == "tiny"
    for hit in first["hits"]:
        assert hit["is_right"] is ({"": None}.get(hit["label"], hit["label"] == "red run"))
        assert (tmp_path / hit["thumbnail"]).read_bytes()[:2] == b"\xff\xd8"
    assert (tmp_path / second["thumbnail"]).is_file()


def test_a_gallery_that_cannot_be_added_to(searching, tmp_path):
    (tmp_path / "artefacts").mkdir()
    for text in ("{", "{}", "[1]", '[{"query": "a"}]', '[{"query": []}]'):
        (tmp_path / "artefacts/gallery.json").write_text(text)
        code, _, error = searching("search", "a red run", "-k", 1, "--results", tmp_path)
        assert (code, "gallery.json" in error.splitlines()[-1]) == (1, True)
        assert (tmp_path / "artefacts/gallery.json").read_text() == text
    (tmp_path / "file").touch()
    code, out, error = searching("search", "a red run", "--results", tmp_path / "file")
    assert (code, out, "is not a folder" in error) == (2, "", True)


def test_a_search_in_words_imports_no_torch(searchable):
    program = (
        "import sys; from vifi.__main__ import run; "
        "code = run(sys.argv[1:]); "
        "sys.exit(code or ' '.join({'torch', 'pandas', 'sklearn'} & sys.modules.keys()) or 0)"
    )
    command = [sys.executable, "-c", program, "search", searchable, "a red run", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["hits"]


def test_weights_that_changed_are_refused(searchable, searching):
    weights = searchable.parent / "tiny.safetensors"
    kept = weights.read_bytes()
    try:
        save_tiny(weights, seed=1)
        code, _, error = searching("search", "a red run")
    finally:
        weights.write_bytes(kept)
    assert code == 1
    assert "not those that the store knows any more" in error


def test_the_text_half_of_other_weights_is_kept(searchable, tmp_path, caplog):
    """A checkpoint whose file NumPy cannot read is loaded once, and then from the cache."""
    record = open_store(searchable).checkpoints()[0]
    random = {**record, "weights_path": "", "names": ["random"]}
    first = text_encoder(tmp_path, random)(["a red run"])
    (kept,) = (tmp_path / "text-towers").iterdir()
    second = text_encoder(tmp_path, {**random, "names": ["gone"]})(["a red run"])
    np.testing.assert_allclose(first, second, atol=1e-5)
    usual = kept.with_name("usual")
    usual.touch()
    assert kept.stat().st_mode == usual.stat().st_mode
    usual.unlink()
    # A damaged copy is made again.
    size = kept.stat().st_size
    kept.write_bytes(b"no weights")
    np.testing.assert_array_equal(text_encoder(tmp_path, random)(["a red run"]), first)
    assert "is not used" in caplog.text
    assert kept.stat().st_size == size
    assert kept.stat().st_size < os.path.getsize(record["weights_path"])


def test_a_tower_with_learned_prompts_is_openclips(searchable, tmp_path):
    """Its words are encoded with the prompts, and nothing is kept that could not be read."""
    record = open_store(searchable).checkpoints()[0]
    prompted = tmp_path / "prompted.safetensors"
    clip = new_model("vifi-tiny", 0)
    learned = PromptSettings(image_prompts=0, image_depth=0, text_prompts=2, text_depth=1)
    add_prompts(clip, learned, seed=0)
    config = record["config"]
    header = CheckpointHeader(
        model="vifi-tiny", config=config, name="p", step=0, parent="", settings={}
    )
    save_checkpoint(prompted, clip.state_dict(), header)
    loaded = load_model("vifi-tiny", str(prompted))
    changed = {**record, "weights_path": str(prompted), "text_digest": loaded.text_digest}
    found = text_encoder(tmp_path, changed)(["a red run"])
    np.testing.assert_array_equal(found, loaded.text_side.encode(["a red run"]))
    assert not (tmp_path / "text-towers").exists()


def test_a_picture_becomes_what_the_frames_became(searchable, tmp_path):
    import torch
    from open_clip import transform
    from PIL import Image

    store = open_store(searchable)
    features = store.features("d", "tiny")
    picture = tmp_path / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(pixels).save(picture)
    checkpoint = store.checkpoint(features.checkpoint)
    found = encode_picture(features, checkpoint, picture)
    clip = reload_checkpoint(checkpoint).clip
    settings = transform.PreprocessCfg(**clip.visual.preprocess_cfg)
    prepare = transform.image_transform_v2(settings, is_train=False)
    with torch.inference_mode():
        expected = clip.encode_image(prepare(Image.open(picture))[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_a_picture_whose_end_is_not_one_is_refused(searchable, searching, tmp_path):
    """Pillow raises SyntaxError where a part of a PNG file is no part."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    start = content.index(b"IDAT")
    cut = content[: start - 4] + (100).to_bytes(4, "big") + content[start:]
    (tmp_path / "a.png").write_bytes(cut)
    code, _, error = searching("search", "--image", tmp_path / "a.png")
    assert (code, "not a picture" in error) == (2, True)


def test_a_picture_with_broken_facts_about_it_is_refused(searching, tmp_path, monkeypatch):
    from PIL import Image, ImageOps

    def fail(_: object) -> None:
        struct.pack("L", "six")

    monkeypatch.setattr(ImageOps, "exif_transpose", fail)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    code, _, error = searching("search", "--image", tmp_path / "a.jpg")
    assert (code, "not a picture" in error) == (2, True)


def test_where_nothing_is_left_to_find_that_is_said(searchable, capsys, tmp_path):
    copy = tmp_path / "copy.zarr"
    shutil.copytree(searchable, copy)
    store = open_store(copy, mode="a")
    row = store.videos("d")["id"].tolist().index("red run/broken.mp4")
    split = Split(
        name="lost",
        rows=np.array([row]),
        labels=np.array([0], np.int32),
        class_names=["red run"],
        source="test",
        digest="0",
    )
    write_split(store.dataset("d"), split)
    for flags in ((), ("--frames",)):
        assert run(["search", str(copy), "a red run", "--split", "lost", *flags]) == 0
        assert "nothing is found: none of the videos that pass --split" in capsys.readouterr().out


def test_index_prints_recall_and_latency(searching, found):
    code, out, _ = searching("index", "--kind", "hnsw", "--json")
    assert code == 0
    (document,) = json.loads(out)["indexes"]
    assert document["recall_at_10"] >= 0.95
    assert document["milliseconds"] > 0
    assert document["videos"] == 10
    pairs = zip(
        found("a red run", "--index", "hnsw")["hits"], found("a red run")["hits"], strict=True
    )
    for nearly, exact in pairs:
        assert nearly == {**exact, "score": pytest.approx(exact["score"], abs=1e-6)}
    code, out, _ = searching("index", "--kind", "flat")
    assert "recall@10 1.000" in out
    assert searching("index", "--recall", "2")[0] == 2


def test_retrieval_is_a_protocol_of_evaluate(searchable, tmp_path, capsys):
    store = tmp_path / "copy.zarr"
    shutil.copytree(searchable, store)
    weights = tmp_path / "tiny.safetensors"
    save_tiny(weights)
    captions = [(row, f"clip {row} of {row % 2}") for row in range(6)]
    write_captions(open_store(store, mode="a").dataset("d"), captions)
    command = ["evaluate", str(store), "retrieval", "--dataset", "d", "--features", "tiny"]
    assert run([*command, "--json", "--results", str(tmp_path / "out")]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["protocol"] for row in rows} == {"retrieval"}
    metrics = {row["metric"]: row for row in rows}
    assert {"mean_average_precision", "t2v_recall_at_1", "v2t_median_rank"} <= metrics.keys()
    assert metrics["t2v_recall_at_1"]["template"] == "{}"
    # Its captions were encoded for it, and are there the next time.
    assert open_store(store).find_texts(class_names=[text for _, text in captions])
    more = ("--paragraphs", "--rerank", "topk", "--normalise", "qb-norm")
    assert run([*command, *more]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert "topk-4 paragraphs, qb-norm " in line
        assert "transductive: qb-norm over 6 captions and 6 videos" in line
    assert run([*command, "--fusion", "image"]) == 2
    assert "leave out --fusion" in capsys.readouterr().err
