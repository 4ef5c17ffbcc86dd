"""docs/FORMAT.md is enough to read a store: a reader that knows only the page reads what we do."""

import ast
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.docs import format_reader as reader
from tests.support import block_data, plain_recipe, video_table
from tests.test_house import ROOT
from tests.vifistore.store.conftest import make_whole_store, write_all
from vifistore.store import open_store
from vifistore.store.dataset import write_videos
from vifistore.store.feature_record import FRAME_COUNTS
from vifistore.store.schema import (
    CAPTION_COLUMNS,
    FEATURE_ARRAYS,
    GROUPS,
    SPLIT_COLUMNS,
    STRETCH_COLUMNS,
    VIDEO_COLUMNS,
)
from vifistore.store.store import create_store
from vifistore.store.writer import FeatureWriter, Shape

PAGE = (ROOT / "docs" / "FORMAT.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Folder of a store; read it only."""
    return make_whole_store(tmp_path_factory.mktemp("format") / "s.zarr").path


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "s.zarr"))


def digest_of(value: object) -> str:
    """First 12 hex digits of the SHA-256 of the canonical JSON, as the page has it."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def test_the_reader_knows_the_page_alone():
    tree = ast.parse(Path(reader.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    roots = {getattr(n, "module", None) or n.names[0].name for n in imports}
    assert roots == {"hashlib", "json", "math", "struct", "pathlib", "google_crc32c", "numpy"}
    text = Path(reader.__file__).read_text(encoding="utf-8")
    docstrings = [ast.get_docstring(n) for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    code = [
        line
        for line in text.splitlines()
        if line.strip() and not line.startswith(("import", "from"))
    ]
    assert len(code) - len(docstrings) <= 60


def test_it_reads_the_tables(made):
    store = open_store(made)
    videos = reader.read_table(made / "videos" / "d")
    wanted = store.videos("d")
    assert videos.keys() == set(wanted.columns)
    for name, values in videos.items():
        np.testing.assert_array_equal(values, wanted[name])
    told = reader.metadata(made / "videos" / "d")["attributes"]
    assert told["class_names"] == store.dataset("d").class_names()
    assert Path(told["root"]) == store.dataset("d").root()
    split, found = (
        store.dataset("d").split("test"),
        reader.read_table(made / "splits" / "d" / "test"),
    )
    np.testing.assert_array_equal(found["rows"], split.rows)
    np.testing.assert_array_equal(found["labels"], split.labels)
    captions = reader.read_table(made / "captions" / "d")
    assert captions["text"].tolist() == store.dataset("d").captions()["text"].tolist()


def test_it_reads_stretches(folder):
    dataset = open_store(folder, mode="a").dataset("d")
    videos = dataset.videos().assign(start_seconds=1.5)
    write_videos(dataset, videos, dataset.class_names(), "/videos", anew=True)
    found = reader.read_table(folder / "videos" / "d")
    assert reader.metadata(folder)["attributes"]["vifistore"] == {"schema": 2}
    np.testing.assert_array_equal(found["start_seconds"], dataset.start_seconds)
    np.testing.assert_array_equal(found["end_seconds"], dataset.end_seconds)


def test_it_reads_a_feature_set_by_name(made):
    features = open_store(made).features("d", "start")
    path = reader.find_features(made, "d", "start")
    told = reader.metadata(path)["attributes"]
    assert path.name == features.id == digest_of(told["recipe"])
    rows = told["sealed"]["rows"]
    assert rows == features.num_videos == 70
    for name in FEATURE_ARRAYS:
        np.testing.assert_array_equal(reader.read_array(path / name, rows), features.read(name))
    assert reader.metadata(path / "frames")["dimension_names"] == ["video", "view", "frame", "dim"]
    assert reader.read_array(path / "status", rows).tolist().count(2) == 1
    assert reader.read_array(path / "reason", rows)[3] == "empty"


def test_it_knows_which_frames_count(tmp_path):
    store = create_store(tmp_path / "s.zarr")
    write_videos(store.new_dataset("d"), video_table(3, ["a"]), ["a"], "/videos")
    shape = Shape(video=3, view=1, frame=4, dim=2)
    recipe, further = plain_recipe().as_dict(), {"num_valid": FRAME_COUNTS}
    writer = FeatureWriter(store.dataset("d"), recipe, shape, {}, further=further)
    data = block_data(np.ones((3, 1, 4, 2)))
    data["frames"][1, 0, 3] = 0
    data["num_valid"] = np.array([[4], [3], [4]], np.uint16)
    data["view_mean"][1] = 1
    writer.write_block(0, [0, 1, 2], data)
    sealed, path = writer.seal(), store.path / writer.path
    counts = reader.counted(path, 3)
    assert counts.sum(axis=2).tolist() == [[4], [3], [4]]
    frames = reader.read_array(path / "frames", 3).astype(np.float32)
    mean = frames.sum(axis=2, where=counts[..., None]) / counts.sum(axis=2)[..., None]
    np.testing.assert_allclose(mean, reader.read_array(path / "view_mean", 3))
    assert reader.manifest(path, 3) == sealed["manifest"]


def test_every_frame_counts_where_nothing_else_is_told(made):
    path = reader.find_features(made, "d", "start")
    assert reader.counted(path, 70).shape == (70, 1, 4)
    assert reader.counted(path, 70).all()


def test_it_makes_the_manifest_anew_also_where_videos_were_added(folder):
    path = reader.find_features(folder, "d", "start")
    sealed = reader.metadata(path)["attributes"]["sealed"]
    assert reader.manifest(path, sealed["rows"]) == sealed["manifest"]
    write_all(open_store(folder, mode="a"), num_videos=100)
    assert reader.metadata(path / "frames")["shape"][0] == 100
    assert reader.metadata(path)["attributes"]["sealed"] == sealed
    assert reader.manifest(path, sealed["rows"]) == sealed["manifest"]
    assert reader.manifest(path, 100) != sealed["manifest"]


def test_it_reads_checkpoints_and_texts(made):
    store = open_store(made)
    (record,), (texts,) = store.checkpoints(), store.find_texts()
    told = reader.metadata(made / "checkpoints" / record["digest"])["attributes"]
    towers = {"image": told["image_digest"], "text": told["text_digest"]}
    assert digest_of({**towers, "logit_scale": told["logit_scale"]}) == record["digest"]
    kept = reader.metadata(made / "texts" / texts["id"])["attributes"]
    digest = kept.pop("digests")["embeddings"]
    assert digest_of(kept) == texts["id"]
    embeddings = reader.read_array(made / "texts" / texts["id"] / "embeddings", 2)
    np.testing.assert_array_equal(embeddings, store.texts(texts["id"]).embeddings)
    header = f"float32 {list(embeddings.shape)}\n".encode()
    assert digest == hashlib.sha256(header + reader.encoded(embeddings)).hexdigest()


def test_it_notices_a_flipped_bit_and_a_swapped_column(folder):
    path = reader.find_features(folder, "d", "start") / "view_mean" / "c.1.0.0"
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        reader.read_array(path.parent, 70)
    columns = folder / "videos" / "d"
    shutil.copyfile(columns / "width" / "c.0", columns / "height" / "c.0")
    shutil.copyfile(columns / "path" / "c.0", columns / "label" / "c.0")
    with pytest.raises(ValueError, match="not what was written"):
        reader.read_table(columns)


def test_the_page_names_every_group_array_and_column():
    named = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`[^`]*`", PAGE))))
    columns = {**FEATURE_ARRAYS, **VIDEO_COLUMNS, **SPLIT_COLUMNS, **CAPTION_COLUMNS}
    columns |= STRETCH_COLUMNS
    assert {*GROUPS, *columns} - named == set()
    for name, spec in FEATURE_ARRAYS.items():
        (line,) = [
            line
            for line in PAGE.splitlines()
            if line.startswith("|") and f"`{name}`" in line.split("|")[1]
        ]
        kind = "string" if spec.dtype == "str" else spec.dtype
        assert f"{kind} [{' '.join(spec.axes)}]" in line


def test_the_page_names_every_attribute_that_is_written(made):
    for path in sorted(made.rglob("zarr.json")):
        told = json.loads(path.read_text())
        keys = set(told["attributes"]) if told["node_type"] == "group" else set()
        # Those of a run are told in words.
        if path.parent.parent.name != "runs":
            assert [key for key in keys if f"`{key}`" not in PAGE] == [], path
