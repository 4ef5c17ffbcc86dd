"""Verify finds every kind of damage, names where it is, and evaluation never answers from it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.fusion import ARRAY_OF_FUSION
from harness.scoring import load_classes, load_videos, score
from tests.vifistore.store.conftest import write_all
from vifi.__main__ import run
from vifistore.errors import DamagedError, VifiError
from vifistore.store import open_store
from vifistore.store.problems import Problem
from vifistore.store.schema import (
    CAPTION_COLUMNS,
    FEATURE_ARRAYS,
    SPLIT_COLUMNS,
    VIDEO_COLUMNS,
)
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import FeatureWriter
from vifistore.store.zarr_format.chunks import manifest_digest

FEATURES = [f"features/d/*/{name}" for name in FEATURE_ARRAYS]
ARRAYS = [
    *FEATURES,
    *(f"videos/d/{name}" for name in VIDEO_COLUMNS),
    *(f"splits/d/test/{name}" for name in SPLIT_COLUMNS),
    *(f"captions/d/{name}" for name in CAPTION_COLUMNS),
    "texts/*/embeddings",
]
# What an evaluation of the split by every fusion reads.
SCORED = [
    *(f"features/d/*/{name}" for name in ("frames", "view_mean", "view_consensus", "status")),
    *(f"splits/d/test/{name}" for name in SPLIT_COLUMNS),
    "texts/*/embeddings",
]


def folder_of(store: Path, pattern: str) -> Path:
    """The one folder that a pattern names."""
    (found,) = [path for path in store.glob(pattern) if path.is_dir()]
    return found


def chunks(folder: Path, array: str) -> list[Path]:
    """Chunk files of the one array that a pattern names."""
    return sorted(folder_of(folder, array).glob("c.*"))


def flip(path: Path, position: int) -> None:
    """Flip a bit of one byte of a file."""
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 4
    path.write_bytes(bytes(data))


DAMAGE = {
    "first byte": lambda path: flip(path, 0),
    "middle byte": lambda path: flip(path, path.stat().st_size // 2),
    "checksum byte": lambda path: flip(path, -1),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
}


def problems(folder: Path) -> list[Problem]:
    """What verify finds in the store at `folder`."""
    return list(verify_store(open_store(folder)))


def evaluate(folder: Path) -> dict[str, np.ndarray]:
    """Scores of the split by every fusion."""
    store = open_store(folder)
    videos = load_videos(store.features("d", "start"), "test")
    classes = load_classes(videos.features, videos.class_names)
    return score(videos, classes, list(ARRAY_OF_FUSION))


def test_a_seal_knows_chunks_by_array_and_block():
    first, second = b"1234", b"5678"
    digest = manifest_digest({"frames": [first, second], "status": [first]})
    assert digest == manifest_digest({"status": [first], "frames": [first, second]})
    assert digest != manifest_digest({"frames": [second, first], "status": [first]})
    assert digest != manifest_digest({"frames": [first], "status": [second, first]})
    assert digest != manifest_digest({"frames": [first, second, first], "status": []})


def test_a_whole_store_is_whole(whole):
    assert problems(whole) == []
    assert all(np.isfinite(scores).all() for scores in evaluate(whole).values())


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("array", ARRAYS)
def test_damage_to_any_chunk_is_found(whole, array, damage):
    for chunk in chunks(whole, array):
        before = chunk.read_bytes()
        DAMAGE[damage](chunk)
        found = problems(whole)
        path = chunk.parent.relative_to(whole).as_posix()
        assert any(path in f"{problem.where} {problem.what}" for problem in found), found
        assert all(problem.remedy for problem in found)
        if array in FEATURES:
            assert {p.block for p in found} <= {int(chunk.name.split(".")[1]), None}
            assert any("--repair" in problem.remedy for problem in found)
        chunk.write_bytes(before)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("array", SCORED)
def test_evaluation_of_damage_fails_rather_than_answers(whole, array, damage):
    for chunk in chunks(whole, array):
        before = chunk.read_bytes()
        DAMAGE[damage](chunk)
        with pytest.raises(VifiError):
            evaluate(whole)
        chunk.write_bytes(before)
    evaluate(whole)


METADATA = sorted({*ARRAYS, *(str(Path(array).parent) for array in ARRAYS), "names/d/start"})


@pytest.mark.parametrize("path", [*METADATA, "checkpoints/*", "features", "features/d/*/runs"])
def test_a_damaged_zarr_json_is_found(whole, path):
    metadata = folder_of(whole, path) / "zarr.json"
    text = metadata.read_text()
    for wrong in (text[: len(text) // 2], "", "[]", text.replace("node_type", "mode_type")):
        metadata.write_text(wrong)
        assert any(p.where.startswith(path.split("*")[0].rstrip("/")) for p in problems(whole))
    metadata.unlink()
    assert problems(whole)


def test_a_scan_that_was_cut_short_is_run_again_and_what_is_used_restored(whole):
    (whole / "videos" / "d" / "zarr.json").unlink()

    def remedies():
        return [problem.remedy for problem in problems(whole) if problem.where == "videos/d"]

    assert all(remedy.startswith("restore ") for remedy in remedies())
    for kind in ("features", "names", "splits", "captions"):
        shutil.rmtree(whole / kind / "d", ignore_errors=True)
    (remedy,) = remedies()
    assert remedy.startswith(f"vifi scan {whole} SOURCE --dataset d, as a scan that was stopped")


def edit(path: Path, change) -> None:
    """Change the attributes in a zarr.json."""
    document = json.loads(path.read_text())
    change(document["attributes"])
    path.write_text(json.dumps(document))


EDITS = [
    ("features/d/*", lambda a: a["recipe"].update(precision="bf16"), "digest of its recipe"),
    ("features/d/*", lambda a: a.pop("recipe"), "no recipe"),
    ("features/d/*", lambda a: a["sealed"].update(manifest="0" * 64), "those that were sealed"),
    ("features/d/*", lambda a: a["sealed"].update(rows=65), "those that were sealed"),
    ("features/d/*", lambda a: a.update(quarantined=0), "0 videos are quarantined, and 1 are"),
    ("texts/*", lambda a: a.update(logit_scale=11.0), "digest of its attributes"),
    ("texts/*", lambda a: a.pop("templates"), "orphan"),
    ("checkpoints/*", lambda a: a.update(logit_scale=11.0), "digest of its towers"),
    ("names/d/start", lambda a: a.update(id="gone"), "is not there"),
    ("names/d/start", lambda a: a.update(checkpoint="gone"), "is not there"),
    ("names/d/start", lambda a: a.pop("id"), "cannot be read"),
    ("videos/d", lambda a: a.update(class_names=["run"]), "no class of the dataset"),
    ("videos/d", lambda a: a.update(rows=71), "says that it has 71 rows"),
    ("splits/d/test", lambda a: a.update(class_names=["run"]), "none of the 1 classes"),
]


@pytest.mark.parametrize(("path", "change", "words"), EDITS)
def test_attributes_that_do_not_fit_are_found(whole, path, change, words):
    edit(folder_of(whole, path) / "zarr.json", change)
    assert any(words in problem.what for problem in problems(whole)), problems(whole)


MALFORMED = [
    ("features/d/*", lambda a: a.pop("sealed")),
    ("features/d/*", lambda a: a["sealed"].pop("rows")),
    ("features/d/*", lambda a: a["sealed"].update(rows=[])),
    ("features/d/*", lambda a: a.update(quarantined=71)),
    ("features/d/*", lambda a: a.update(quarantined="1")),
    ("features/d/*", lambda a: a.update(recipe="x")),
    ("names/d/start", lambda a: a.pop("checkpoint")),
    ("names/d/start", lambda a: a.update(id=3)),
    ("checkpoints/*", lambda a: a.pop("names")),
    ("checkpoints/*", lambda a: a.pop("weights_path")),
    ("checkpoints/*", lambda a: a.update(step="x")),
    ("texts/*", lambda a: a.update(class_names=None)),
    ("videos/d", lambda a: a.pop("class_names")),
    ("videos/d", lambda a: a.update(rows=-1)),
    ("splits/d/test", lambda a: a.pop("class_names")),
    ("splits/d/test", lambda a: a.update(rows="x")),
]


@pytest.mark.parametrize(("path", "change"), MALFORMED)
def test_attributes_that_are_lost_are_told_in_a_line(whole, path, change, capsys):
    edit(folder_of(whole, path) / "zarr.json", change)
    assert any(p.where.startswith(path.rstrip("/*")) for p in problems(whole))
    assert run(["info", str(whole), "--json"]) == 1
    error = capsys.readouterr().err
    assert "zarr.json does not say" in error
    assert "vifi verify" in error


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(shape=[]),
        lambda document: document.update(shape=["x"]),
        lambda document: document["shape"].pop(),
        lambda document: document["chunk_grid"]["configuration"].update(chunk_shape=[0]),
        lambda document: document["codecs"][0].update(configuration=7),
    ],
)
@pytest.mark.parametrize("array", ["features/d/*/status", "videos/d/height", "splits/d/test/rows"])
def test_an_array_of_another_layout_is_found(whole, array, change):
    metadata = folder_of(whole, array) / "zarr.json"
    document = json.loads(metadata.read_text())
    change(document)
    metadata.write_text(json.dumps(document))
    assert any(p.where.startswith(array.split("*")[0].rstrip("/")) for p in problems(whole))


def test_a_fill_value_that_no_number_of_the_array_can_be_is_found(whole):
    metadata = folder_of(whole, "features/d/*/status") / "zarr.json"
    metadata.write_text(metadata.read_text().replace('"fill_value": 0', '"fill_value": -1'))
    assert any(p.where.endswith("status/zarr.json") for p in problems(whole))


def test_a_split_that_lost_rows_is_found(whole):
    edit(whole / "splits" / "d" / "test" / "zarr.json", lambda a: a.update(rows=60))
    assert any("60 rows of 70" in problem.what for problem in problems(whole))


def test_orphans_are_found(whole):
    features = folder_of(whole, "features/d/*")
    (features / "frames" / "c.1.0.0.abc.partial").write_bytes(b"half")
    (whole / "left.txt").write_text("?")
    shutil.copytree(features, whole / "features" / "e" / features.name)
    found = {problem.where: problem for problem in problems(whole)}
    assert "features/e" in found
    assert "no array names" in found["left.txt"].what
    assert "out of the store" in found["left.txt"].remedy
    partial = found[f"features/d/{features.name}/frames/c.1.0.0.abc.partial"]
    assert "left over" in partial.what
    assert "vifi gc" in partial.remedy


def test_views_that_do_not_fit_the_frames_are_found(whole):
    path = folder_of(whole, "features/d/*")
    backend = open_store(whole, mode="a").backend
    values = backend.read(f"features/d/{path.name}/view_mean")
    values[66] += 1e-3
    backend.write_rows(0, {f"features/d/{path.name}/view_mean": values})
    whats = [problem.what for problem in problems(whole)]
    assert any("not what the frames give (first: row 66)" in what for what in whats)
    assert any("not those that were sealed" in what for what in whats)


def test_an_unsealed_set_is_no_problem_and_its_damage_is(whole):
    path = folder_of(whole, "features/d/*")
    edit(path / "zarr.json", lambda attributes: attributes.update(sealed=None))
    (path / "status" / "c.1").unlink()
    assert problems(whole) == []
    flip(path / "frames" / "c.0.0.0.0", 5)
    (problem,) = problems(whole)
    assert problem.block == 0


def test_a_set_that_grows_stays_as_it_was_sealed(whole):
    store = open_store(whole, mode="a")
    writer = write_all(store, 75)
    assert problems(whole) == []
    writer.seal()
    assert problems(whole) == []
    flip(next((whole / writer.path / "frames").glob("c.1.*")), 9)
    assert problems(whole)


def test_growth_does_not_write_a_lost_chunk_anew(whole):
    (lost,) = whole.glob("features/d/*/frames/c.1.*")
    lost.unlink()
    with pytest.raises(DamagedError, match="is gone; run: vifi verify"):
        write_all(open_store(whole, mode="a"), 75)
    assert not lost.exists()


@pytest.mark.parametrize("name", VIDEO_COLUMNS)
def test_a_table_that_lost_a_column_is_not_read(whole, name):
    for chunk in chunks(whole, f"videos/d/{name}"):
        chunk.unlink()
    with pytest.raises(DamagedError, match="is gone; run: vifi verify"):
        open_store(whole).videos("d")


def test_growth_that_changed_a_sealed_row_is_found(whole, monkeypatch):
    store = open_store(whole, mode="a")
    chunk = FeatureWriter._chunk

    def wrong(self, name, block, rows, data):
        values = chunk(self, name, block, rows, data)
        values[1] = values[0]
        return values

    monkeypatch.setattr(FeatureWriter, "_chunk", wrong)
    write_all(store, 75)
    assert any("those that were sealed" in problem.what for problem in problems(whole))


def test_verb(whole, capsys):
    assert run(["verify", str(whole), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "problems": []}
    (chunk,) = whole.glob("features/d/*/frames/c.1.*")
    flip(chunk, 3)
    assert run(["verify", str(whole), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    (problem,) = document["problems"]
    assert problem.keys() == {"where", "what", "remedy"}
    assert problem["where"].endswith("frames/c.1.0.0.0")
    words = ("--model vifi-tiny", "--frames 4", "--precision fp32", "--repair")
    assert all(word in problem["remedy"] for word in words)
    assert run(["verify", str(whole)]) == 1
    assert "to put it right: vifi extract" in capsys.readouterr().out
