"""Arrays that another zarr program laid out are read, verified and brought in; never given up."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr

from tests.vifistore.store.conftest import write_all
from tests.vifistore.store.test_verify import ARRAYS, evaluate, folder_of, problems
from vifi.__main__ import run
from vifistore.errors import StoreError
from vifistore.extract.repair import start_repair
from vifistore.store import open_store
from vifistore.store.schema import FEATURE_ARRAYS

WAYS = {
    # What zarr.create_array does where nothing is said: zstd, and a folder for each axis.
    "defaults": {},
    "one row a chunk": {"chunks": lambda shape: (1, *shape[1:])},
    "cut across": {"chunks": lambda shape: tuple(max(1, n // 2) for n in shape)},
    "shards": {"chunks": lambda shape: (1, *shape[1:]), "shards": lambda shape: (4, *shape[1:])},
    "keys of zarr 2": {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    "nothing compressed": {"compressors": None},
    "our own keys": {"chunk_key_encoding": {"name": "default", "separator": "."}},
}


def lay_out_anew(folder: Path, **options) -> None:
    """Have zarr write the array in a folder again in its own way."""
    values = zarr.open_array(folder, mode="r")[:]
    shutil.rmtree(folder)
    for name in ("chunks", "shards"):
        if name in options:
            options[name] = options[name](values.shape)
    if options.get("shards"):
        options["shards"] = tuple(
            -(-n // size) * size
            for n, size in zip(options["shards"], options["chunks"], strict=True)
        )
    kind = str if values.dtype.kind in "OTU" else values.dtype
    array = zarr.create_array(folder, shape=values.shape, dtype=kind, zarr_format=3, **options)
    array[:] = values


def everything(folder: Path) -> dict[str, np.ndarray]:
    """All that the reading functions give."""
    store = open_store(folder)
    features = store.features("d", "start")
    found = {f"features {name}": features.read(name) for name in FEATURE_ARRAYS}
    found |= {name: column.to_numpy() for name, column in store.videos("d").items()}
    found |= {"texts": store.texts(store.find_texts()[0]["id"]).embeddings}
    found |= {"captions": store.dataset("d").captions()["text"].to_numpy()}
    split = store.dataset("d").split("test")
    found |= {"rows": split.rows, "labels": split.labels}
    chosen = features.select(rows=[66, 2], arrays=("frames",), verify=False)
    found |= {"selected": chosen.arrays["frames"], "property": features.frames[65:]}
    return found | {f"scores {name}": values for name, values in evaluate(folder).items()}


def assert_equal(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize("way", WAYS)
def test_every_array_is_read_and_verified(whole, way):
    expected = everything(whole)
    for pattern in ARRAYS:
        lay_out_anew(folder_of(whole, pattern), **WAYS[way])
    assert problems(whole) == []
    assert_equal(everything(whole), expected)


@pytest.mark.parametrize("pattern", ARRAYS)
def test_one_array_alone(whole, pattern):
    expected = everything(whole)
    lay_out_anew(folder_of(whole, pattern))
    assert problems(whole) == []
    assert_equal(everything(whole), expected)


def test_a_group_may_have_no_attributes_and_metadata_of_its_own(whole):
    for name in ("features", "names/d"):
        path = whole / name / "zarr.json"
        document = json.loads(path.read_text())
        del document["attributes"]
        path.write_text(json.dumps(document))
    with warnings.catch_warnings():
        # It is not in the specification yet.
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(whole, zarr_format=3)
    (whole / "videos" / "d" / ".zattrs").write_text("{}")
    assert problems(whole) == []
    evaluate(whole)


def test_what_the_schema_does_not_name_is_left_alone(whole):
    group = zarr.create_group(whole / "maps" / "first", attributes={"made by": "hand"})
    group.create_array("points", shape=(4, 2), dtype="f4")[:] = 1
    zarr.create_group(whole / "maps")
    features = zarr.open_group(folder_of(whole, "features/d/*"), mode="a")
    features.create_array("optical_flow", shape=(70, 3), chunks=(7, 1), dtype="f4")[:] = 1
    assert problems(whole) == []
    assert run(["gc", str(whole), "--delete"]) == 0
    assert zarr.open_array(whole / "maps" / "first" / "points")[0, 0] == 1


@pytest.mark.parametrize("damage", ["other value", "chunk gone", "chunk torn", "stranger"])
def test_damage_to_them_is_found(whole, damage):
    folder = folder_of(whole, "features/d/*/frames")
    lay_out_anew(folder, chunks=lambda shape: (7, *shape[1:]))
    chunk = folder / "c" / "1" / "0" / "0" / "0"
    if damage == "other value":
        zarr.open_array(folder, mode="r+")[8, 0, 0, 0] += 1
    elif damage == "chunk gone":
        chunk.unlink()
    elif damage == "chunk torn":
        chunk.write_bytes(chunk.read_bytes()[:9])
    else:
        (folder / "c" / "99").mkdir()
        (folder / "c" / "99" / "0").write_text("?")
    found = problems(whole)
    assert found
    assert not any("remove" in p.remedy for p in found if damage == "stranger")


def test_a_split_that_another_program_wrote_is_not_to_be_removed(whole):
    """As it was: the split could not be read, and its folder of chunks was an orphan."""
    for name in ("rows", "labels"):
        lay_out_anew(whole / "splits" / "d" / "test" / name)
    assert (whole / "splits" / "d" / "test" / "rows" / "c" / "0").is_file()
    assert problems(whole) == []


def test_such_a_set_is_not_written_but_brought_in(whole, tmp_path, capsys):
    expected = everything(whole)
    for name in ("frames", "status", "reason"):
        lay_out_anew(folder_of(whole, f"features/d/*/{name}"))
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    with pytest.raises(StoreError, match=r"another program.*: vifi import NEW.zarr .* --dataset d"):
        write_all(open_store(whole, mode="a"))
    feature_id = folder_of(whole, "features/d/*").name
    values = zarr.open_array(folder_of(whole, "features/d/*/view_mean"), mode="r+")
    old = values[3:5]
    values[4] += 1
    with pytest.raises(StoreError, match="another program"):
        start_repair(open_store(whole, mode="a").dataset("d"), feature_id)
    values[3:5] = old
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before
    new = tmp_path / "NEW.zarr"
    command = ["import", str(new), str(whole), "--format", "zarr", "--dataset", "d"]
    # One video is quarantined there, too.
    assert run(command) == 3, capsys.readouterr().err
    assert problems(new) == []
    assert_equal(everything(new), expected)
    write_all(open_store(new, mode="a"), 75).seal()
    assert problems(new) == []
