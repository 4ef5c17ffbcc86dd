"""Embeddings made elsewhere, with labels and splits from a table: everything but text works."""

import json

import numpy as np
import pytest

from harness.results import read_rows
from tests.support import video_table
from tests.vifi.conftest import save_tiny
from vifi.__main__ import run
from vifistore.models.towers import load_model
from vifistore.store import open_store
from vifistore.store.dataset import write_videos
from vifistore.store.names import set_name
from vifistore.store.store import create_store

CLASSES = ("run", "jump", "swim", "climb")
LABELS = np.arange(120) % 4
IDS = [f"clip{number:03}" for number in range(120)]
WORDS = "was made elsewhere and has no text tower"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """`features.npy` of planted classes, dimension 16, and `labels.csv`: the last 40 are tests."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    centres = random.normal(size=(4, 16))
    np.save("features.npy", centres[LABELS] + 0.7 * random.normal(size=(120, 16)))
    splits = ["train" if number < 80 else "test" for number in range(120)]
    rows = zip(IDS, LABELS, splits, strict=True)
    lines = [f"{name},{CLASSES[label]},{split}" for name, label, split in rows]
    (tmp_path / "labels.csv").write_text("\n".join(["id,label,split", *lines]))
    (tmp_path / "ids.txt").write_text("\n".join(IDS))
    return tmp_path


def vifi(line: str) -> int:
    return run(line.split())


BRING = "import N.zarr features.npy --format npy --dataset u --name mine"
SCORE = "evaluate N.zarr supervised --dataset u --features mine --split test --train-split train"


def nearest_centre(folder) -> float:
    """Share of tests nearest, by cosine, to the mean unit vector of their class."""
    vectors = np.load(folder / "features.npy")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    centres = np.stack([vectors[:80][LABELS[:80] == label].mean(axis=0) for label in range(4)])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return float(((vectors[80:] @ centres.T).argmax(axis=1) == LABELS[80:]).mean())


def test_three_commands_make_a_scored_table(folder, capsys):
    assert vifi(f"{BRING} --table labels.csv") == 0
    assert vifi(f"{SCORE} --classifier prototype --results out") == 0
    assert vifi("report out") == 0
    assert "u: 120 videos, splits train, test" in capsys.readouterr().out
    top1 = next(row for row in read_rows("out") if row.metric == "top1")
    assert top1.value == nearest_centre(folder)
    assert (top1.feature_names, top1.scored_checkpoint, top1.text_set) == (("mine",), "", "")
    assert (top1.num_videos, top1.classes) == (40, 4)
    assert top1.provenance["assumed_logit_scale"] == 100.0
    assert "| mine | " in (folder / "out" / "supervised.md").read_text()


@pytest.mark.parametrize("classifier", ["linear-probe", "prototype", "cache"])
def test_what_needs_no_text_works_by_the_given_name(folder, classifier, capsys):
    assert vifi(f"{BRING} --table labels.csv") == 0
    few = "evaluate N.zarr few-shot --dataset u --features mine --split test --train-split train"
    assert vifi(f"{SCORE} --classifier {classifier}") == 0
    assert vifi(f"{few} --classifier {classifier} --shots 1 4 --draws 2") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(" top1 ")[0] for line in said if " top1 " in line][:2] == [
        f"mine u test {classifier} embedding",
        f"mine u test 1 shots seed 0 {classifier} embedding",
    ]


def test_looking_at_it_needs_no_text(folder, capsys):
    assert vifi(f"{BRING} --table labels.csv") == 0
    capsys.readouterr()
    assert vifi("search N.zarr --like clip003 -k 5 --json") == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    vectors = np.load("features.npy")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = np.argsort(-vectors @ vectors[3])[1:6]
    assert [hit["id"] for hit in hits] == [IDS[row] for row in nearest]
    assert vifi("tsne N.zarr --features mine --method pca --out map.png") == 0
    assert vifi("index N.zarr --features mine") == 0
    assert vifi("verify N.zarr") == 0


@pytest.mark.parametrize(
    "line",
    [
        *(SCORE, f"{SCORE} --classifier tip-adapter", "search N.zarr running"),
        "evaluate N.zarr zero-shot --dataset u --features mine --split test",
        "evaluate N.zarr retrieval --dataset u --features mine --split test",
        "ablate N.zarr --dataset u --features mine --split test",
    ],
)
def test_what_needs_text_says_that_there_is_no_text_tower(folder, capsys, line):
    assert vifi(f"{BRING} --table labels.csv") == 0
    capsys.readouterr()
    assert vifi(line) == 2
    (told,) = capsys.readouterr().err.strip().splitlines()
    assert WORDS in told
    assert len(told) <= 400


def test_a_fusion_that_means_cannot_have_is_refused(folder, capsys):
    assert vifi(f"{BRING} --table labels.csv") == 0
    assert vifi(f"{SCORE} --classifier prototype --fusion decision") == 2
    assert "feature set mine of u has no view_consensus" in capsys.readouterr().err


def test_labels_may_come_later_and_keep_what_is_there(folder, capsys):
    assert vifi(f"{BRING} --ids ids.txt") == 0
    before = open_store("N.zarr").features("u", "mine").sealed
    assert vifi("import N.zarr --dataset u --table labels.csv") == 0
    store = open_store("N.zarr")
    assert store.features("u", "mine").sealed == before
    assert store.videos("u")["label"].tolist() == [CLASSES[label] for label in LABELS]
    assert store.dataset("u").splits() == ["test", "train"]
    assert store.dataset("u").split("test").rows.tolist() == list(range(80, 120))
    (folder / "other.csv").write_text("id,label,split\nclip000,jump,odd\n")
    assert vifi("import N.zarr --dataset u --table other.csv") == 0
    assert store.videos("u")["label"].iloc[0] == "run"
    odd = store.dataset("u").split("odd")
    assert (odd.rows.tolist(), [odd.class_names[label] for label in odd.labels]) == ([0], ["jump"])


def test_numbers_into_a_class_file_and_official_names(folder):
    """A list of videos finds embeddings that are called like the files, without their ending."""
    names = [f"v_Archery_g{number:02}_c01" for number in range(1, 4)]
    np.save("three.npy", np.eye(3, 16))
    (folder / "names.txt").write_text("\n".join(names))
    lines = [f"Archery/{name}.avi 1" for name in names] + ["Archery/v_Archery_g09_c01.avi 1"]
    (folder / "testlist01.txt").write_text("\n".join(lines))
    (folder / "classInd.txt").write_text("1 Archery\n2 Surfing\n")
    line = "import N.zarr three.npy --format npy --dataset a --ids names.txt"
    assert vifi(f"{line} --table testlist01.txt --labels classInd.txt") == 0
    split = open_store("N.zarr").dataset("a").split("test1")
    assert (split.rows.tolist(), split.labels.tolist()) == ([0, 1, 2], [0, 0, 0])
    assert split.class_names == ["Archery", "Surfing"]


def test_embeddings_may_come_later_than_their_table(folder):
    assert vifi("import N.zarr --dataset u --table labels.csv") == 0
    assert vifi(f"{BRING} --ids ids.txt") == 0
    assert vifi(f"{SCORE} --classifier prototype --results out") == 0
    (top1,) = [row for row in read_rows("out") if row.metric == "top1"]
    assert top1.value == nearest_centre(folder)


def test_a_table_with_ids_of_its_own_finds_videos_by_their_file_names(folder):
    np.save("one.npy", np.ones((1, 16)))
    (folder / "names.txt").write_text("v_Archery_g01_c01")
    row = "Archery/v_Archery_g01_c01.avi,x1,Archery,test"
    (folder / "own.csv").write_text(f"path,id,label,split\n{row}\n")
    assert (
        vifi("import N.zarr one.npy --format npy --dataset a --ids names.txt --table own.csv") == 0
    )
    videos = open_store("N.zarr").videos("a")
    assert (videos["id"].tolist(), videos["label"].tolist()) == (["v_Archery_g01_c01"], ["Archery"])


def test_files_that_name_their_videos_meet_the_table_by_these_names(folder):
    (folder / "each").mkdir()
    for number in range(4):
        np.save(folder / "each" / f"clip{number:03}_clip.npy", np.random.rand(3, 16))
    line = "import N.zarr each --format npy --dataset u --table labels.csv"
    assert vifi(line) == 0
    store = open_store("N.zarr")
    assert store.videos("u")["label"].tolist() == [CLASSES[number] for number in range(4)]
    assert store.features("u", "each").frames.shape == (4, 1, 3, 16)
    assert store.dataset("u").splits() == ["train"]


def test_a_dataset_that_was_scanned_keeps_its_videos_where_they_are(folder):
    store = create_store("N.zarr")
    table = video_table(3, [])
    write_videos(store.new_dataset("d"), table, [], "/videos")
    (folder / "late.csv").write_text("id,label\nv0.mp4,run\nv2.mp4,jump\n")
    assert vifi("import N.zarr --dataset d --table late.csv --split some") == 0
    assert str(store.dataset("d").root()) == "/videos"
    assert store.videos("d")["label"].tolist() == ["run", "", "jump"]
    assert store.dataset("d").split("some").rows.tolist() == [0, 2]
    assert store.videos("d")["size_bytes"].tolist() == table["size_bytes"].tolist()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import N.zarr", "--dataset"),
        ("import N.zarr --dataset u", "give PATH, the embeddings, or --table FILE"),
        ("import N.zarr features.npy --dataset u --table labels.csv", "--format is missing"),
        (f"{BRING} --table none.csv", "none.csv does not exist"),
        (f"{BRING} --table few.csv", "120 rows but --table 1 ids"),
        (f"{BRING} --ids ids.txt --table strange.csv", "names none of the videos"),
        (f"{BRING} --ids ids.txt --split some", "give it too"),
        ("import N.zarr x --format zarr --dataset u --table labels.csv", "leave --table out"),
        (f"{BRING} --table leaky.csv", "share 1 videos"),
    ],
)
def test_wrong_tables_are_one_line_and_leave_nothing(folder, capsys, line, words):
    (folder / "few.csv").write_text("id,label\nclip000,run\n")
    (folder / "strange.csv").write_text("id,label\nnobody,run\n")
    leaky = (folder / "labels.csv").read_text() + "\nclip000,run,test\n"
    (folder / "leaky.csv").write_text(leaky)
    assert vifi(line) == 2
    (told,) = capsys.readouterr().err.strip().splitlines()
    assert words in told
    assert len(told) <= 400
    assert not (folder / "N.zarr").exists()


def test_a_checkpoint_is_named_as_rows_and_tables_name_it(folder, capsys):
    """By name, by digest, or by a feature set of it."""
    save_tiny(folder / "tiny.safetensors")
    assert vifi(f"{BRING} --table labels.csv") == 0
    store = open_store("N.zarr", mode="a")
    loaded = load_model("vifi-tiny", str(folder / "tiny.safetensors"))
    digest = store.add_checkpoint(loaded.record())
    set_name(store.dataset("u"), "full", store.features("u", "mine").id, digest, force=False)
    again = BRING.removesuffix("--name mine") + " --ids ids.txt"
    for number, name in enumerate(("tiny", digest, "full")):
        assert vifi(f"{again} --name c{number} --checkpoint {name}") == 0
        assert store.features("u", f"c{number}").checkpoint == digest
    capsys.readouterr()
    assert vifi(f"{again} --name d --checkpoint none") == 2
    assert "There are: c0, c1, c2, full, tiny." in capsys.readouterr().err
    # The id alone does not say which of them is meant, and no name given is refused.
    feature_id = store.features("u", "mine").id
    assert vifi(SCORE.replace("mine", feature_id) + " --classifier prototype") == 2
    assert "is shared by several checkpoints; score it by one of" in capsys.readouterr().err
    assert vifi(f"{SCORE} --classifier prototype") == 0
