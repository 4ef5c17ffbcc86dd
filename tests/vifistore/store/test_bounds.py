"""Sizes that a file only claims take neither memory nor time: one line at once."""

import json
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from tests.support import bounded
from tests.vifistore.store.test_other_programs import lay_out_anew
from tests.vifistore.store.test_verify import evaluate, folder_of, problems
from vifi.__main__ import run
from vifistore.errors import VifiError
from vifistore.store import open_store
from vifistore.store.info import describe_store, lineage
from vifistore.store.schema import FEATURE_ARRAYS

ARRAYS = [
    *(f"features/d/*/{name}" for name in ("frames", "view_mean", "status", "reason", "attempts")),
    *("videos/d/id", "videos/d/num_frames", "splits/d/test/rows", "captions/d/text"),
    "texts/*/embeddings",
]


def change(folder: Path, edit) -> None:
    path = folder / "zarr.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def attributes(**changes):
    return lambda document: document["attributes"].update(changes)


def longer(count: int):
    return lambda document: document["shape"].__setitem__(0, count)


def wider(count: int):
    def edit(document):
        document["shape"][-1] = count
        document["chunk_grid"]["configuration"]["chunk_shape"][-1] = count

    return edit


def chunked(count: int):
    def edit(document):
        document["chunk_grid"]["configuration"]["chunk_shape"][0] = count

    return edit


def read_all(folder: Path) -> None:
    store = open_store(folder)
    store.videos("d")
    store.dataset("d").captions()
    features = store.features("d", "start")
    for name in FEATURE_ARRAYS:
        features.read(name)
        features.select(rows=[3], arrays=(name,), verify=False)
    evaluate(folder)


def assert_told(folder: Path) -> None:
    """Verify ends and names something; reading ends, in one line if it cannot."""
    with bounded(seconds=60):
        found = problems(folder)
        assert found
        assert len(found) < 1000
        assert all(len(problem.what) < 400 for problem in found)
        with pytest.raises(VifiError) as caught:
            read_all(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [10**7, 10**11, 10**18])
@pytest.mark.parametrize("make", [wider, chunked])
@pytest.mark.parametrize("pattern", ARRAYS)
def test_an_absurd_shape(whole, pattern, make, count):
    change(folder_of(whole, pattern), make(count))
    assert_told(whole)


@pytest.mark.parametrize("count", [10**11, 10**18])
@pytest.mark.parametrize("group", ["videos/d", "splits/d/test", "captions/d"])
def test_a_table_that_says_it_is_long(whole, group, count):
    change(whole / group, attributes(rows=count))
    assert_told(whole)


@pytest.mark.parametrize("count", [10**11, 10**18])
@pytest.mark.parametrize("group", ["videos/d", "splits/d/test", "captions/d"])
def test_a_table_and_its_columns_say_so(whole, group, count):
    change(whole / group, attributes(rows=count))
    for column in (whole / group).iterdir():
        if column.is_dir():
            change(column, longer(count))
            change(column, chunked(count))
    assert_told(whole)


@pytest.mark.parametrize("count", [10**11, 10**18])
def test_a_set_that_says_it_was_sealed_long(whole, count):
    features = folder_of(whole, "features/d/*")
    change(features, attributes(sealed={"rows": count, "manifest": "0" * 64}))
    assert_told(whole)
    for name in FEATURE_ARRAYS:
        change(features / name, longer(count))
    assert_told(whole)


@pytest.mark.parametrize("count", [10**11, 10**18])
def test_a_set_that_says_it_was_planned_long(whole, count):
    features = folder_of(whole, "features/d/*")
    change(features, attributes(sealed=None))
    for name in FEATURE_ARRAYS:
        change(features / name, longer(count))
    assert_told(whole)
    # Without its dataset, too: then nothing says how many there can be.
    (whole / "videos" / "d").rename(whole.parent / "aside")
    with bounded(seconds=60):
        assert problems(whole)


@pytest.mark.parametrize("pattern", ["features/d/*/frames", "videos/d/id", "splits/d/test/rows"])
def test_arrays_of_another_program_as_well(whole, pattern):
    folder = folder_of(whole, pattern)
    lay_out_anew(folder)
    change(folder, longer(10**13))
    change(folder_of(whole, pattern.rpartition("/")[0]), _rows_of(pattern, 10**13))
    assert_told(whole)


def _rows_of(pattern: str, count: int):
    sealed = {"rows": count, "manifest": "0" * 64}
    return attributes(sealed=sealed) if "features" in pattern else attributes(rows=count)


def test_texts_that_say_they_are_many(whole):
    """The number in front of a chunk of strings, with the right checksum behind it."""
    (chunk,) = (whole / "videos" / "d" / "id").glob("c.*")
    data = bytearray(chunk.read_bytes()[:-4])
    data[:4] = (2**32 - 1).to_bytes(4, "little")
    checksum = np.array(google_crc32c.value(bytes(data)), "<u4").tobytes()
    chunk.write_bytes(bytes(data) + checksum)
    assert_told(whole)
    data[:4] = (65536).to_bytes(4, "little")
    data[4:8] = (2**31).to_bytes(4, "little")
    checksum = np.array(google_crc32c.value(bytes(data)), "<u4").tobytes()
    chunk.write_bytes(bytes(data) + checksum)
    assert_told(whole)


DEEP = "[" * 5000 + "]" * 5000


@pytest.mark.parametrize("path", ["features/d/*", "videos/d", "texts/*", "videos/d/id", "names/d"])
def test_deep_json(whole, path, capsys):
    file = folder_of(whole, path) / "zarr.json"
    text = file.read_text()
    for deep in (DEEP, text.rstrip().removesuffix("}") + f', "x": {DEEP}}}'):
        file.write_text(deep)
        with bounded():
            assert any(p.where.startswith(path.split("*")[0].rstrip("/")) for p in problems(whole))
        assert run(["verify", str(whole)]) == 1
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err


@pytest.mark.parametrize("depth", [100, 300, 500, 700, 900])
def test_json_that_is_just_not_too_deep(whole, depth, capsys):
    nested = "1"
    for _ in range(depth):
        nested = f"[{nested}]"
    file = folder_of(whole, "features/d/*") / "zarr.json"
    file.write_text(file.read_text().replace('"recipe": {', f'"recipe": {{"deep": {nested},'))
    for words in (["verify", str(whole)], ["info", str(whole)], ["info", str(whole), "--json"]):
        run(words)
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err


def test_a_number_too_large_for_anything(whole):
    for value in (10**400, 1e999, -1, True, "70", None, [70]):
        change(folder_of(whole, "features/d/*"), attributes(sealed={"rows": value, "manifest": ""}))
        with bounded():
            assert problems(whole)
            with pytest.raises(VifiError):
                describe_store(open_store(whole))


def test_lengths_in_a_recipe(whole):
    for name in ("frames", "clips"):
        for value in (10**12, [0], "x"):
            change(
                folder_of(whole, "features/d/*"),
                lambda document, name=name, value=value: document["attributes"]["recipe"].update(
                    {name: value, "crops": 10**9}
                ),
            )
            with bounded():
                assert problems(whole)


def test_a_chain_of_many_checkpoints_is_listed(whole):
    """Each trained from the one before: their tree is deeper than Python goes down."""
    template = folder_of(whole, "checkpoints/*")
    document = json.loads((template / "zarr.json").read_text())
    for number in range(1500):
        folder = template.with_name(f"{number:012x}")
        folder.mkdir()
        facts = {"names": [f"c{number}"], "parent": f"c{number - 1}", "step": number}
        text = json.dumps({**document, "attributes": {**document["attributes"], **facts}})
        (folder / "zarr.json").write_text(text)
    found = lineage(open_store(whole))
    assert max(checkpoint["depth"] for checkpoint in found) == 1499
