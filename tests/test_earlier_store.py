"""A store that commit f4cdef4 made opens, verifies, scores as it did there, and grows.

tests/data/README.md says how it was made.
"""

import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.docs import format_reader
from tests.test_house import ROOT
from tests.vifistore.extract.conftest import write_clip
from vifi.__main__ import run
from vifistore.frames.decoders.decoding import decoder_version
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.registry import model_config
from vifistore.models.skeletons import new_model
from vifistore.store import open_store
from vifistore.store.schema import FEATURE_ARRAYS

ARCHIVE = ROOT / "tests" / "data" / "store-f4cdef4.tar.xz"

# Top-1 with the ends of its interval, from results.jsonl of the demo that made the store.
SCORES = {
    ("vanilla-clip", "embedding"): (35 / 192, 25 / 192, 46 / 192),
    ("vanilla-clip", "decision"): (35 / 192, 25 / 192, 46 / 192),
    ("vanilla-clip", "image"): (33 / 192, 23 / 192, 44 / 192),
    ("text-ft", "embedding"): (64 / 192, 51 / 192, 76 / 192),
    ("text-ft", "decision"): (65 / 192, 52 / 192, 0.401171875),
    ("text-ft", "image"): (43 / 192, 31 / 192, 54 / 192),
}
# Feature set of the dataset `few`, sealed with five videos.
FEW, NUM_FEW = "d34389b4a4ee", 5
MANIFEST = "8e4f3df501a7f7f7bd14918e4b4d5f91774b28b0def61f5798a1fc032f0c8cdc"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """Folder of the store and of its few videos; read it only."""
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def earlier(unpacked, tmp_path) -> Path:
    """A copy of the store, to be written in; its videos are not where they were."""
    shutil.copytree(unpacked / "few", tmp_path / "few")
    return Path(shutil.copytree(unpacked / "store.zarr", tmp_path / "store.zarr"))


def digests_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, by its path below the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()) for p in files}
    return {name: digest.hexdigest() for name, digest in found.items()}


def draw_weights(path: Path) -> None:
    """The weights that the few videos were encoded with; numpy's generator keeps its numbers."""
    draw, state = np.random.default_rng(0), {}
    for key, value in sorted(new_model("vifi-tiny", 0).state_dict().items()):
        numbers = draw.normal(scale=0.1, size=tuple(value.shape)).astype(np.float32)
        state[key] = torch.from_numpy(np.asarray(numbers))
    state["logit_scale"] = torch.tensor(3.0)
    config = model_config("vifi-tiny")
    told = {"model": "vifi-tiny", "name": "drawn", "step": 0, "parent": "", "settings": {}}
    save_checkpoint(path, state, CheckpointHeader(config=config, **told))


def test_it_opens_and_verifies_and_stays_as_it_is(unpacked, capsys):
    folder = unpacked / "store.zarr"
    before = digests_of(folder)
    assert run(["verify", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "problems": []}
    assert run(["info", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["datasets"].keys() == {"few", "shapes"}
    (shapes,) = told["datasets"]["shapes"]["features"]
    assert set(shapes["names"]) == {"vanilla-clip", "text-ft"}
    assert (shapes["videos"], shapes["done"]) == (192, 192)
    (few,) = told["datasets"]["few"]["features"]
    assert (few["id"], few["done"], few["quarantined"]) == (FEW, 4, 1)
    assert digests_of(folder) == before


@pytest.mark.parametrize("name", ["vanilla-clip", "text-ft"])
def test_it_scores_as_it_did(unpacked, name, capsys):
    words = ["evaluate", str(unpacked / "store.zarr"), "zero-shot", "--dataset", "shapes"]
    # The texts of that demo; of themselves those are taken now that a checkpoint was trained with.
    words += ["--features", name, "--split", "test", "--template", "a photo of a {}.", "--json"]
    assert run([*words, "--fusion", "embedding", "decision", "image"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    found = {
        (name, row["fusion"]): (row["value"], row["ci_low"], row["ci_high"])
        for row in rows
        if row["metric"] == "top1"
    }
    assert found == {
        key: pytest.approx(values, abs=1e-12) for key, values in SCORES.items() if key[0] == name
    }


def test_the_reader_of_the_page_reads_it(unpacked):
    folder = unpacked / "store.zarr"
    path = format_reader.find_features(folder, "few", "drawn")
    sealed = format_reader.metadata(path)["attributes"]["sealed"]
    assert sealed == {"rows": NUM_FEW, "manifest": MANIFEST}
    assert format_reader.manifest(path, NUM_FEW) == MANIFEST
    assert len(format_reader.read_table(folder / "videos" / "shapes")["id"]) == 192


def test_it_grows_and_what_was_there_keeps_its_bytes(earlier, tmp_path, capsys):
    recipe = open_store(earlier).features("few", "drawn").recipe
    if recipe["decoder_version"] != decoder_version(recipe["decoder"]):
        pytest.skip("a decoder of another version makes another set")
    before = digests_of(earlier)
    old = open_store(earlier).features("few", "drawn")
    kept = {name: old.read(name) for name in FEATURE_ARRAYS}
    videos = tmp_path / "few"
    write_clip(videos / "run" / "5.mp4", seed=5)
    write_clip(videos / "jump" / "4.mp4", seed=4)
    draw_weights(tmp_path / "drawn.safetensors")
    store = str(earlier)
    assert run(["relocate", store, "--dataset", "few", "--root", str(videos)]) == 0
    assert run(["scan", store, str(videos), "--dataset", "few", "--append"]) == 0
    # 3: the file that is no video is still quarantined.
    extract = ["extract", store, "--dataset", "few", "--model", "vifi-tiny", "--pretrained"]
    extract += [str(tmp_path / "drawn.safetensors"), "--frames", "4", "--precision", "fp32"]
    assert run([*extract, "--device", "cpu", "--workers", "1", "--name", "drawn"]) == 3
    assert "2 encoded" in capsys.readouterr().out
    grown = open_store(earlier).features("few", "drawn")
    assert (grown.id, grown.sealed["rows"]) == (FEW, NUM_FEW + 2)
    assert (grown.read("status") == [1, 1, 1, 1, 2, 1, 1]).all()
    for name, values in kept.items():
        now = grown.read(name, 0, NUM_FEW)
        assert format_reader.encoded(now) == format_reader.encoded(values), name
    assert format_reader.manifest(earlier / grown.path, NUM_FEW) == MANIFEST
    after = digests_of(earlier)
    changed = {name for name in before if after.get(name) != before[name]}
    # Of the checkpoint is now known, too, with which pixels it is used.
    record = f"checkpoints/{grown.checkpoint}/zarr.json"
    mine = tuple(f"{part}/" for part in (grown.path, "videos/few"))
    assert [name for name in sorted(changed) if not name.startswith(mine)] == [record]
    assert run(["verify", store]) == 0
