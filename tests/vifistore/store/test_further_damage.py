"""Damage to arrays beside the frames is found, and told."""

import json
import shutil

import pytest

from tests.vifistore.store.padded_set import (
    make_padded_store,
)
from vifi.__main__ import run
from vifistore.errors import DamagedError
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder of a store with such a set; read it only."""
    return make_padded_store(tmp_path_factory.mktemp("further") / "s.zarr")


@pytest.fixture
def folder(made, tmp_path):
    """A copy, to be changed."""
    return shutil.copytree(made, tmp_path / "s.zarr")


def rewrite(folder, name, change):
    """Write the first block of an array anew, with a checksum that is right."""
    store = open_store(folder, mode="a")
    path = f"{store.features('d', 'mine').path}/{name}"
    values = store.backend.read(path, 0, 64)
    change(values)
    store.backend.write_rows(0, {path: values})


def padding_counts(values):
    values[0, 0] = 4


def no_frame_counts(values):
    values[0, 0] = 0


def more_than_there_are(values):
    values[0, 0] = 5


@pytest.mark.parametrize("change", [padding_counts, no_frame_counts, more_than_there_are])
def test_wrong_counts_are_found(folder, change):
    rewrite(folder, "num_valid", change)
    found = {
        problem.where.rpartition("/")[2]: problem.what
        for problem in verify_store(open_store(folder))
    }
    assert found.keys() & {"num_valid", "view_mean"}
    assert any("row 0" in what for what in found.values())


def test_an_embedding_behind_the_last_frame_is_found(folder):
    def change(values):
        values[0, 0, 3] = 1

    rewrite(folder, "frames", change)
    found = [problem.what for problem in verify_store(open_store(folder))]
    assert any("num_valid does not go with the frames (first: row 0)" in what for what in found)


def test_tokens_are_covered_by_checksum_and_seal(folder):
    features = open_store(folder).features("d", "mine")
    chunk = folder / features.path / "tokens" / "c.0.0.0.0"
    content = bytearray(chunk.read_bytes())
    content[9] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(DamagedError, match="checksum"):
        features.read("tokens")
    assert any("tokens" in problem.where for problem in verify_store(open_store(folder)))
    shutil.rmtree(chunk.parent)
    problems = [problem.where for problem in verify_store(open_store(folder))]
    assert f"{features.path}/tokens/zarr.json" in problems


def test_other_numbers_are_not_those_that_were_sealed(folder):
    def change(values):
        values += 1

    rewrite(folder, "tokens", change)
    (problem,) = verify_store(open_store(folder))
    assert "not those that were sealed" in problem.what


def test_lost_counts_are_damage_and_not_full_counts(folder):
    features = open_store(folder).features("d", "mine")
    shutil.rmtree(folder / features.path / "num_valid")
    with pytest.raises(DamagedError):
        features.num_valid  # noqa: B018
    with pytest.raises(DamagedError):
        features.select(rows=[0], arrays=("frames",))


def test_a_store_is_described_whose_set_has_lost_an_array(folder, capsys):
    store = open_store(folder)
    shutil.rmtree(folder / store.features("d", "mine").path / "num_valid")
    assert run(["info", str(folder)]) == 0
    assert "(mine): 70 done" in capsys.readouterr().out


def edited(folder, change):
    """Change the attributes of the set."""
    path = folder / open_store(folder).features("d", "mine").path / "zarr.json"
    document = json.loads(path.read_text())
    change(document["attributes"])
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "told",
    [
        [],
        {"tokens": {"dtype": "float32"}},
        {"tokens": {"dtype": "float32", "axes": ["view", "video"]}},
        {"../up": {"dtype": "uint8", "axes": ["video", "view"]}},
        {"num_valid": {"dtype": "uint8", "axes": ["video", "view"]}},
    ],
)
def test_attributes_that_declare_no_arrays_are_damage(folder, told):
    edited(folder, lambda attributes: attributes.update(arrays=told))
    with pytest.raises(DamagedError, match="does not say what it should"):
        open_store(folder).features("d", "mine")
    assert [problem.what for problem in verify_store(open_store(folder))] != []


def test_counts_that_nothing_declares_are_found(folder):
    edited(folder, lambda attributes: attributes["arrays"].pop("num_valid"))
    found = {problem.what: problem.remedy for problem in verify_store(open_store(folder))}
    remedy = found["orphan: the set does not declare this array"]
    # The only counts that there are may be these.
    assert remedy.startswith("restore ")
    assert "zarr.json, which may have lost its `arrays`, from a copy; only if there" in remedy
